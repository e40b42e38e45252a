"""The ledger on SQLite and on PostgreSQL: its methods, and what its schema itself forbids."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Reason, Sighting
from actors.payments.errors import InvalidTransition, OrdersFull, UnknownOrder, UnknownPlan
from actors.payments.ledger import order_book, schema
from actors.payments.ledger.intake import CATCH_UP_MS
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import MAX_KEPT, MAX_OPEN, RESERVED_MS, WINDOW_MS, NewOrder
from actors.payments.ledger.orders import OrderState
from actors.payments.ledger.settling import Effect
from actors.runtime.errors import ConfigurationError, Conflict, Unavailable
from tests.unit.payments import ledgers, postgres
from tests.unit.payments.shop import (
    DOWNLOAD,
    FAKE_USDT,
    JETTON_WALLET,
    LICENCE,
    MASTER,
    MINUTE,
    NOW,
    USDT,
    WALLET,
    chain_of,
    order,
    transfer,
    tron_address,
    tron_chain,
    tx_id,
)

if TYPE_CHECKING:
    from pathlib import Path

    from actors.payments.chains.verdict import Transfer
    from actors.payments.ledger.intake import Cursor
    from actors.payments.ledger.orders import Order


def cursor(ledger: Ledger, method: Method = Method.TRON) -> Cursor:
    return ledger.intake.open(method.network, chain_of(method).wallet)


def settle(ledger: Ledger, *transfers: Transfer) -> Effect:
    """Record transfers as scans do; what the last one did."""
    effect = Effect()
    for one in transfers:
        at = cursor(ledger, one.method)
        if one.network is Network.TRON:
            effect = ledger.intake.settle(at, one.tx_id, [one], NOW)
        else:
            effect = ledger.intake.apply(at, [one], NOW, position=one.position + 1, mark=one.tx_id)
    return effect


def state(ledger: Ledger, order_id: str) -> OrderState:
    return ledger.orders.get(order_id).state


def test_the_migrations_make_the_tables_of_the_schema(ledger: Ledger) -> None:
    """Nothing is in one and not in the other, on either database."""
    with ledger.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.METADATA) == []
        checks = {
            check["name"]
            for table in schema.METADATA.tables
            for check in sa.inspect(connection).get_check_constraints(table)
        }
    declared = {
        constraint.name
        for table in schema.METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert declared <= checks


def test_migrations_are_run_once_by_many(database_url: str) -> None:
    """Processes that start at once on an empty database all end with its tables."""
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Ledger(SecretStr(database_url)).close()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_ledger_of_the_first_version_is_kept(database_url: str) -> None:
    """Its rows stay; of which master its jetton wallet is, nobody noted, so it is asked again."""
    with Ledger(SecretStr(database_url)) as ledger:
        one, at = order(ledger), cursor(ledger, Method.TON)
        ledger.intake.pin_jetton_wallet(at, MASTER, JETTON_WALLET)
        with ledger.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE cursors DROP COLUMN jetton_master")
            connection.exec_driver_sql("ALTER TABLE sightings DROP COLUMN asked")
            connection.exec_driver_sql("ALTER TABLE payments DROP COLUMN comment")
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    with Ledger(SecretStr(database_url)) as ledger:
        assert ledger.orders.get(one.id) == one
        after = cursor(ledger, Method.TON)
        assert [after.jetton_wallet_of(master) for master in ("", MASTER)] == ["", ""]


def test_what_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    """Another kind of file, or one that is not ours to write, is a matter of settings."""
    (tmp_path / "text.db").write_text("what was written here is no table of any database\n" * 99)
    (tmp_path / "directory.db").mkdir()
    for name, why in (("text.db", "cannot be read"), ("directory.db", "cannot be opened")):
        with pytest.raises(ConfigurationError, match=why) as caught:
            Ledger(SecretStr(f"sqlite:///{tmp_path / name}"))
        assert caught.value.variable == "X0TTA6BL4_DATABASE_URL"


def test_a_ledger_of_a_newer_program_is_not_touched(database_url: str) -> None:
    """The error says so, and which variable names it."""
    with Ledger(SecretStr(database_url)) as ledger, ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer program"):
        Ledger(SecretStr(database_url))


def test_an_order_asks_for_an_amount_of_its_own(ledger: Ledger) -> None:
    """On TRON the price and a tail; on TON the price and a comment."""
    one, two = order(ledger, 1), order(ledger, 2)
    assert one.amount != two.amount
    assert 0 < one.amount - one.price <= 99_900
    assert one.comment == ""
    coins = order(ledger, 3, method=Method.TON)
    assert coins.amount == coins.price
    assert len(coins.comment) == 32
    assert ledger.orders.get(one.id) == one
    assert [
        found.id for found in ledger.orders.listing(states=[OrderState.NEW], limit=10)
    ] == sorted([one.id, two.id, coins.id])
    assert ledger.orders.listing(channel="pull", recipient="buyer 2") == [two]


def test_orders_are_listed_newest_first(ledger: Ledger) -> None:
    """However their ids sort, and no more than were asked for."""
    made = [order(ledger, number, now_ms=NOW + number).id for number in range(6)]
    assert [one.id for one in ledger.orders.listing()] == made[::-1]
    assert [one.id for one in ledger.orders.listing(limit=2)] == made[:3:-1]


def test_the_same_request_makes_one_order(ledger: Ledger) -> None:
    """A button pressed twice buys once."""
    assert order(ledger, 1) == order(ledger, 1, now_ms=NOW + 5)
    assert len(ledger.orders.listing()) == 1


@pytest.mark.parametrize(
    "change",
    [{"plan": DOWNLOAD}, {"method": Method.TON}, {"recipient": "else"}, {"channel": "telegram"}],
)
def test_a_request_gives_nobody_another_order(ledger: Ledger, change: dict[str, Any]) -> None:
    """A key that is used again for something or somebody else is refused, and makes nothing."""
    new = NewOrder("key", LICENCE, Method.TRON, "pull", "one")
    made = ledger.orders.create(new, tron_chain(), NOW)
    other = replace(new, **change)
    with pytest.raises(Conflict, match="another plan"):
        ledger.orders.create(other, chain_of(other.method), NOW)
    assert ledger.orders.create(replace(new, recipient=""), tron_chain(), NOW) == made
    assert ledger.orders.listing() == [made]


def test_two_at_once_make_one_order_of_one_request(ledger: Ledger) -> None:
    """Also when both presses are answered at the same moment."""
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(order(ledger, "same").id)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1


def test_one_recipient_has_few_open_orders(ledger: Ledger) -> None:
    """So that nobody takes all amounts; who is not named is not counted."""

    def another(number: int, recipient: str) -> None:
        new = NewOrder(f"{recipient}{number}", LICENCE, Method.TRON, "pull", recipient)
        ledger.orders.create(new, tron_chain(), NOW)

    for number in range(MAX_OPEN):
        another(number, "greedy")
    with pytest.raises(OrdersFull):
        another(MAX_OPEN, "greedy")
    paid = ledger.orders.listing(recipient="greedy")[0]
    settle(ledger, transfer(paid.amount))
    another(MAX_OPEN, "greedy")  # one of the others is no longer open
    for number in range(MAX_OPEN + 1):
        another(number, "")


def test_one_recipient_keeps_few_amounts_from_others(ledger: Ledger) -> None:
    """Opening orders again and again without paying takes no more than a few; paying frees."""
    at, now = cursor(ledger), NOW
    made: list[Order] = []

    def another(number: int, method: Method = Method.TRON) -> Order:
        new = NewOrder(f"r{number} {method}", LICENCE, method, "telegram", "7")
        return ledger.orders.create(new, chain_of(method), now)

    while len(made) < MAX_KEPT:
        made += [another(len(made) + number) for number in range(MAX_OPEN)]
        now += WINDOW_MS + 4 * MINUTE
        ledger.intake.complete([at], now, now)
    with pytest.raises(OrdersFull, match="not paid"):
        another(-1)
    assert another(-1, Method.TON).comment, "which keeps no amount from anybody"
    assert order(ledger, "somebody else").state is OrderState.NEW
    settle(ledger, transfer(made[0].amount, block_ms=NOW + 1))
    assert another(-1).state is OrderState.NEW
    now += WINDOW_MS + RESERVED_MS + 4 * MINUTE
    ledger.intake.complete([at], now, now)
    assert another(-2).state is OrderState.NEW, "a day later"


def test_amounts_run_out_and_come_back(database_url: str) -> None:
    """All 999 are used; then no order can be opened until a reservation ends on the chain."""
    with Ledger(SecretStr(database_url), random.Random(3)) as ledger:
        at = cursor(ledger)
        rows = [
            {
                **{column.name: getattr(sample, column.name, None) for column in schema.orders.c},
                "id": f"{number:016d}",
                "request": f"r{number}",
                "amount": sample.price + 100 * number,
                "method": "tron",
                "state": "new",
                "delivers": "licence",
                "file": "",
            }
            for sample in [order(ledger, "sample")]
            for number in range(1, 1000)
            if sample.price + 100 * number != sample.amount
        ]
        with ledger.database.writing() as connection:
            connection.execute(schema.orders.insert(), rows)
        with pytest.raises(OrdersFull, match="999"):
            order(ledger, "late")
        over = NOW + WINDOW_MS + RESERVED_MS + 1
        # Over on the wall, but the chain was not read so far: still waited for.
        with pytest.raises(OrdersFull, match="999"):
            order(ledger, "late", now_ms=over)
        ledger.intake.complete([at], over + 3 * MINUTE, over + 3 * MINUTE)
        # Over on the chain, but not on our clock, which may be slow: two orders of one amount
        # would then both be waited for at one time.
        with pytest.raises(OrdersFull, match="999"):
            order(ledger, "late", now_ms=over - 1)
        assert order(ledger, "late", now_ms=over).state is OrderState.NEW


def test_unknown_things(ledger: Ledger) -> None:
    """An order that is not there, and a plan that cannot be paid so."""
    with pytest.raises(UnknownOrder):
        ledger.orders.get("nothing")
    bare = LICENCE.__class__("bare", {"en": "x"}, {Method.TON: 5}, LICENCE.delivers)
    with pytest.raises(UnknownPlan, match="ton, not with tron"):
        ledger.orders.create(NewOrder("r", bare, Method.TRON, "pull", "b"), tron_chain(), NOW)


def test_the_schema_refuses_what_must_not_be(ledger: Ledger) -> None:
    """Each rule holds without any code of ours: the database itself says no."""
    one, two = order(ledger, 1), order(ledger, 2)
    settle(ledger, transfer(one.amount))
    paid = ledgers.rows(ledger, schema.payments)[0]._mapping
    made = next(row for row in ledgers.rows(ledger, schema.orders) if row.id == two.id)._mapping
    said = next(iter(ledgers.rows(ledger, schema.outbox)))._mapping
    entitled = ledgers.rows(ledger, schema.entitlements)[0]._mapping
    forbidden = [
        (schema.payments, {**paid}),
        (schema.payments, {**paid, "position": 1}),  # a second one that settles
        (schema.payments, {**paid, "position": 1, "order_id": None}),
        (schema.payments, {**paid, "position": 1, "role": "review", "amount": 0}),
        (schema.payments, {**paid, "position": -1, "role": "review"}),
        (schema.orders, {**made, "id": "x", "request": "x"}),  # an equal reservation
        (schema.orders, {**made, "id": "x", "amount": 1}),
        (schema.orders, {**made, "id": "x", "request": "x", "amount": made["price"]}),
        (schema.orders, {**made, "id": "x", "request": made["request"], "reserved": False}),
        (schema.orders, {**made, "id": "x", "request": "x", "reserved": False, "state": "free"}),
        (schema.outbox, {**said, "id": 10_000}),
        (schema.entitlements, {**entitled}),
    ]
    for table, values in forbidden:
        with pytest.raises(IntegrityError), ledger.database.writing() as connection:
            connection.execute(table.insert(), dict(values))
    ledgers.check(ledger)


def test_a_payment_settles_its_order_once(ledger: Ledger) -> None:
    """However often it is recorded."""
    one = order(ledger)
    paid = transfer(one.amount)
    settle(ledger, paid, paid)
    again = ledger.intake.settle(cursor(ledger), paid.tx_id, [paid, paid], NOW)
    assert again == Effect()
    assert state(ledger, one.id) is OrderState.CONFIRMED
    assert ledger.orders.entitled_until_ms(one.id) is not None
    ledgers.check(ledger)


def test_a_second_payment_is_for_review(ledger: Ledger) -> None:
    """The earlier on the chain settles, whichever is read first."""
    one = order(ledger)
    late = transfer(one.amount, "late", block_ms=NOW + 2 * MINUTE)
    early = transfer(one.amount, "early", block_ms=NOW + MINUTE)
    assert settle(ledger, late) == Effect(new=1, settled=1)
    assert ledger.reviews.listing() == []
    assert settle(ledger, early) == Effect(new=1, review=1), "still one order that is settled"
    found = ledger.reviews.listing()
    assert [(review.subject, str(review.cause)) for review in found] == [
        (f"tron:{tx_id('late')}:0", "duplicate")
    ]
    ledgers.check(ledger)


def test_overpaying_on_ton_settles_and_is_recorded(ledger: Ledger) -> None:
    """More than asked for is a payment; the order says so."""
    one = order(ledger, method=Method.TON)
    more = transfer(one.amount + 5, method=Method.TON, comment=one.comment)
    settle(ledger, more)
    assert state(ledger, one.id) is OrderState.OVERPAID
    assert ledger.report().takings[Method.TON].excess == 5
    exact = transfer(
        one.amount, "exact", method=Method.TON, comment=one.comment, block_ms=NOW + 1000
    )
    settle(ledger, exact)
    assert state(ledger, one.id) is OrderState.CONFIRMED
    assert ledger.report().takings[Method.TON].excess == 0
    ledgers.check(ledger)


@pytest.mark.parametrize(
    "text", ["\0" * 32, "\U0001f4b0" * 32, "'; DROP TABLE orders; --" + "x" * 8, "%" * 32]
)
def test_a_comment_of_any_characters_is_for_review(ledger: Ledger, text: str) -> None:
    """One nanoton with a strange text is recorded like any other, and the scan goes on."""
    one = order(ledger, method=Method.TON)
    settle(
        ledger,
        transfer(1, "strange", method=Method.TON, comment=text),
        transfer(one.amount, method=Method.TON, comment=one.comment),
    )
    assert state(ledger, one.id) is OrderState.CONFIRMED
    assert [review.cause for review in ledger.reviews.listing()] == ["unmatched"]


def test_an_amount_names_orders_of_its_own_wallet_and_token(ledger: Ledger) -> None:
    """What reached another wallet of the shop, or is another token, pays none of this one's."""
    one = order(ledger)
    elsewhere = replace(transfer(one.amount, "elsewhere"), wallet=tron_address("another shop"))
    other = replace(transfer(one.amount, "other"), contract=FAKE_USDT)
    settle(ledger, elsewhere, other)
    assert state(ledger, one.id) is OrderState.NEW
    assert [(review.cause, review.order) for review in ledger.reviews.listing()] == [
        ("unmatched", None)
    ] * 2
    ledgers.check(ledger)


