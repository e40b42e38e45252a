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
        "reviews": (schema.reviews, ("subject", "cause", "status", "decision")),
        "sightings": (schema.sightings, ("tx_id", "amount", "status", "reason")),
    }
    found = {
        name: sorted(
            tuple(getattr(row, column) for column in columns) for row in rows(ledger, table)
        )
        for name, (table, columns) in wanted.items()
    }
    names = {row.id: row.request for row in rows(ledger, schema.orders)}
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
    reviews = {(row.network, row.tx_id, row.position): row for row in rows(ledger, schema.reviews)}
    entitled = {row.order_id for row in rows(ledger, schema.entitlements)}
    settling = _settling(rows(ledger, schema.payments), reviews)
    for order in orders.values():
        paid = OrderState(order.state) in SETTLED
        assert paid == (order.id in entitled) == (order.id in settling)
        if paid:
            _check_payment(order, settling[order.id], reviews)
    live = [
        (order.wallet, order.contract, order.amount)
        for order in orders.values()
        if order.reserved and order.method == "tron"
    ]
    assert len(live) == len(set(live)), "two live reservations are equal"
    kinds = [(row.order_id, row.kind) for row in rows(ledger, schema.outbox)]
    assert len(kinds) == len(set(kinds)), "a message is owed twice"
    assert {order_id for order_id, kind in kinds if kind == "delivery"} <= entitled


def _settling(payments: list[Any], reviews: dict[Any, Any]) -> dict[str, Any]:
    """By order, what settles it: one payment. All others are in review."""
    settling: dict[str, Any] = {}
    for payment in payments:
        review = reviews.get((payment.network, payment.tx_id, payment.position))
        if payment.role == "settling":
            assert payment.order_id not in settling, "two payments settle one order"
            settling[payment.order_id] = payment
            assert review is None or review.decision == "accepted"
        else:
            assert review is not None, "a transfer is neither settled nor in review"
            assert review.decision != "accepted"
    return settling


def _check_payment(order: Any, payment: Any, reviews: dict[Any, Any]) -> None:
    assert (payment.method, payment.wallet, payment.contract) == (
        order.method,
        order.wallet,
        order.contract,
    )
    if (payment.network, payment.tx_id, payment.position) in reviews:
        return  # a person has accepted it
    assert payment.settles
    assert payment.block_ms <= order.expires_ms
    if order.method == "tron":
        assert payment.amount == order.amount
        assert payment.block_ms >= order.created_ms - TOLERATED_MS
    else:
        assert payment.amount >= order.amount
