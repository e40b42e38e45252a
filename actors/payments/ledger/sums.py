"""What the ledger adds up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from actors.payments.chains.money import Method
from actors.payments.ledger import schema
from actors.payments.ledger.outbox import UNSENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.database import Database


@dataclass(frozen=True, slots=True)
class Takings:
    """What came in by one method, in its smallest unit.

    Attributes:
        settled: payments that settle orders.
        settled_amount: their sum.
        excess: part of that sum that was paid beyond what was asked.
        review: payments that settle nothing.
        review_amount: their sum.
    """

    settled: int
    settled_amount: int
    excess: int
    review: int
    review_amount: int


@dataclass(frozen=True, slots=True)
class LedgerSums:
    """The ledger in numbers.

    Attributes:
        orders: number of orders by state.
        takings: what came in, by method.
        reviews: open entries of the queue.
        refunds: proposed and not sent, sums by method.
        unsent: messages that are due.
    """

    orders: Mapping[str, int]
    takings: Mapping[Method, Takings]
    reviews: int
    refunds: Mapping[Method, int]
    unsent: int


def report(database: Database, *, since_ms: int = 0) -> LedgerSums:
    """Add up orders made, and payments whose block is, at or after `since_ms`."""
    orders, payments = schema.orders.c, schema.payments.c
    reviews, outbox = schema.reviews.c, schema.outbox.c
    count = sa.func.count()
    with database.reading() as connection:
        states = connection.execute(
            sa.select(orders.state, count.label("n"))
            .where(orders.created_ms >= since_ms)
            .group_by(orders.state)
        ).all()
        rows = connection.execute(
            sa.select(
                payments.method,
                payments.role,
                count.label("n"),
                sa.func.sum(payments.amount).label("amount"),
                sa.func.sum(payments.amount - orders.amount).label("excess"),
            )
            .join_from(schema.payments, schema.orders, payments.order_id == orders.id, isouter=True)
            .where(payments.block_ms >= since_ms)
            .group_by(payments.method, payments.role)
        ).all()
        refunds = connection.execute(
            sa.select(payments.method, sa.func.sum(reviews.refund_amount).label("amount"))
            .join_from(
                schema.reviews,
                schema.payments,
            )
            .where(reviews.decision == "refund", payments.block_ms >= since_ms)
            .group_by(payments.method)
        ).all()
        opened = connection.scalar(sa.select(count).where(reviews.status == "open"))
        unsent = connection.scalar(sa.select(count).where(outbox.status.in_(UNSENT)))
    found = {(row.method, row.role): row for row in rows}
    takings = {}
    for method in Method:
        settled, review = found.get((method, "settling")), found.get((method, "review"))
        takings[method] = Takings(
            settled=settled.n if settled else 0,
            settled_amount=int(settled.amount) if settled else 0,
            excess=max(0, int(settled.excess)) if settled else 0,
            review=review.n if review else 0,
            review_amount=int(review.amount) if review else 0,
        )
    return LedgerSums(
        orders={row.state: row.n for row in states},
        takings=takings,
        reviews=opened or 0,
        refunds={Method(row.method): int(row.amount) for row in refunds},
        unsent=unsent or 0,
    )
