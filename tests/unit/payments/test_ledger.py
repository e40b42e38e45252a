"""The ledger on SQLite and on PostgreSQL: its methods, and what its schema itself forbids."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Reason, Sighting
from actors.payments.errors import InvalidTransition, OrdersFull, UnknownOrder, UnknownPlan
from actors.payments.ledger import amount_tails, order_book, schema
from actors.payments.ledger.intake import CATCH_UP_MS
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import MAX_KEPT, MAX_OPEN, RESERVED_MS, WINDOW_MS, NewOrder
from actors.payments.ledger.orders import Cause, OrderState
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
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from actors.payments.chains.verdict import Transfer
    from actors.payments.ledger.cursors import Cursor
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
    _check_tables(ledger)


def _check_tables(ledger: Ledger) -> None:
    with ledger.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.METADATA) == []
        checks = {
            check["name"]: check["sqltext"]
            for table in schema.METADATA.tables
            for check in sa.inspect(connection).get_check_constraints(table)
        }
        if ledger.database.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").all() == [("ok",)]
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    declared = {
        constraint.name: str(constraint.sqltext)
        for table in schema.METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert set(declared) == set(checks)
    if ledger.database.is_sqlite:  # PostgreSQL writes them in its own way
        assert checks == declared


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


OLD_ORDER = {
    "request": "r",
    "plan": "month",
    "delivers": "licence",
    "file": "",
    "method": "ton",
    "wallet": chain_of(Method.TON).wallet,
    "contract": "",
    "price": 100,
    "amount": 100,
    "channel": "pull",
    "recipient": "b",
    "language": "en",
    "created_ms": NOW,
    "expires_ms": NOW + WINDOW_MS,
    "reserved_until_ms": NOW + WINDOW_MS + RESERVED_MS,
    "reserved": True,
    "version": 3,
}


def make_old(database_url: str, revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger as an earlier release made it: an overpaid order, and one that waits."""
    head = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: head(config, revision))
        ledger = Ledger(SecretStr(database_url))
    with ledger, ledger.database.writing() as connection:

        def insert(table: str, **values: object) -> None:
            names = ", ".join(values)
            places = ", ".join(f":{name}" for name in values)
            statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of ours
            connection.execute(sa.text(statement), values)

        for name, state in (("a", "overpaid"), ("b", "new")):
            values = OLD_ORDER | {"id": name * 16, "comment": name * 32, "request": name}
            insert("orders", **values, state=state)
        insert(
            "payments",
            network="ton",
            tx_id=tx_id("old"),
            position=1,
            method="ton",
            order_id="a" * 16,
            wallet=OLD_ORDER["wallet"],
            contract="",
            sender="s",
            amount=107,
            block_ms=NOW + MINUTE,
            settles=True,
            role="settling",
            recorded_ms=NOW,
        )
        insert("entitlements", order_id="a" * 16, granted_ms=NOW, expires_ms=NOW + 1)
        for kind in ("overpaid", "delivery"):
            insert(
                "outbox",
                order_id="a" * 16,
                kind=kind,
                channel="pull",
                status="due",
                created_ms=NOW,
                due_ms=NOW,
                attempts=2,
                claim="",
                error="x",
            )
        insert(
            "cursors",
            network="ton",
            account=chain_of(Method.TON).wallet,
            position=7,
            mark="m",
            chain_ms=NOW,
            completed_ms=NOW,
            jetton_wallet=JETTON_WALLET,
        )


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_a_ledger_of_an_earlier_release_is_kept(
    database_url: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows stay and go on: who overpaid gets the entry that was promised; messages go out."""
    make_old(database_url, revision, monkeypatch)
    with Ledger(SecretStr(database_url)) as ledger:
        ledgers.check(ledger)
        one = ledger.orders.get("a" * 16)
        assert (one.state, one.version, one.tolerance) == (OrderState.OVERPAID, 3, 0)
        (entry,) = ledger.reviews.listing()
        assert (entry.cause, entry.amount, entry.order) == ("overpaid", 7, one.id)
        at = cursor(ledger, Method.TON)
        assert (at.position, at.mark) == (7, "m")
        # Of which master its jetton wallet is, nobody noted, so it is asked for again.
        assert [at.jetton_wallet_of(master) for master in ("", MASTER)] == ["", ""]
        (first,) = ledger.outbox.claim("pull", NOW)
        assert (first.kind, first.attempts) == ("overpaid", 2)
        assert ledger.outbox.done(first)
        assert ledger.outbox.claim("pull", NOW)[0].kind == "delivery"
        two = ledger.orders.get("b" * 16)
        settle(ledger, transfer(60, 1, method=Method.TON, comment=two.comment, position=8))
        settle(ledger, transfer(40, 2, method=Method.TON, comment=two.comment, position=9))
        assert state(ledger, two.id) is OrderState.CONFIRMED, "the new words are allowed"
        new = order(ledger, "new")
        settle(ledger, transfer(new.amount, "new"))
        ledgers.check(ledger)
        _check_tables(ledger)


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
    """All are used; then no order can be opened until a reservation ends on the chain."""
    with Ledger(SecretStr(database_url), random.Random(3)) as ledger:
        at = cursor(ledger)
        sample = order(ledger, "sample")
        _take_all(ledger, sample)
        with pytest.raises(OrdersFull, match=f"{amount_tails.COUNT} amounts"):
            order(ledger, "late")
        over = NOW + WINDOW_MS + RESERVED_MS + 1
        # Over on the wall, but the chain was not read so far: still waited for.
        with pytest.raises(OrdersFull, match="amounts"):
            order(ledger, "late", now_ms=over)
        ledger.intake.complete([at], over + 3 * MINUTE, over + 3 * MINUTE)
        # Over on the chain, but not on our clock, which may be slow: two orders of one amount
        # would then both be waited for at one time.
        with pytest.raises(OrdersFull, match="amounts"):
            order(ledger, "late", now_ms=over - 1)
        assert order(ledger, "late", now_ms=over).state is OrderState.NEW


def test_what_was_paid_frees_its_amount(database_url: str) -> None:
    """Not for a day but for its time to pay, in which the same buyer may pay it twice."""
    with Ledger(SecretStr(database_url), random.Random(3)) as ledger:
        at = cursor(ledger)
        sample = order(ledger, "sample")
        _take_all(ledger, sample)
        settle(ledger, transfer(sample.amount))
        with pytest.raises(OrdersFull, match="amounts"):
            order(ledger, "late")
        over = sample.expires_ms + 1
        ledger.intake.complete([at], over + 3 * MINUTE, over + 3 * MINUTE)
        new = order(ledger, "late", now_ms=over)
        assert new.amount == sample.amount
        # A payment of each is told from the other's by the time of its block.
        settle(
            ledger,
            transfer(new.amount, "again", block_ms=over - 1),
            transfer(new.amount, "mistaken", block_ms=over + MINUTE),
        )
        found = {row.tx_id: row.order_id for row in ledgers.rows(ledger, schema.payments)}
        assert (found[tx_id("again")], found[tx_id("mistaken")]) == (sample.id, new.id)
        # Who paid the former order may have paid it once more: a person decides.
        assert state(ledger, new.id) is OrderState.NEW
        (entry,) = ledger.reviews.of_order(new.id)
        assert (entry.cause, entry.decision) == (Cause.UNUSUAL, "")
        other = replace(transfer(new.amount, "new", block_ms=over + MINUTE), sender=FAKE_USDT)
        settle(ledger, other)
        assert state(ledger, new.id) is OrderState.CONFIRMED
        ledgers.check(ledger)
        ledgers.check_told(ledger)


def _take_all(ledger: Ledger, sample: Order) -> None:
    """An order, expired and kept for a day, for each amount of a price that is left."""
    tails = [*range(100, 50_000, 100), *(tail for tail in range(50_001, 100_000) if tail % 10)]
    assert len(tails) == amount_tails.COUNT
    _add(ledger, sample, tails, state="expired")


def _add(ledger: Ledger, sample: Order, tails: Iterable[int], *, state: str) -> None:
    """An order like another for each of these tails that is not its own."""
    values = {column.name: getattr(sample, column.name, None) for column in schema.orders.c}
    fixed = {"method": "tron", "state": state, "delivers": "licence", "file": ""}
    rows = [
        {**values, **fixed, "id": f"{tail:016d}", "request": f"r{tail}", "recipient": f"b{tail}"}
        | {"amount": sample.price + tail}
        for tail in tails
        if sample.price + tail != sample.amount
    ]
    with ledger.database.writing() as connection:
        connection.execute(schema.orders.insert(), rows)


def test_who_names_nobody_leaves_amounts_to_others(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders without a recipient are bounded together, and those that were paid do not count."""
    monkeypatch.setattr(order_book, "MAX_UNNAMED", 3)
    made = [unnamed(ledger, number) for number in range(3)]
    with pytest.raises(OrdersFull, match="without a recipient"):
        unnamed(ledger, 3)
    assert order(ledger, "somebody").state is OrderState.NEW
    settle(ledger, transfer(made[0].amount))
    assert unnamed(ledger, 3).state is OrderState.NEW


def unnamed(ledger: Ledger, number: int) -> Order:
    new = NewOrder(f"unnamed {number}", LICENCE, Method.TRON, "pull", "")
    return ledger.orders.create(new, tron_chain(), NOW)


@pytest.mark.parametrize("gone", ["wallet", "contract", "network", "method"])
def test_orders_that_can_no_longer_be_paid_end(ledger: Ledger, gone: str) -> None:
    """Five of them, of a former wallet, token or network, do not lock their buyer out for ever."""

    def another(number: int) -> Order:
        new = NewOrder(f"r{number}", LICENCE, Method.TON_USDT, "telegram", "7")
        return ledger.orders.create(new, chain_of(Method.TON_USDT), now)

    now = NOW
    made = [another(number) for number in range(MAX_OPEN)]
    kept = order(ledger, "of another wallet")
    chain = chain_of(Method.TON_USDT)
    left = {
        "wallet": [replace(chain, wallet="0:" + "7" * 64), tron_chain()],
        "contract": [replace(chain, contract="0:" + "8" * 64), tron_chain()],
        "method": [replace(chain, contract=""), tron_chain()],
        "network": [tron_chain()],
    }[gone]
    assert ledger.intake.end_unpayable([chain, tron_chain()], NOW + 10**10) == 0, "it is read"
    assert ledger.intake.end_unpayable(left, NOW + WINDOW_MS) == 0, "their time is not over"
    with pytest.raises(OrdersFull):
        another(99)
    now = NOW + WINDOW_MS + 1
    assert ledger.intake.end_unpayable(left, now) == MAX_OPEN
    assert ledger.intake.end_unpayable(left, now) == 0
    assert {state(ledger, one.id) for one in made} == {OrderState.EXPIRED}
    assert state(ledger, kept.id) is OrderState.NEW
    told = [said for said in ledgers.messages(ledger) if said[1] == "expired"]
    assert len(told) == MAX_OPEN, "each buyer hears of it"
    assert another(99).state is OrderState.NEW
    # Should the wallet be read again after all, what was paid in time counts.
    paid = transfer(made[0].amount, method=Method.TON_USDT, comment=made[0].comment)
    settle(ledger, paid)
    assert state(ledger, made[0].id) is OrderState.CONFIRMED
    ledgers.check(ledger)


def test_a_former_wallet_keeps_no_amounts_from_its_buyers(ledger: Ledger) -> None:
    """Those of orders that were never paid are let go when no payment would be recognised."""
    made = [
        ledger.orders.create(
            NewOrder(f"r{number}", LICENCE, Method.TRON, "telegram", str(number)), tron_chain(), NOW
        )
        for number in range(3)
    ]
    moved = [replace(tron_chain(), wallet=tron_address("another shop"))]
    ledger.intake.end_unpayable(moved, NOW + WINDOW_MS + 1)
    assert all(ledger.orders.get(one.id).reserved for one in made)
    ledger.intake.end_unpayable(moved, NOW + WINDOW_MS + RESERVED_MS + 1)
    assert not any(ledger.orders.get(one.id).reserved for one in made)


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


@pytest.mark.parametrize(
    "sent",
    [
        str.upper,
        str.capitalize,
        "'{}'".format,
        "order {}".format,
        lambda comment: f"{comment[:5]}\u200b{comment[5:]}",
    ],
    ids=["capitals", "a capital", "quotes", "a word before", "a space of no width"],
)
def test_a_comment_that_people_or_wallets_have_changed_settles(
    ledger: Ledger, sent: Callable[[str], str]
) -> None:
    """Exactly one word of 32 hex digits stands in it, and that names the order."""
    one = order(ledger, method=Method.TON)
    settle(ledger, transfer(one.amount, method=Method.TON, comment=sent(one.comment)))
    assert state(ledger, one.id) is OrderState.CONFIRMED


def test_the_wrong_coin_settles_nothing(ledger: Ledger) -> None:
    """The right comment on the wrong asset names the order, is for review, and is told as such."""
    one = order(ledger, method=Method.TON_USDT)
    settle(ledger, transfer(10**12, method=Method.TON, comment=one.comment))
    assert state(ledger, one.id) is OrderState.NEW
    (review,) = ledger.reviews.listing()
    assert (review.cause, review.order, review.method) == ("wrong_asset", one.id, Method.TON)
    (told,) = ledger.outbox.claim("pull", NOW)
    assert (told.kind, told.order.id, told.review) == ("wrong_asset", one.id, review)
    assert told.received == 0, "it does not count"
    ledgers.check(ledger)


def test_partial_payments_with_the_right_comment_add_up(ledger: Ledger) -> None:
    """The order is settled once, by the transfer that completes the sum, and the rest is told."""
    one = order(ledger, method=Method.TON)
    third = one.amount // 3
    comment = one.comment

    def part(amount: int, number: int, after: int = 1) -> Transfer:
        return transfer(
            amount,
            f"part {number}",
            position=number,
            method=Method.TON,
            comment=comment,
            block_ms=NOW + after,
        )

    assert settle(ledger, part(third, 1)) == Effect(new=1, review=1)
    assert state(ledger, one.id) is OrderState.UNDERPAID
    (told,) = ledger.outbox.claim("pull", NOW)
    assert (told.kind, told.received) == ("underpaid", third)
    assert ledger.outbox.done(told)
    assert settle(ledger, part(third, 2)) == Effect(new=1, review=1)
    (told,) = ledger.outbox.claim("pull", NOW)
    assert (told.kind, told.received) == ("underpaid", 2 * third)
    late = part(10 * third, 3, after=WINDOW_MS + 1)
    assert settle(ledger, late) == Effect(new=1, review=1), "what is late does not add up"
    assert state(ledger, one.id) is OrderState.PAID_LATE
    assert settle(ledger, part(one.amount - 2 * third, 4)) == Effect(new=1, settled=1)
    assert state(ledger, one.id) is OrderState.CONFIRMED
    assert [review.cause for review in ledger.reviews.listing()] == ["late"]
    takings = ledger.report().takings[Method.TON]
    assert (takings.settled, takings.settled_amount, takings.excess) == (3, one.amount, 0)
    assert [paid.settles for paid in ledger.orders.payments(one.id)] == [True] * 3 + [False]
    ledgers.check(ledger)


def test_the_fee_of_an_exchange_may_lack(ledger: Ledger) -> None:
    """As much as the tolerance that was set when the order was made, to the last unit, on TON."""
    chain = replace(chain_of(Method.TON), tolerance=Fraction(1, 100))
    price = LICENCE.prices[Method.TON]
    made = [
        ledger.orders.create(NewOrder(f"r{n}", LICENCE, Method.TON, "pull", f"b{n}"), chain, NOW)
        for n in range(2)
    ]
    for number, (one, lacks) in enumerate(zip(made, (price // 100, price // 100 + 1), strict=True)):
        paid = transfer(price - lacks, number, position=number, method=Method.TON)
        settle(ledger, replace(paid, comment=one.comment))
    states = [state(ledger, one.id) for one in made]
    assert states == [OrderState.CONFIRMED, OrderState.UNDERPAID]
    exact = replace(tron_chain(), tolerance=Fraction(1, 100))
    new = NewOrder("tron", LICENCE, Method.TRON, "pull", "b")
    assert ledger.orders.create(new, exact, NOW).tolerance == 0, "there the amount is the name"
    ledgers.check(ledger)


def test_the_time_to_pay_is_the_shops(ledger: Ledger) -> None:
    """As it was set when the order was made."""
    chain = replace(tron_chain(), window_ms=7 * MINUTE)
    made = ledger.orders.create(NewOrder("r", LICENCE, Method.TRON, "pull", "b"), chain, NOW)
    assert made.expires_ms == NOW + 7 * MINUTE
    assert made.reserved_until_ms == NOW + 7 * MINUTE + RESERVED_MS


def test_dust_is_counted_and_not_queued(ledger: Ledger) -> None:
    """On both chains, and what names an order is none, however small."""
    one, two = order(ledger, 1), order(ledger, 2, method=Method.TON)
    dust = {Method.TRON: 100, Method.TON: 100}
    at, coins = cursor(ledger), cursor(ledger, Method.TON)
    listed = [Sighting(tx_id(n), n, NOW + MINUTE, confirmed=True) for n in (1, 99, 100)]
    assert ledger.intake.note(at, USDT, listed, NOW, dust=100) == (3, 1)
    assert [found.tx_id for found in ledger.intake.waiting(at, NOW, limit=9)] == [tx_id(100)]
    read = ledger.intake.settle(at, tx_id(99), [transfer(99, 99)], NOW, dust=dust)
    assert read == Effect(new=1, dust=1)
    page = [
        transfer(99, "small", position=1, method=Method.TON),
        transfer(100, "large", position=2, method=Method.TON),
        transfer(1, "part", position=3, method=Method.TON, comment=two.comment),
    ]
    effect = ledger.intake.apply(coins, page, NOW, position=3, mark="00", dust=dust)
    assert effect == Effect(new=3, review=2, dust=1)
    assert state(ledger, two.id) is OrderState.UNDERPAID
    takings = ledger.report().takings
    assert (takings[Method.TRON].dust, takings[Method.TRON].dust_amount) == (2, 100)
    assert (takings[Method.TON].dust, takings[Method.TON].dust_amount) == (1, 99)
    assert {review.subject for review in ledger.reviews.listing()} == {
        f"tron:{tx_id(100)}",
        f"ton:{tx_id('large')}:2",
        f"ton:{tx_id('part')}:3",
    }
    assert state(ledger, one.id) is OrderState.NEW
    ledgers.check(ledger)


def test_dust_that_was_named_before_it_was_listed_is_counted_once(ledger: Ledger) -> None:
    """Its receipt was read, so whatever the index says of it later is known; nobody asks again."""
    at = cursor(ledger)
    one = order(ledger)
    settle(ledger, transfer(99, 99), transfer(one.amount, "paid"))
    listed = [
        Sighting(tx_id(name), amount, NOW + MINUTE, confirmed=True)
        for name, amount in ((99, 99), (99, 5), ("paid", one.amount))
    ]
    assert ledger.intake.note(at, USDT, listed, NOW, dust=100) == (3, 0)
    assert ledger.intake.waiting(at, NOW, limit=9) == []
    takings = ledger.report().takings[Method.TRON]
    assert (takings.dust, takings.review_amount, takings.settled) == (0, 99, 1)
    assert state(ledger, one.id) is OrderState.CONFIRMED


def test_who_overpaid_and_then_did_not_hears_so(ledger: Ledger) -> None:
    """A payment of exactly the price turns out to have come before; the other is a second one."""
    one = order(ledger, method=Method.TON)
    paid = [
        transfer(one.amount + more, more, position=2 + more, method=Method.TON, comment=one.comment)
        for more in (0, 5)
    ]
    settle(ledger, paid[1])
    assert state(ledger, one.id) is OrderState.OVERPAID
    settle(ledger, paid[0])
    assert state(ledger, one.id) is OrderState.CONFIRMED
    assert {kind for _, kind, _ in ledgers.messages(ledger)} >= {"confirmed", "duplicate"}
    ledgers.check(ledger)
    ledgers.check_told(ledger)


def test_thousands_end_in_a_few_statements(ledger: Ledger) -> None:
    """Once each, and each buyer hears of it once."""
    sample = order(ledger, "sample")
    _add(ledger, sample, range(100, 50_000, 20), state="new")
    statements: list[str] = []

    def count(*about: Any) -> None:
        statements.append(about[2])

    at, over = cursor(ledger), sample.expires_ms + 3 * MINUTE
    event.listen(Engine, "before_cursor_execute", count)
    try:
        ended = ledger.intake.complete([at], over, over)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert ended == len(ledgers.rows(ledger, schema.orders)) > 2000
    assert len(statements) < 50
    assert ledger.intake.complete([at], over, over) == 0
    assert {row.state for row in ledgers.rows(ledger, schema.orders)} == {"expired"}
    assert [kind for _, kind, _ in ledgers.messages(ledger)] == ["expired"] * ended
    ledgers.check(ledger)


def test_what_is_too_much_is_counted_order_by_order(ledger: Ledger) -> None:
    """One that lacks something within the tolerance makes up for no other's excess."""
    chain = replace(chain_of(Method.TON), tolerance=Fraction(1, 100))
    for number, difference in enumerate((1, -2, 5)):
        new = NewOrder(f"r{number}", LICENCE, Method.TON, "pull", f"b{number}")
        one = ledger.orders.create(new, chain, NOW)
        paid = transfer(one.amount + difference, number, position=number, method=Method.TON)
        settle(ledger, replace(paid, comment=one.comment))
    assert ledger.report().takings[Method.TON].excess == 6
    entries = ledger.reviews.listing()
    assert sorted((one.cause, one.amount) for one in entries) == [("overpaid", 1), ("overpaid", 5)]
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
