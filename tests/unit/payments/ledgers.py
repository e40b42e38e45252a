"""Looking into a ledger behind its methods: for comparing two, and for what must always hold."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.orders import SETTLED, OrderState

_REFUND = ("note", "refund_to", "refund_amount", "refund_tx")


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.db"
        Ledger(SecretStr(f"sqlite:///{path}")).close()
        return path.read_bytes()


def sqlite(path: Path) -> SecretStr:
    """URL of a ledger that is empty, copied there: making its tables takes as long as a test."""
    path.touch(0o600, exist_ok=False)
    path.write_bytes(_empty())
    return SecretStr(f"sqlite:///{path}")


def wipe(ledger: Ledger) -> None:
    """Empty all tables."""
    with ledger.database.writing() as connection:
        for table in reversed(schema.METADATA.sorted_tables):
            connection.execute(table.delete())


def rows(ledger: Ledger, table: sa.Table) -> list[Any]:
    """All rows of a table, in the order of its key."""
    with ledger.database.reading() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all())


def snapshot(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    """What must be equal however the ledger came to be: no clocks, no drawn numbers."""
    wanted = {
        "orders": (schema.orders, ("request", "state", "reserved")),
        "payments": (schema.payments, ("tx_id", "position", "amount", "role", "settles")),
        "reviews": (schema.reviews, ("subject", "cause", "status", "decision", "amount", *_REFUND)),
        "signing_keys": (schema.signing_keys, ("fingerprint",)),
        "sightings": (schema.sightings, ("tx_id", "amount", "status", "reason")),
    }
    found = {
        name: sorted(
            tuple(getattr(row, column) for column in columns) for row in rows(ledger, table)
        )
        for name, (table, columns) in wanted.items()
    }
    names = {row.id: row.request for row in rows(ledger, schema.orders)}
    # An entry about an order bears its id, which is drawn.
    found["reviews"] = sorted(
        (names.get(subject.partition(":")[2], subject), *rest)
        for subject, *rest in found["reviews"]
    )
    found["entitlements"] = sorted(
        (names[row.order_id],) for row in rows(ledger, schema.entitlements)
    )
    found["settling"] = sorted(
        (names[row.order_id], row.tx_id, row.position)
        for row in rows(ledger, schema.payments)
        if row.role == "settling"
    )
    return found


def messages(ledger: Ledger) -> list[tuple[str, str, str]]:
    """What was said and is to be said; which depends on what was known when."""
    names = {row.id: row.request for row in rows(ledger, schema.orders)}
    return sorted(
        (names[row.order_id], row.kind, row.status) for row in rows(ledger, schema.outbox)
    )


def check(ledger: Ledger) -> None:
    """What holds at every moment, whatever happens (properties 1, 4, 5 and 9)."""
    orders = {row.id: row for row in rows(ledger, schema.orders)}
    reviews = {
        row.subject if row.tx_id is None else (row.network, row.tx_id, row.position): row
        for row in rows(ledger, schema.reviews)
    }
    entitled = {row.order_id for row in rows(ledger, schema.entitlements)}
    settling, parts = _settling(rows(ledger, schema.payments), reviews)
    for order in orders.values():
        paid = OrderState(order.state) in SETTLED
        assert paid == (order.id in entitled) == (order.id in settling)
        assert paid or order.id not in parts, "a part without the whole"
        if paid:
            _check_payment(order, [*parts.get(order.id, ()), settling[order.id]], reviews)
        _check_speaks(order, reviews)
    live = [
        (order.wallet, order.contract, order.amount)
        for order in orders.values()
        if order.reserved and order.method == "tron"
    ]
    assert len(live) == len(set(live)), "two live reservations are equal"
    kinds = [(row.order_id, row.kind, row.about) for row in rows(ledger, schema.outbox)]
    assert len(kinds) == len(set(kinds)), "a message is owed twice"
    assert {order_id for order_id, kind, _ in kinds if kind == "delivery"} <= entitled


def check_told(ledger: Ledger) -> None:
    """Whoever paid has heard, or is owed, what became of it: of each transfer that settles
    nothing, and of each decision about one."""
    owed = [(row.order_id, row.kind, row.about) for row in rows(ledger, schema.outbox)]
    for entry in rows(ledger, schema.reviews):
        if entry.order_id is None or entry.cause == "undeliverable":
            continue
        about = {kind for _, kind, about in owed if about == entry.subject}
        if entry.cause == "overpaid":
            assert (entry.order_id, "overpaid", "") in owed
        elif entry.decision != "accepted":  # an entry may have been given to another order
            assert about & {{"late": "paid_late"}.get(entry.cause, entry.cause), "duplicate"}
        _check_decision_told(entry, about)


def _check_decision_told(entry: Any, about: set[str]) -> None:
    if entry.decision == "dismissed":
        assert "dismissed" in about
    if entry.decision == "refund":
        assert about & {"refund_planned" if entry.refund_to else "refund_asked", "refund_sent"}


def _settling(
    payments: list[Any], reviews: dict[Any, Any]
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """By order, what completes its sum, and the rest of it. All others are in review, or dust."""
    settling: dict[str, Any] = {}
    parts: dict[str, list[Any]] = {}
    for payment in payments:
        review = reviews.get((payment.network, payment.tx_id, payment.position))
        if payment.role == "settling":
            assert payment.order_id not in settling, "two payments settle one order"
            settling[payment.order_id] = payment
            assert review is None or review.decision == "accepted"
        elif payment.role == "part":
            parts.setdefault(payment.order_id, []).append(payment)
            assert review is None or review.decision == "accepted"
        elif payment.role == "dust":
            assert review is None, "dust is not queued"
            assert payment.order_id is None
        else:
            assert review is not None, "a transfer is neither settled, nor in review, nor dust"
            assert review.decision != "accepted"
    return settling, parts


def _check_payment(order: Any, payments: list[Any], reviews: dict[Any, Any]) -> None:
    """What settles an order is enough, in time, and without anything that is not needed for it."""
    for payment in payments:
        assert (payment.method, payment.wallet, payment.contract) == (
            order.method,
            order.wallet,
            order.contract,
        )
    last = payments[-1]
    entry = reviews.get(f"excess:{order.id}")
    paid = sum(payment.amount for payment in payments)
    assert (paid > order.amount) == (entry is not None), "who overpaid waits for nobody"
    if entry is not None and entry.status == "open":
        assert entry.amount == paid - order.amount
    if (last.network, last.tx_id, last.position) in reviews:
        return  # a person has accepted it
    assert paid >= order.amount - order.tolerance > paid - last.amount
    for payment in payments:
        assert payment.settles
        assert payment.block_ms <= order.expires_ms
    if order.method == "tron":
        assert [payment.amount for payment in payments] == [order.amount]
        assert last.block_ms >= order.created_ms - TOLERATED_MS


def _check_speaks(order: Any, reviews: dict[Any, Any]) -> None:
    """A state that speaks of a person has an entry that a person can act on, and no other has."""
    mine = [entry for entry in reviews.values() if entry.order_id == order.id]
    if order.state in {"underpaid", "paid_late"}:
        wanted = {"underpaid": "underpaid", "paid_late": "late"}[order.state]
        assert wanted in {entry.cause for entry in mine if entry.status == "open"}
    if order.state == "closed":
        waiting = {entry.cause for entry in mine if entry.status == "open"}
        assert not waiting & {"underpaid", "late"}
    if order.state == "review":
        assert any(entry.cause == "undeliverable" for entry in mine)
