"""TRON's index is hearsay: whatever it writes oddly, leaves out or lists late, no payment is lost.

What has arrived is told by the receipts that the test makes, never by what the product says of the
rows: each transfer in them ends settled or in review, or the scan fails, the cursor stays before it
and nothing expires.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.payments import scan as scanning
from actors.payments.chains import addresses
from actors.payments.errors import UntrustedHistory
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import WINDOW_MS
from actors.payments.ledger.orders import OrderState
from tests.unit.payments import ledgers
from tests.unit.payments.counter import Counter
from tests.unit.payments.http_chain import Answer, Chains, serving
from tests.unit.payments.shop import (
    BUYER,
    FAKE_USDT,
    MINUTE,
    NOW,
    USDT,
    WALLET,
    log,
    order,
    receipt,
    row,
    tx_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


OVER_MS = NOW + WINDOW_MS + 10 * MINUTE  # the time of an order of now is over
SEVERAL = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    path = tmp_path_factory.mktemp("hearsay") / "ledger.db"
    chains = Chains()
    with Ledger(SecretStr(f"sqlite:///{path}")) as ledger, serving(chains) as url:
        yield Counter(ledger, chains, url)


def list_oddly(chains: Chains, listed: dict[str, Any], proof: dict[str, Any]) -> None:
    """Have the index list an odd row, and then another; the chain knows both."""
    later_ms = NOW + 2 * MINUTE
    rows = [listed, row(7, "later", block_ms=later_ms)]
    later = receipt(log(7), name="later", block_ms=later_ms)
    chains.receipts |= {one["id"]: one for one in (proof, later)}
    page = Answer(body={"success": True, "data": rows, "meta": {"page_size": len(rows)}})
    chains.fault = lambda asked: page if asked.path.startswith("/v1/") else None


EXAMPLES: list[dict[str, Any]] = [
    {"token_info": {}},
    {"token_info": None, "token": {"address": USDT}},
    {"type": "transfer"},
    {"value": "0x{amount:x}"},
    {"block_timestamp": str(NOW + MINUTE)},
    {"transaction_id": f"0x{tx_id('paid')}"},
]


@pytest.mark.parametrize("odd", EXAMPLES)
def test_a_payment_in_an_odd_row_settles(counter: Counter, odd: dict[str, Any]) -> None:
    """Though a later row lets the cursor pass it, and its order's time comes to its end."""
    chains = counter.clear()
    one = order(counter.ledger)
    odd = {name: _filled(value, one.amount) for name, value in odd.items()}
    list_oddly(chains, {**row(one.amount, "paid"), **odd}, receipt(log(one.amount), name="paid"))
    assert counter.scan().cursor == NOW + 2 * MINUTE
    counter.until(OVER_MS)
    counter.scan()
    assert counter.state(one) is OrderState.CONFIRMED
    ledgers.check(counter.ledger)