@pytest.mark.parametrize("comment", ["", "x", "x" * 32])
def test_a_comment_of_no_order_names_none(ledger: Ledger, comment: str) -> None:
    """Least of all none at all, which the orders on the other chain have too."""
    one, two = order(ledger, 1), order(ledger, 2, method=Method.TON)
    page = [
        transfer(two.amount, said, position=number, method=Method.TON, comment=said)
        for number, said in enumerate((comment, "y" * 32))
    ]
    at = cursor(ledger, Method.TON)
    assert ledger.intake.apply(at, page, NOW, position=9, mark="00") == Effect(new=2, review=2)
    assert (state(ledger, one.id), state(ledger, two.id)) == (OrderState.NEW, OrderState.NEW)
    assert [(review.cause, review.order) for review in ledger.reviews.listing()] == [
        ("unmatched", None)
    ] * 2


def test_chains_may_use_the_same_name_for_a_transaction(ledger: Ledger) -> None:
    """What is known on one of them is new on the other."""
    one, two = order(ledger, 1), order(ledger, 2, method=Method.TON)
    settle(ledger, transfer(one.amount, "same"))
    settle(ledger, transfer(two.amount, "same", method=Method.TON, comment=two.comment))
    assert (state(ledger, one.id), state(ledger, two.id)) == (
        OrderState.CONFIRMED,
        OrderState.CONFIRMED,
    )
    ledgers.check(ledger)


