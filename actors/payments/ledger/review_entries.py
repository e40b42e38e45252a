"""Entries of the review queue as they are read: listed, filtered, page by page.

Open entries that name an order come first, then the oldest; after all of them what only an index
lists, whose receipt nobody has read yet. Closed ones come newest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from actors.payments.chains.money import Method
from actors.payments.errors import DamagedRecord, UnknownReview
from actors.payments.ledger import queries, schema
from actors.payments.ledger.orders import Cause

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Review:
    """One entry. Times are ms since the Unix epoch, amounts in the smallest unit.

    Attributes:
        subject: its name: `network:transaction:position`, `order:id` of a delivery, `excess:id`
            of what an order was paid beyond what was asked, or `tokens:id:transaction` of tokens
            that the shop does not take.
        cause: why it is here.
        order: id of the order that it concerns; None if none is known.
        method: how it was paid; None if it is not about money.
        amount: what came in, or the excess.
        verified: whether its receipt was read; what was not is hearsay and cannot be decided about.
        decision: "" while open, else "accepted", "refund", "dismissed" or "retried".
        refund_to: whom a refund goes to; empty while the buyer has not said so.
        comment: the text that came with the transfer.
        refund_tx: id of the transaction that sent the refund; empty while nobody has.
        sent_ms: when that was noted.
        likely: id of the order that it probably pays, of one that names none.
        is_certain: the order, or the likely one, is no guess.
    """

    subject: str
    cause: Cause
    order: str | None
    method: Method | None
    amount: int | None
    sender: str
    block_ms: int | None
    opened_ms: int
    verified: bool
    decision: str
    note: str
    refund_to: str
    refund_amount: int | None
    comment: str = ""
    refund_tx: str = ""
    sent_ms: int | None = None
    likely: str | None = None
    is_certain: bool = False

    @property
    def proposed(self) -> str | None:
        """Id of the order that it concerns, or probably pays; None if nothing stands out."""
        return self.order or self.likely


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which entries are meant; what is left out leaves all.

    Attributes:
        closed: those that were decided about, instead of the open ones.
        causes: those of these causes.
        order: those of this order.
        method: those paid in this way.
        below: those of less than this, in the smallest unit, by method.
        refunds: those that a refund was proposed for (True: and sent; False: and not sent).
    """

    closed: bool = False
    causes: Collection[Cause] = ()
    order: str | None = None
    method: Method | None = None
    below: Mapping[Method, int] = field(default_factory=dict)
    refunds: bool | None = None


def listing(
    connection: Connection, chosen: ReviewFilter, *, limit: int, after: str | None = None
) -> list[Review]:
    """Entries in their order, at most `limit`, of those that follow the entry `after`.

    Raises:
        UnknownReview: there is no entry `after`.
    """
    hearsay_after = None
    rows: list[Any] = []
    if after is not None and chosen.refunds is None and not chosen.closed:
        hearsay_after = _sighting(connection, after)
    if hearsay_after is None:
        query = _ordered(_chosen(chosen), closed=chosen.closed or chosen.refunds is not None)
        if after is not None:
            query = query.where(_follows(connection, after, chosen))
        rows = list(connection.execute(query.limit(limit)).all())
    found = queries.readable(rows, review_of)
    if len(found) < limit and _may_be_hearsay(chosen):
        found += _hearsay(connection, chosen, limit - len(found), hearsay_after)
    return found