def _filled(value: Any, amount: int) -> Any:
    return value.format(amount=amount) if isinstance(value, str) else value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from([USDT, FAKE_USDT, WALLET, BUYER, "Approval", "0", "0x", NOW, str(NOW)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["address", "symbol", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [*sorted(row(5)), "_unconfirmed"]


def is_something_else(listed: dict[str, Any]) -> bool:
    """Whether a row says itself that it is no transfer of USDT to the shop, in plain words."""

    def other(given: object, than: str) -> bool:
        try:
            return addresses.tron(str(given)) != than
        except ValueError:
            return False

    token = listed.get("token_info")
    return (
        str(listed.get("type")).strip().lower() == "approval"
        or (isinstance(token, dict) and other(token.get("address"), USDT))
        or other(listed.get("to"), WALLET)
        or (listed.get("value") in (0, "0", "0x0") and not isinstance(listed["value"], bool))
    )


@SEVERAL
@given(
    field=st.sampled_from(FIELDS),
    value=JSON,
    renamed=st.booleans(),
    unnamed=st.booleans(),
)
def test_whatever_field_of_a_row_is_odd_no_payment_is_lost(
    counter: Counter,
    field: str,
    value: object,
    renamed: bool,  # noqa: FBT001 - drawn by name
    unnamed: bool,  # noqa: FBT001 - drawn by name
) -> None:
    """Odd, under another name or not there: its receipt decides, or nobody passes it over."""
    chains = counter.clear()
    one = order(counter.ledger)
    listed = row(one.amount, "paid")
    if unnamed:
        kept = listed.pop(field, None)
        listed |= {field.title(): kept} if renamed else {}
    else:
        listed[field] = value
    list_oddly(chains, listed, receipt(log(one.amount), name="paid"))
    failed = False
    for _ in range(2):
        try:
            counter.scan()
        except UntrustedHistory:
            failed = True
        counter.until(OVER_MS)
    if failed:
        assert counter.ledger.intake.cursors()[0].position < NOW + MINUTE
        assert counter.state(one) is OrderState.NEW
    elif is_something_else(listed):
        assert counter.state(one) in {OrderState.EXPIRED, OrderState.CONFIRMED}
    else:
        assert counter.recorded() == {tx_id("paid"), tx_id("later")}
        assert counter.state(one) is OrderState.CONFIRMED
    ledgers.check(counter.ledger)


def test_a_row_without_a_name_spoils_no_other(counter: Counter) -> None:
    """Others are settled; nothing expires, the cursor stays, and the scan says why it failed."""
    chains = counter.clear()
    one, two = order(counter.ledger, 1), order(counter.ledger, 2)
    chains.add({**row(two.amount, "?"), "transaction_id": None}, receipt(log(two.amount), name="?"))
    chains.add(row(one.amount, "paid"), receipt(log(one.amount), name="paid"))
    counter.until(OVER_MS)
    with pytest.raises(UntrustedHistory, match="name no transaction: 1"):
        counter.scan()
    assert (counter.state(one), counter.state(two)) == (OrderState.CONFIRMED, OrderState.NEW)
    (cursor,) = counter.ledger.intake.cursors()
    assert (cursor.position, cursor.completed_ms) == (0, 0)
    chains.rows[0]["transaction_id"] = tx_id("?")
    counter.scan()
    assert counter.state(two) is OrderState.CONFIRMED


def test_two_hundred_pieces_of_dust_hide_no_payment(counter: Counter) -> None:
    """A page as long as its limit is not the last, though it names no next one."""
    chains = counter.clear()
    chains.unmarked = True
    one = order(counter.ledger)
    for number in range(200):
        chains.rows.append(row(1 + number, number, block_ms=NOW + 100 * number))
    chains.add(
        row(one.amount, "paid", block_ms=NOW + MINUTE),
        receipt(log(one.amount), name="paid", block_ms=NOW + MINUTE),
    )
    found = counter.scan()
    assert (found.pages, found.settled) == (2, 1)


def test_two_hundred_at_once_cannot_be_passed(counter: Counter) -> None:
    """Where the next page begins cannot be told then, so the scan fails and nothing expires."""
    chains = counter.clear()
    chains.unmarked = True
    one = order(counter.ledger)
    chains.rows += [row(1 + number, number, block_ms=NOW + 1) for number in range(201)]
    counter.until(OVER_MS)
    with pytest.raises(UntrustedHistory, match="200 rows"):
        counter.scan()
    assert counter.state(one) is OrderState.NEW


def test_ten_in_one_block_are_a_whole_history(counter: Counter) -> None:
    """What looks like an API's own limit is asked for again, and is the end if nothing follows."""
    chains = counter.clear()
    chains.unmarked = True
    chains.rows += [row(1 + number, number, block_ms=NOW + 1) for number in range(10)]
    assert (counter.scan().pages, counter.scan().transfers) == (2, 10)


@SEVERAL
@given(
    cap=st.sampled_from([10, 20, 50, 200]),
    count=st.integers(0, 230),
    steps=st.lists(st.sampled_from([0, 1, 3000]), min_size=1, max_size=8),
    unmarked=st.booleans(),
)
def test_every_row_is_read_wherever_pages_end(
    counter: Counter,
    cap: int,
    count: int,
    steps: list[int],
    unmarked: bool,  # noqa: FBT001 - drawn by name
) -> None:
    """Whatever limit the API sets, marked or not, unless a block is as full as a page."""
    chains = counter.clear()
    chains.page, chains.unmarked = cap, unmarked
    counter.until(OVER_MS)
    at = NOW
    for number, step in zip(range(count), itertools.cycle(steps), strict=False):
        at += step
        chains.rows.append(row(1 + number, number, block_ms=at))
    times = [listed["block_timestamp"] for listed in chains.rows]
    crowded = unmarked and max((times.count(one) for one in times), default=0) >= cap
    try:
        counter.scan(others=0)
    except UntrustedHistory:
        assert crowded
        return
    noted = {seen.tx_id for seen in ledgers.rows(counter.ledger, schema.sightings)}
    assert crowded or noted == {tx_id(number) for number in range(count)}


def test_a_confirmed_twin_lets_the_cursor_pass(counter: Counter) -> None:
    """The index lists a transaction once unconfirmed and once confirmed, and goes on listing so."""
    chains = counter.clear()
    chains.rows.append(row(5, "twin", unconfirmed=True))
    chains.rows.append(row(5, "twin"))
    chains.rows.append(row(6, "later", block_ms=NOW + 2 * MINUTE))
    assert counter.scan().cursor == NOW + 2 * MINUTE


def test_what_is_never_confirmed_holds_the_cursor_for_an_hour(counter: Counter) -> None:
    """Its receipt is asked for all the same."""
    chains = counter.clear()
    chains.rows.append(row(5, "reverted", unconfirmed=True))
    last = NOW + MINUTE + scanning.GONE_MS
    chains.rows.append(row(6, "later", block_ms=last))
    counter.until(last)
    assert counter.scan().cursor == NOW + MINUTE
    chains.rows.append(row(7, "last", block_ms=last + 1))
    assert counter.scan().cursor == last + 1


def test_what_had_vanished_and_is_confirmed_after_all_is_paid(counter: Counter) -> None:
    """In no block for long, so it was given up; then it is listed as solid."""
    chains = counter.clear()
    one = order(counter.ledger)
    chains.rows.append(row(one.amount, "paid", unconfirmed=True))
    counter.scan()
    (cursor,) = counter.ledger.intake.cursors()
    counter.ledger.intake.refuse(cursor, tx_id("paid"), scanning.Reason.VANISHED)
    assert counter.state(one) is OrderState.NEW
    counter.scan()
    assert counter.state(one) is OrderState.NEW, "still unconfirmed"
    chains.add(row(one.amount, "paid"), receipt(log(one.amount), name="paid"))
    counter.scan()
    assert counter.state(one) is OrderState.CONFIRMED


@SEVERAL
@given(
    off_ms=st.integers(-(10**8), 10**8) | st.sampled_from([-120_000, 120_000, -29_000, 31_000]),
    paid_after_ms=st.integers(0, WINDOW_MS - 1000),
)
def test_whatever_the_clock_says_no_payment_is_lost(
    counter: Counter, off_ms: int, paid_after_ms: int
) -> None:
    """In time by the chain: settled while the clock is a little off, else at least in review."""
    chains = counter.clear()
    one = order(counter.ledger, now_ms=NOW + off_ms)
    at = NOW + paid_after_ms
    for until in (NOW, at + 1000, NOW + 2 * WINDOW_MS):
        if until > NOW:
            chains.rows = [row(one.amount, "paid", block_ms=at)]
            proof = receipt(log(one.amount), name="paid", block_ms=at)
            chains.receipts = {proof["id"]: proof}
        chains.head_ms, counter.clock_ms = until, until + off_ms
        counter.scan()
        large = abs(off_ms) > 180_000
        assert not large or counter.state(one) is not OrderState.EXPIRED
    assert counter.recorded() == {tx_id("paid")}
    late = at > one.expires_ms
    if -120_000 <= off_ms <= 120_000 and not late:
        assert counter.state(one) is OrderState.CONFIRMED
    ledgers.check(counter.ledger)