def test_what_arrived_in_an_unusual_way_settles_nothing(ledger: Ledger) -> None:
    """In time, with the right comment and enough: a person looks at it first."""
    one = order(ledger, method=Method.TON)
    odd = transfer(one.amount, method=Method.TON, comment=one.comment, settles=False)
    assert settle(ledger, odd) == Effect(new=1, review=1)
    assert state(ledger, one.id) is OrderState.NEW
    (review,) = ledger.reviews.listing()
    assert (review.cause, review.order) == ("unusual", one.id)
    ledgers.check(ledger)


def test_the_wrong_coin_settles_nothing(ledger: Ledger) -> None:
    """The right comment on the wrong asset names the order and is for review."""
    one = order(ledger, method=Method.TON_USDT)
    settle(ledger, transfer(10**12, method=Method.TON, comment=one.comment))
    assert state(ledger, one.id) is OrderState.NEW
    (review,) = ledger.reviews.listing()
    assert (review.cause, review.order) == ("unusual", one.id)
    ledgers.check(ledger)


@pytest.mark.parametrize(
    ("paid", "block_ms", "expected"),
    [
        (-1, MINUTE, OrderState.UNDERPAID),
        (0, WINDOW_MS + 1, OrderState.PAID_LATE),
        (0, WINDOW_MS, OrderState.CONFIRMED),
        (0, WINDOW_MS + RESERVED_MS + 10**9, OrderState.PAID_LATE),
    ],
)
def test_what_a_comment_names(
    ledger: Ledger, paid: int, block_ms: int, expected: OrderState
) -> None:
    """By the time of the block: at the deadline is on time, a moment later is late."""
    one = order(ledger, method=Method.TON)
    effect = settle(
        ledger,
        transfer(
            one.amount + paid, method=Method.TON, comment=one.comment, block_ms=NOW + block_ms
        ),
    )
    settled = int(expected is OrderState.CONFIRMED)
    assert effect == Effect(new=1, settled=settled, review=1 - settled)
    assert state(ledger, one.id) is expected
    ledgers.check(ledger)