def one(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    """The row of an entry, with its transfer's; None if there is none."""
    return connection.execute(_query().where(schema.reviews.c.subject == subject)).first()


def opened(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    """The row of an open entry.

    Raises:
        UnknownReview: there is no such entry.
    """
    row = one(connection, subject)
    if row is None or row.status != "open":
        if row is None and _sighting(connection, subject) is not None:
            raise UnknownReview(
                subject,
                "only an index lists it: its receipt was not read yet, and only that can be "
                "decided about",
            )
        raise UnknownReview(subject)
    return row


def of_order(connection: Connection, order_id: str) -> list[Review]:
    """All entries of an order, oldest first."""
    table = schema.reviews.c
    rows = connection.execute(
        _query().where(table.order_id == order_id).order_by(table.opened_ms, table.subject)
    ).all()
    return queries.readable(rows, review_of)


def review_of(row: Any) -> Review:  # noqa: ANN401 - a row
    """The entry that a row holds.

    Raises:
        DamagedRecord: it holds none.
    """
    record = f"entry {row.subject}"
    _check_types(row, record)
    try:
        cause, method = Cause(row.cause), None if row.method is None else Method(row.method)
    except ValueError as error:
        raise DamagedRecord(record, str(error)) from None
    return Review(
        subject=row.subject,
        cause=cause,
        order=row.order_id,
        method=method,
        amount=row.amount,
        sender=row.sender or "",
        block_ms=row.block_ms,
        opened_ms=row.opened_ms,
        verified=True,
        decision=row.decision,
        note=row.note,
        refund_to=row.refund_to,
        refund_amount=row.refund_amount,
        comment=row.comment or "",
        refund_tx=row.refund_tx,
        sent_ms=row.sent_ms,
        is_certain=row.order_id is not None,
    )


def _check_types(row: Any, record: str) -> None:  # noqa: ANN401 - a row
    for name in ("amount", "block_ms", "opened_ms", "refund_amount", "sent_ms"):
        if not isinstance(getattr(row, name), int | None):
            raise DamagedRecord(record, f"its {name} is no number")
    for name in ("subject", "order_id", "sender", "decision", "note", "refund_to", "comment"):
        if not isinstance(getattr(row, name), str | None):
            raise DamagedRecord(record, f"its {name} is no text")


def _query() -> sa.Select[Any]:
    reviews, payments, orders = schema.reviews.c, schema.payments.c, schema.orders.c
    shown = [column for column in reviews if column.name != "amount"]
    method = sa.case((reviews.amount.is_not(None), orders.method), else_=payments.method)
    return (
        sa.select(
            *shown,
            method.label("method"),
            sa.func.coalesce(reviews.amount, payments.amount).label("amount"),
            payments.sender,
            payments.block_ms,
            payments.comment,
        )
        .join_from(schema.reviews, schema.payments, isouter=True)
        .join(schema.orders, reviews.order_id == orders.id, isouter=True)
    )


def _chosen(chosen: ReviewFilter) -> sa.Select[Any]:
    table = schema.reviews.c
    query = _query()
    method, amount = query.selected_columns.method, query.selected_columns.amount
    if chosen.refunds is not None:
        sent = table.refund_tx != "" if chosen.refunds else table.refund_tx == ""
        query = query.where(table.decision == "refund", sent)
    else:
        query = query.where(table.status == ("closed" if chosen.closed else "open"))
    if chosen.causes:
        query = query.where(queries.one_of(table.cause, chosen.causes))
    if chosen.order is not None:
        query = query.where(table.order_id == chosen.order)
    if chosen.method is not None:
        query = query.where(method == str(chosen.method))
    if chosen.below:
        small = (sa.and_(method == str(way), amount < bound) for way, bound in chosen.below.items())
        query = query.where(sa.or_(*small))
    return query


def _rank() -> sa.ColumnElement[int]:
    return sa.case((schema.reviews.c.order_id.is_(None), 1), else_=0)


def _ordered(query: sa.Select[Any], *, closed: bool) -> sa.Select[Any]:
    table = schema.reviews.c
    if closed:
        return query.order_by(table.decided_ms.desc(), table.subject)
    return query.order_by(_rank(), table.opened_ms, table.subject)


def _follows(connection: Connection, after: str, chosen: ReviewFilter) -> sa.ColumnElement[bool]:
    table = schema.reviews.c
    last = one(connection, after)
    if last is None:
        raise UnknownReview(after, "the queue has no such entry to go on from")
    if chosen.closed or chosen.refunds is not None:
        same = sa.and_(table.decided_ms == last.decided_ms, table.subject > after)
        return sa.or_(table.decided_ms < last.decided_ms, same)
    rank = 1 if last.order_id is None else 0
    same_rank = sa.or_(
        table.opened_ms > last.opened_ms,
        sa.and_(table.opened_ms == last.opened_ms, table.subject > after),
    )
    return sa.or_(_rank() > rank, sa.and_(_rank() == rank, same_rank))


def _may_be_hearsay(chosen: ReviewFilter) -> bool:
    return (
        not chosen.closed
        and chosen.refunds is None
        and chosen.order is None
        and chosen.method in {None, Method.TRON}
        and (not chosen.causes or Cause.UNMATCHED in chosen.causes)
    )


def _unread() -> sa.ColumnElement[bool]:
    table = schema.sightings.c
    return sa.and_(table.status == "waiting", table.order_id.is_(None))


def _sighting(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    """The last row of a transaction that only an index lists, if `subject` names one."""
    network, _, tx_id = subject.partition(":")
    table = schema.sightings.c
    if ":" in tx_id:
        return None
    return connection.execute(
        sa.select(schema.sightings)
        .where(table.network == network, table.tx_id == tx_id)
        .order_by(table.amount.desc())
        .limit(1)
    ).first()


def _hearsay(
    connection: Connection,
    chosen: ReviewFilter,
    limit: int,
    after: Any,  # noqa: ANN401 - a row
) -> list[Review]:
    """Transactions that the index lists, that no order waits for, and whose receipts are due."""
    table = schema.sightings.c
    query = sa.select(schema.sightings).where(_unread())
    if chosen.below:
        bound = chosen.below.get(Method.TRON, 0)
        query = query.where(table.amount > 0, table.amount < bound)
    if after is not None:
        later = sa.and_(table.block_ms == after.block_ms, table.tx_id > after.tx_id)
        query = query.where(sa.or_(table.block_ms > after.block_ms, later))
    rows = connection.execute(
        query.order_by(table.block_ms, table.tx_id, table.amount).limit(limit)
    ).all()
    return [
        Review(
            subject=f"{row.network}:{row.tx_id}",
            cause=Cause.UNMATCHED,
            order=None,
            method=Method(row.network),
            amount=row.amount or None,  # the index may not have named it
            sender="",
            block_ms=row.block_ms,
            opened_ms=row.block_ms,
            verified=False,
            decision="",
            note="",
            refund_to="",
            refund_amount=None,
        )
        for row in rows
    ]


def count(connection: Connection) -> int:
    """How many entries are open, what only an index lists included."""
    queued = sa.select(sa.func.count()).where(schema.reviews.c.status == "open")
    listed = sa.select(sa.func.count()).select_from(schema.sightings).where(_unread())
    return (connection.scalar(queued) or 0) + (connection.scalar(listed) or 0)
