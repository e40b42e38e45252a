"""TON's APIs are hearsay: whatever they write oddly, leave out or cut off, no payment is lost.

What has arrived is told by the transactions that the test makes, never by what the product says of
an answer. Each ends in exactly one place, settled, in review or counted as dust, and whoever paid
has heard of it; or the scan fails, nothing is passed over, and a sound answer brings it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.errors import ChainUnavailable, UntrustedHistory
from actors.payments.ledger.intake import CATCH_UP_MS
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import WINDOW_MS
from actors.payments.ledger.orders import OrderState
from tests.unit.payments.counter import Counter
from tests.unit.payments.http_chain import Answer, Asked, Chains, serving
from tests.unit.payments.shop import JETTON_WALLET, MINUTE, NOW, TON_WALLET, order
from tests.unit.payments.ton_cells import external

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.payments.ledger.orders import Order

OVER_MS = NOW + WINDOW_MS + 10 * MINUTE  # the time of an order of now is over
SEVERAL = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    path = tmp_path_factory.mktemp("hearsay") / "ledger.db"
    chains = Chains()
    with Ledger(SecretStr(f"sqlite:///{path}")) as ledger, serving(chains) as url:
        yield Counter(ledger, chains, url, Network.TON)


@pytest.fixture(params=["", "/api/v2"], ids=["tonapi", "toncenter"])
def counter(opened: Counter, request: pytest.FixtureRequest) -> Counter:
    opened.dialect = request.param
    return opened


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["0", "0x", "00" * 32, TON_WALLET, NOW, NOW // 1000, str(NOW)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def spots(value: object) -> list[tuple[Any, Any]]:
    """Each field of an answer, as what holds it and its name there."""
    found: list[tuple[Any, Any]] = []
    names = (
        value.keys()
        if isinstance(value, dict)
        else range(len(value))
        if isinstance(value, list)
        else ()
    )
    for name in names:
        found += [(value, name), *spots(value[name])]  # type: ignore[index]  # it holds them
    return found


class Spoiler:
    """Spoils a field of each answer of one kind, in one way."""

    def __init__(self, chains: Chains, kind: str, place: int, way: str, value: object) -> None:
        self._chains = chains
        self._kind = kind
        self._place = place
        self._way = way
        self._value = value

    def __call__(self, asked: Asked) -> Answer | None:
        if self._kind not in asked.path:
            return None
        body = copy.deepcopy(self._chains._ton(asked).body)
        fields = spots(body)
        if not fields:
            return None
        holder, name = fields[self._place % len(fields)]
        if self._way == "replaced":
            holder[name] = self._value
        else:
            kept = holder.pop(name)
            if self._way == "renamed" and isinstance(holder, dict):
                holder[str(name).title() + "_"] = kept
        return Answer(body=body)


@SEVERAL
@given(
    kind=st.sampled_from(
        ["ransactions", "masterchain-head", "getMasterchainInfo", "getBlockHeader"]
    ),
    place=st.integers(0, 400),
    way=st.sampled_from(["replaced", "removed", "renamed"]),
    value=JSON,
)
def test_whatever_field_of_an_answer_is_odd_no_payment_is_lost(
    counter: Counter, kind: str, place: int, way: str, value: object
) -> None:
    """Odd, under another name or not there: the cells decide, or nobody passes it over."""
    chains = counter.clear()
    counter.scan()  # the jetton wallet is known before anybody can order
    paid = [order(counter.ledger, way, method=way) for way in (Method.TON, Method.TON_USDT)]
    shop = chains.accounts[TON_WALLET]
    arrived = {shop.pay(paid[0].comment, paid[0].amount).tx_id}
    chains.pay_jettons(paid[1].comment, paid[1].amount)
    arrived |= {chains.accounts[JETTON_WALLET].made[-1].tx_id, shop.pay("later", 5).tx_id}
    chains.fault = Spoiler(chains, kind, place, way, value)
    for until in (NOW + 5 * MINUTE, OVER_MS):
        counter.until(until)
        try:
            counter.scan()
        except (UntrustedHistory, ChainUnavailable):
            assert OrderState.EXPIRED not in {counter.state(one) for one in paid}
    assert set(counter.places()) <= arrived
    chains.fault = lambda _: None
    counter.scan()
    assert counter.places().keys() == arrived
    assert {len(place) for place in counter.places().values()} == {1}
    assert {counter.state(one) for one in paid} == {OrderState.CONFIRMED}
    counter.check_heard()


# What a transaction of the shop's is: a payment of an order, whole, in part or too much; one that
# names none; dust; jettons; or something that the shop did itself.
WHAT = st.sampled_from(["paid", "part", "over", "nobody's", "dust", "jettons", "own"])


def happen(chains: Chains, what: str, one: Order, tokens: Order, time_s: int) -> str | None:
    """Make a transaction; its id, if it brings the shop something."""
    shop = chains.accounts[TON_WALLET]
    match what:
        case "jettons":
            chains.pay_jettons(tokens.comment, tokens.amount, time_s=time_s)
            return chains.accounts[JETTON_WALLET].made[-1].tx_id
        case "own":
            shop.add(external(TON_WALLET), time_s=time_s)
            return None
    amount = {"part": one.amount // 2, "over": one.amount + 1, "dust": 3}.get(what, one.amount)
    comment = "" if what in {"nobody's", "dust"} else one.comment
    return shop.pay(comment, amount, time_s=time_s).tx_id


@SEVERAL
@given(
    cap=st.sampled_from([2, 3, 5, 256]),
    batches=st.lists(st.lists(WHAT, max_size=6), min_size=1, max_size=3),
    newest=st.booleans(),
)
def test_every_transaction_is_read_wherever_pages_and_scans_end(
    counter: Counter,
    cap: int,
    batches: list[list[str]],
    newest: bool,  # noqa: FBT001 - drawn by name
) -> None:
    """Whatever limit the API sets; if it lists the newest alone, all of it or nothing."""
    chains = counter.clear()
    chains.page = cap
    counter.scan()
    one = order(counter.ledger, "coins", method=Method.TON)
    tokens = order(counter.ledger, "tokens", method=Method.TON_USDT)
    arrived: set[str] = set()
    time_s = NOW // 1000 + 60
    for batch in batches:
        for what in batch:
            time_s += 1
            made = happen(chains, what, one, tokens, time_s)
            arrived |= {made} - {None}  # type: ignore[arg-type]  # as it says
        chains.newest = newest
        try:
            counter.scan()
        except UntrustedHistory:
            assert newest
            continue
        assert counter.places().keys() == arrived
    chains.newest = False
    counter.scan()
    counter.until(OVER_MS)
    counter.scan()
    assert counter.places().keys() == arrived
    assert all(len(place) == 1 for place in counter.places().values())
    counter.check_heard()
    everything = [what for batch in batches for what in batch]
    enough = {"paid", "over"} & set(everything) or everything.count("part") >= 2
    assert (counter.state(one) in {OrderState.CONFIRMED, OrderState.OVERPAID}) == bool(enough)
    assert (counter.state(tokens) is OrderState.CONFIRMED) == ("jettons" in everything)


@SEVERAL
@given(
    off_ms=st.integers(-(10**8), 10**8) | st.sampled_from([-120_000, 120_000, -29_000, 31_000]),
    paid_after_ms=st.integers(0, WINDOW_MS + 10 * MINUTE),
    method=st.sampled_from([Method.TON, Method.TON_USDT]),
)
def test_whatever_the_clock_says_no_payment_is_lost(
    counter: Counter, off_ms: int, paid_after_ms: int, method: Method
) -> None:
    """In time by the chain: settled while the clock is a little off, else at least in review."""
    chains = counter.clear()
    counter.scan()
    one = order(counter.ledger, method=method, now_ms=NOW + off_ms)
    at_s = (NOW + paid_after_ms) // 1000
    for until in (NOW, at_s * 1000 + 1000, NOW + 2 * WINDOW_MS):
        if until == at_s * 1000 + 1000:
            happen(chains, "jettons" if method is Method.TON_USDT else "paid", one, one, at_s)
        chains.head_ms, counter.clock_ms = until, until + off_ms
        counter.scan()
        large = abs(off_ms) > TOLERATED_MS + MINUTE
        assert not large or counter.state(one) is not OrderState.EXPIRED
    assert [len(place) for place in counter.places().values()] == [1]
    late = at_s * 1000 > one.expires_ms
    assert counter.state(one) is (OrderState.PAID_LATE if late else OrderState.CONFIRMED)
    counter.check_heard()


def test_an_order_of_ton_expires_by_the_chain_alone(counter: Counter) -> None:
    """So that the properties above cannot hold because nothing ever ends."""
    counter.clear()
    counter.scan()
    one = order(counter.ledger, method=Method.TON)
    counter.until(NOW + WINDOW_MS + CATCH_UP_MS)
    counter.scan()
    assert counter.state(one) is OrderState.NEW
    counter.until(NOW + WINDOW_MS + CATCH_UP_MS + 1000)
    counter.scan()
    assert counter.state(one) is OrderState.EXPIRED
    counter.check_heard()