@pytest.mark.parametrize(
    ("block_ms", "expected"),
    [
        (-TOLERATED_MS - 1, OrderState.NEW),
        (-TOLERATED_MS, OrderState.CONFIRMED),
        (0, OrderState.CONFIRMED),
        (WINDOW_MS, OrderState.CONFIRMED),
        (WINDOW_MS + 1, OrderState.PAID_LATE),
        (WINDOW_MS + RESERVED_MS, OrderState.PAID_LATE),
        (WINDOW_MS + RESERVED_MS + 1, OrderState.NEW),
    ],
)
def test_what_an_amount_names(ledger: Ledger, block_ms: int, expected: OrderState) -> None:
    """Within the reservation by the time of the block, to the millisecond; or a little earlier,
    by a clock that is off."""
    one = order(ledger)
    settle(ledger, transfer(one.amount, block_ms=NOW + block_ms))
    assert state(ledger, one.id) is expected
    assert len(ledger.reviews.listing()) == (expected is not OrderState.CONFIRMED)
    ledgers.check(ledger)


def test_an_order_is_seen_expires_and_is_paid_after_all(ledger: Ledger) -> None:
    """Paid in time and read late: the outage costs nobody anything."""
    one, two = order(ledger, 1), order(ledger, 2)
    at = cursor(ledger)
    listed = Sighting(tx_id("t"), one.amount, NOW + MINUTE, confirmed=False)
    assert ledger.intake.note(at, USDT, [listed], NOW) == (1, 0)
    assert ledger.intake.note(at, USDT, [listed], NOW) == (0, 0)
    assert state(ledger, one.id) is OrderState.SEEN
    assert ledger.intake.complete([at], 0, NOW + 10**9) == 0, "an unknown time expires nothing"
    assert ledger.intake.complete([at], NOW + WINDOW_MS + MINUTE, NOW) == 0, "an index may lag"
    assert ledger.intake.complete([at], NOW + WINDOW_MS + 3 * MINUTE, NOW) == 1
    assert (state(ledger, one.id), state(ledger, two.id)) == (OrderState.SEEN, OrderState.EXPIRED)
    settle(ledger, transfer(one.amount), transfer(two.amount, "two"))
    assert (state(ledger, one.id), state(ledger, two.id)) == (
        OrderState.CONFIRMED,
        OrderState.CONFIRMED,
    )
    ledgers.check(ledger)


