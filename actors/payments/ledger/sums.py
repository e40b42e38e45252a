"""What the ledger adds up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from actors.payments.chains.money import Method
from actors.payments.ledger import order_book, schema
from actors.payments.ledger.outbox import UNSENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from actors.runtime.database import Database


@dataclass(frozen=True, slots=True)
class Takings:
    """What came in by one method, in its smallest unit.

    Attributes:
        settled: payments that settle orders, alone or as a part.
        settled_amount: their sum.
        excess: part of that sum that was paid beyond what was asked, order by order.
        review: payments that settle nothing.
        review_amount: their sum.
        dust: payments that name no order and are too small to be looked at; on TRON those whose
            receipt nobody reads are in it.
        dust_amount: their sum.
    """

    settled: int
    settled_amount: int
    excess: int
    review: int
    review_amount: int
    dust: int
    dust_amount: int


@dataclass(frozen=True, slots=True)
class LedgerSums:
    """The ledger in numbers.

    Attributes:
        orders: number of orders by state.
        takings: what came in, by method.
        reviews: open entries of the queue.
        refunds: proposed and not sent, sums by method.
        refunded: sent, sums by method.
        unsent: messages that are due.
    """

    orders: Mapping[str, int]
    takings: Mapping[Method, Takings]
    reviews: int
    refunds: Mapping[Method, int]
    refunded: Mapping[Method, int]
    unsent: int


def report(database: Database, *, since_ms: int = 0) -> LedgerSums:
    """Add up orders made, and payments whose block is, at or after `since_ms`."""
    orders, reviews, outbox = schema.orders.c, schema.reviews.c, schema.outbox.c
    count = sa.func.count()
    with database.reading() as connection:
        states = connection.execute(
            sa.select(orders.state, count.label("n"))
            .where(orders.created_ms >= since_ms)
            .group_by(orders.state)
        ).all()
        takings = _takings(connection, since_ms)
        refunds, refunded = (_refunds(connection, since_ms, sent=sent) for sent in (False, True))
        opened = connection.scalar(sa.select(count).where(reviews.status == "open"))
        unsent = connection.scalar(sa.select(count).where(outbox.status.in_(UNSENT)))
    return LedgerSums(
        orders={row.state: row.n for row in states},
        takings=takings,
        reviews=opened or 0,
        refunds=refunds,
        refunded=refunded,
        unsent=unsent or 0,
    )


def _refunds(connection: Connection, since_ms: int, *, sent: bool) -> dict[Method, int]:
    orders, payments, reviews = schema.orders.c, schema.payments.c, schema.reviews.c
    method = sa.func.coalesce(payments.method, orders.method)
    paid_ms = sa.func.coalesce(payments.block_ms, reviews.opened_ms)
    sending = reviews.refund_tx != "" if sent else reviews.refund_tx == ""
    rows = connection.execute(
        sa.select(method.label("method"), sa.func.sum(reviews.refund_amount).label("amount"))
        .join_from(schema.reviews, schema.payments, isouter=True)
        .join(schema.orders, reviews.order_id == orders.id, isouter=True)
        .where(reviews.decision == "refund", sending, paid_ms >= since_ms)
        .group_by(method)
    ).all()
    return {Method(row.method): int(row.amount) for row in rows if row.method in set(Method)}


def _takings(connection: Connection, since_ms: int) -> dict[Method, Takings]:
    payments, sightings = schema.payments.c, schema.sightings.c
    sums = (sa.func.count().label("n"), sa.func.sum(payments.amount).label("amount"))
    rows = connection.execute(
        sa.select(payments.method, payments.role, *sums)
        .where(payments.block_ms >= since_ms)
        .group_by(payments.method, payments.role)
    ).all()
    unread = connection.execute(
        sa.select(sa.func.count().label("n"), sa.func.sum(sightings.amount).label("amount")).where(
            sightings.status == "dust", sightings.block_ms >= since_ms
        )
    ).one()
    found = {(row.method, row.role): (row.n, int(row.amount)) for row in rows}
    dust = {Method.TRON: (unread.n, int(unread.amount or 0))}  # where alone there are sightings
    excess = _excess(connection, since_ms)
    return {
        method: Takings(
            *_add(found.get((method, "settling")), found.get((method, "part"))),
            excess.get(method, 0),
            *_add(found.get((method, "review"))),
            *_add(found.get((method, "dust")), dust.get(method)),
        )
        for method in Method
    }


def _add(*sums: tuple[int, int] | None) -> tuple[int, int]:
    known = [one for one in sums if one is not None]
    return sum(one[0] for one in known), sum(one[1] for one in known)


def _excess(connection: Connection, since_ms: int) -> dict[Method, int]:
    """What was paid beyond what was asked: for each order by itself, since none makes up another's.

    An order counts whose last payment is in the time.
    """
    orders, payments = schema.orders.c, schema.payments.c
    over = (sa.func.sum(payments.amount) - orders.amount).label("over")
    paid = (
        sa.select(orders.method, over)
        .join_from(schema.payments, schema.orders, payments.order_id == orders.id)
        .where(payments.role.in_(order_book.PAYS))
        .group_by(orders.id, orders.method, orders.amount)
        .having(sa.func.max(payments.block_ms) >= since_ms)
        .subquery()
    )
    rows = connection.execute(
        sa.select(paid.c.method, sa.func.sum(paid.c.over).label("over"))
        .where(paid.c.over > 0)
        .group_by(paid.c.method)
    ).all()
    return {Method(row.method): int(row.over) for row in rows if row.method in set(Method)}