def test_what_was_seen_and_is_refused_is_new_again(ledger: Ledger) -> None:
    """A row that its receipt contradicts has paid nothing."""
    one = order(ledger)
    at = cursor(ledger)
    sightings = [Sighting(tx_id(name), one.amount, NOW + MINUTE, confirmed=True) for name in "ab"]
    ledger.intake.note(at, USDT, sightings, NOW)
    another = Sighting(tx_id("c"), 5, NOW + MINUTE, confirmed=True)  # is nothing to this order
    ledger.intake.note(at, USDT, [another], NOW)
    waiting = ledger.intake.waiting(at, NOW, limit=2)
    assert {(found.tx_id, found.matched) for found in waiting} == {
        (tx_id("a"), True),
        (tx_id("b"), True),
    }
    ledger.intake.refuse(at, tx_id("a"), Reason.REVERTED)
    assert state(ledger, one.id) is OrderState.SEEN, "the other one may be real"
    ledger.intake.refuse(at, tx_id("b"), Reason.NO_SUCH_LOG)
    assert state(ledger, one.id) is OrderState.NEW
    assert [found.tx_id for found in ledger.intake.waiting(at, NOW, limit=10)] == [tx_id("c")]
    assert ledger.intake.count_waiting(at) == 1
    again = Sighting(tx_id("d"), one.amount, NOW + MINUTE, confirmed=True)
    ledger.intake.note(at, USDT, [again], NOW)
    assert state(ledger, one.id) is OrderState.SEEN
    assert ledgers.messages(ledger) == [("request one", "seen", "due")], "said once"


def test_receipts_that_orders_wait_for_come_first(ledger: Ledger) -> None:
    """Then the oldest; so that nobody's payment is held up by what others send."""
    one, two = order(ledger, 1), order(ledger, 2)
    at = cursor(ledger)
    listed = {"old": (7, 0), "older": (8, -1), "two": (two.amount, 2), "one": (one.amount, 1)}
    sightings = [
        Sighting(tx_id(name), amount, NOW + MINUTE + after, confirmed=True)
        for name, (amount, after) in listed.items()
    ]
    assert ledger.intake.note(at, USDT, sightings, NOW) == (4, 2)
    expected = [tx_id(name) for name in ("one", "two", "older", "old")]
    assert [found.tx_id for found in ledger.intake.waiting(at, NOW, limit=9)] == expected
    assert [found.tx_id for found in ledger.intake.waiting(at, NOW, limit=3)] == expected[:3]


def test_receipts_that_are_not_solid_are_asked_for_later(ledger: Ledger) -> None:
    """Soon at first, ever more seldom the older they are."""
    at = cursor(ledger)
    ledger.intake.note(at, USDT, [Sighting(tx_id("t"), 5, NOW, confirmed=True)], NOW)
    other = Sighting(tx_id("other"), 6, NOW, confirmed=True)
    ledger.intake.note(at, USDT, [other], NOW)
    ledger.intake.postpone(at, tx_id("t"), NOW)
    assert [found.tx_id for found in ledger.intake.waiting(at, NOW, limit=9)] == [tx_id("other")]
    ledger.intake.refuse(at, tx_id("other"), Reason.REVERTED)
    assert ledger.intake.waiting(at, NOW + 19_999, limit=9) == []
    assert len(ledger.intake.waiting(at, NOW + 20_000, limit=9)) == 1
    ledger.intake.postpone(at, tx_id("t"), NOW + 1_000_000)
    assert ledger.intake.waiting(at, NOW + 1_099_999, limit=9) == []
    assert len(ledger.intake.waiting(at, NOW + 1_100_000, limit=9)) == 1
    assert ledger.reviews.count() == 1
    assert [review.verified for review in ledger.reviews.listing()] == [False]


def test_a_row_whose_receipt_says_otherwise_pays_what_the_receipt_says(ledger: Ledger) -> None:
    """Who was seen by the row waits on; what came is for review."""
    one = order(ledger)
    at = cursor(ledger)
    listed = Sighting(tx_id("t"), one.amount, NOW + MINUTE, confirmed=True)
    ledger.intake.note(at, USDT, [listed], NOW)
    assert settle(ledger, transfer(one.amount - 1)) == Effect(new=1, review=1)
    assert state(ledger, one.id) is OrderState.NEW
    ledgers.check(ledger)


def test_what_is_paid_already_is_not_seen_again(ledger: Ledger) -> None:
    """A second transfer of the amount is listed: it is read, and its order stays as it is."""
    one = order(ledger)
    settle(ledger, transfer(one.amount))
    second = Sighting(tx_id("second"), one.amount, NOW + 2 * MINUTE, confirmed=True)
    assert ledger.intake.note(cursor(ledger), USDT, [second], NOW) == (1, 0)
    assert state(ledger, one.id) is OrderState.CONFIRMED


def test_wallets_are_read_each_for_itself(ledger: Ledger) -> None:
    """One transaction may pay two of them, and what is read of one is not read of the other."""
    at = cursor(ledger)
    former = ledger.intake.open(Network.TRON, tron_address("former shop"))
    listed = [Sighting(tx_id("both"), 5, NOW + MINUTE, confirmed=True)]
    for one in (at, former):
        assert ledger.intake.note(one, USDT, listed, NOW) == (1, 1)
    ledger.intake.refuse(at, tx_id("both"), Reason.NO_SUCH_LOG)
    assert ledger.intake.count_waiting(at) == 0
    assert [found.tx_id for found in ledger.intake.waiting(former, NOW, limit=9)] == [tx_id("both")]


def test_cursors_move_each_for_itself(ledger: Ledger) -> None:
    """That of the shop's jetton wallet is not that of its wallet."""
    at = cursor(ledger, Method.TON)
    jettons = ledger.intake.open(Network.TON, JETTON_WALLET)
    ledger.intake.apply(at, [], NOW, position=50, mark="aa")
    ledger.intake.pin_jetton_wallet(at, MASTER, JETTON_WALLET)
    ledger.intake.complete([at], 1000, 2000)
    assert ledger.intake.open(Network.TON, JETTON_WALLET) == jettons
    ledger.intake.apply(jettons, [], NOW, position=60, mark="bb")
    after = ledger.intake.open(Network.TON, at.account)
    assert (after.position, after.mark, after.chain_ms, after.completed_ms) == (
        50,
        "aa",
        1000,
        2000,
    )


def test_reservations_end_on_the_chain(ledger: Ledger) -> None:
    """Those of the wallet that is read, when no payment would be recognised any more, once."""
    one = order(ledger, 1)
    moved = replace(tron_chain(), wallet=tron_address("another shop"))
    new = NewOrder("request 2", LICENCE, Method.TRON, "pull", "buyer 2")
    two = ledger.orders.create(new, moved, NOW)
    at = cursor(ledger)
    over = one.reserved_until_ms + CATCH_UP_MS

    def read_to(chain_ms: int) -> Order:
        ledger.intake.complete([at], chain_ms, chain_ms)
        return ledger.orders.get(one.id)

    assert read_to(over).reserved
    ended = read_to(over + 1)
    assert not ended.reserved
    assert read_to(over + MINUTE) == ended
    assert ledger.orders.get(two.id) == two


def test_a_cursor_only_moves_on(ledger: Ledger) -> None:
    """And what two watchers write is the further of the two."""
    at = ledger.intake.open(Network.TRON, WALLET)
    assert (at.position, at.mark, at.completed_ms) == (0, "", 0)
    ledger.intake.note(at, USDT, [], NOW, position=50)
    ledger.intake.note(at, USDT, [], NOW, position=40)
    assert ledger.intake.cursors()[0].position == 50
    ledger.intake.complete([at], 1000, 2000)
    ledger.intake.complete([at], 900, 1900)
    (after,) = ledger.intake.cursors()
    assert (after.chain_ms, after.completed_ms) == (1000, 2000)


def test_the_jetton_wallet_is_remembered_for_good(ledger: Ledger) -> None:
    """An API that later names another one changes nothing; of another master it is another one."""
    at = cursor(ledger, Method.TON)
    assert at.jetton_wallet_of("") == ""
    assert ledger.intake.pin_jetton_wallet(at, "m", "0:aa").jetton_wallet_of("m") == "0:aa"
    assert ledger.intake.pin_jetton_wallet(at, "m", "0:bb").jetton_wallet_of("m") == "0:aa"
    after = ledger.intake.pin_jetton_wallet(at, "n", "0:cc")
    assert (after.jetton_wallet_of("m"), after.jetton_wallet_of("n")) == ("", "0:cc")


def test_one_scans_at_a_time(ledger: Ledger) -> None:
    """The second is told so at once, or waits; afterwards it may."""
    with ledger.database.alone("scan", timeout_s=0):
        with ledger.database.alone("other", timeout_s=0):
            pass
        with pytest.raises(Conflict), ledger.database.alone("scan", timeout_s=0.2):
            pass
    with ledger.database.alone("scan", timeout_s=0):
        pass


def test_a_database_that_cannot_be_used_is_explained(postgres_base: str) -> None:
    """Without the password, and with the variable."""
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_DATABASE_URL"):
        Ledger(SecretStr(f"{postgres_base}/missing".replace("postgresql:", "postgresql+psycopg:")))
    url = "postgresql+psycopg://x0:canary-password@127.0.0.1:1/x"
    with pytest.raises(Unavailable) as caught:
        Ledger(SecretStr(url))
    assert "canary" not in str(caught.value) + repr(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "rest",
    ["x0:hidden@canary@127.0.0.1:1/x", "x0:canary:5432/x", "x0:canary@[::1/x", "x0@h:canary/x"],
)
def test_a_url_that_is_taken_apart_wrongly_is_not_repeated(rest: str) -> None:
    """A password that is not written as URLs want it is in no error, nor a part of it."""
    with pytest.raises(ConfigurationError, match="%40") as caught:
        Ledger(SecretStr(f"postgresql+psycopg://{rest}"))
    assert "canary" not in str(caught.value) + repr(caught.value)
    assert caught.value.__context__ is None


def test_what_another_has_changed_meanwhile_is_not_overwritten(ledger: Ledger) -> None:
    """An order is changed from the state in which it was read, or not at all."""
    one = order(ledger)
    settle(ledger, transfer(one.amount))
    with pytest.raises(InvalidTransition, match="another"), ledger.database.writing() as writing:
        order_book.change(writing, one, OrderState.SEEN)
    assert state(ledger, one.id) is OrderState.CONFIRMED


def test_a_request_that_always_collides_is_told(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not repeated for ever."""
    one = order(ledger)
    monkeypatch.setattr("actors.payments.ledger.orders.new_id", lambda: one.id)
    with pytest.raises(OrdersFull, match="same moment"):
        order(ledger, "other")


def test_the_end_of_reservations_waits_for_nobody_in_a_circle(postgres_base: str) -> None:
    """A relay that holds one order and wants the others gets them, and then they end."""
    url = postgres.fresh(postgres_base).replace("postgresql:", "postgresql+psycopg:")
    with Ledger(SecretStr(url)) as ledger, ThreadPoolExecutor(1) as beside:
        bought = [order(ledger, number) for number in range(20)]
        settle(ledger, *(transfer(one.amount, one.id) for one in bought))
        at, over = cursor(ledger), NOW + WINDOW_MS + RESERVED_MS + 10 * MINUTE
        first, *others = sorted(one.id for one in bought)
        with ledger.database.writing() as connection:
            order_book.fetch(connection, first, lock=True)
            ending = beside.submit(ledger.intake.complete, [at], over, over)
            blocked = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not connection.scalar(blocked):
                assert not ending.done()
                time.sleep(0.01)
            for one in others:
                order_book.fetch(connection, one, lock=True)
        assert ending.result() == 0
        assert not any(row.reserved for row in ledgers.rows(ledger, schema.orders))


def test_a_database_that_goes_away_is_unavailable(
    postgres_base: str,
) -> None:
    """In the middle of it: an error that says that nothing is lost, and then it works again."""
    base = postgres.fresh(postgres_base)
    with Ledger(SecretStr(base.replace("postgresql:", "postgresql+psycopg:"))) as ledger:

        def interrupted() -> None:
            with ledger.database.writing() as one:
                pid = one.scalar(sa.select(sa.func.pg_backend_pid()))
                with ledger.database.reading() as other:
                    other.execute(sa.select(sa.func.pg_terminate_backend(pid)))
                one.execute(sa.select(1))

        with pytest.raises(Unavailable, match="Nothing is lost"):
            interrupted()
        assert order(ledger).state is OrderState.NEW
