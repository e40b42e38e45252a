"""The review queue: what came in and settles nothing by itself, for a person to decide.

Decisions: *accept* a transfer as the payment of an order, propose a *refund* (which is written down
and never sent: no key of a wallet is anywhere in this project), *dismiss*, or *retry* a delivery.
Every decision is final and closes its entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.payments.chains import addresses, money
from actors.payments.chains.money import Method, Network
from actors.payments.errors import UnknownReview
from actors.payments.ledger import order_book, outbox, schema, settling
from actors.payments.ledger.orders import SETTLED, Cause, OrderState, PaymentKey
from actors.runtime.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from actors.runtime.database import Database

_MAX_NOTE: Final = 500
_NO_TRANSFER: Final = "that entry is of a delivery that was given up, not of a transfer"
_NO_DELIVERY: Final = "that entry is of a transfer, not of a delivery that was given up"


@dataclass(frozen=True, slots=True)
class Review:
    """One entry. Times are ms since the Unix epoch, amounts in the smallest unit.

    Attributes:
        subject: its name: `network:transaction:position`, or `order:id`.
        cause: why it is here.
        order: id of the order that it concerns; None if none is known.
        method: how it was paid; None if it is not a transfer.
        verified: whether its receipt was read; what was not is hearsay and cannot be accepted.
        decision: "" while open, else "accepted", "refund", "dismissed" or "retried".
        refund_to: whom a proposed refund goes to.
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


class ReviewQueue:
    """The queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listing(self, *, closed: bool = False, limit: int = 100) -> list[Review]:
        """Open entries, oldest first; or closed ones, newest first."""
        with self._database.reading() as connection:
            found = [_review_of(row) for row in _rows(connection, closed=closed, limit=limit)]
            if not closed and len(found) < limit:
                found += _hearsay(connection, limit - len(found))
        return found

    def get(self, subject: str) -> Review:
        """The open entry `subject`.

        Raises:
            UnknownReview: there is no such entry.
        """
        with self._database.reading() as connection:
            return _review_of(_open(connection, subject))

    def count(self) -> int:
        """How many entries are open."""
        reviews, sightings = schema.reviews.c, schema.sightings.c
        with self._database.reading() as connection:
            opened = connection.scalar(sa.select(sa.func.count()).where(reviews.status == "open"))
            unread = connection.scalar(
                sa.select(sa.func.count()).where(
                    sightings.status == "waiting", sightings.order_id.is_(None)
                )
            )
        return (opened or 0) + (unread or 0)

    def accept(self, subject: str, now_ms: int, *, order_id: str | None = None) -> str:
        """Take the transfer `subject` as the payment of its order, or of `order_id`; which it was.

        Raises:
            UnknownReview: there is no such open entry of a transfer.
            UnknownOrder: there is no such order.
            InvalidInput: the entry names no order and none was given, or was paid otherwise.
            Conflict: the order has its payment.
        """
        with self._database.writing() as connection:
            row = _open(connection, subject)
            if row.tx_id is None:
                raise UnknownReview(subject, _NO_TRANSFER)
            chosen = order_id or row.order_id
            if chosen is None:
                raise InvalidInput(
                    f"{subject} cannot be accepted",
                    "it names no order",
                    "Name the order that it pays with --order.",
                )
            order = order_book.fetch(connection, chosen, lock=True)
            if order.state in SETTLED:
                raise Conflict(
                    f"order {order.id} cannot take {subject}",
                    f"it is {order.state} and has its payment",
                    "Propose a refund instead.",
                )
            if order.method != row.method:
                raise InvalidInput(
                    f"{subject} cannot pay order {order.id}",
                    f"it is {row.method}, and the order asks for {order.method}",
                    "Propose a refund instead.",
                )
            _close(connection, subject, "accepted", now_ms, order_id=order.id)
            key = PaymentKey(row.network, row.tx_id, row.position)
            payments = schema.payments.c
            connection.execute(
                schema.payments.update()
                .where(payments.network == key.network, payments.tx_id == key.tx_id)
                .where(payments.position == key.position)
                .values(role="settling", order_id=order.id)
            )
            over = row.amount > order.amount
            to = OrderState.OVERPAID if over else OrderState.CONFIRMED
            settling.advance(connection, order, to, now_ms)
            return order.id

    def propose_refund(
        self,
        subject: str,
        now_ms: int,
        *,
        to: str | None = None,
        amount: int | None = None,
        note: str = "",
    ) -> Review:
        """Write down that a transfer should go back: to its sender and whole, unless told so.

        Raises:
            UnknownReview: there is no such open entry of a transfer.
            InvalidInput: the amount is not within the transfer's, or `to` is no address there.
        """
        with self._database.writing() as connection:
            row = _open(connection, subject)
            if row.tx_id is None:
                raise UnknownReview(subject, _NO_TRANSFER)
            chosen = row.amount if amount is None else amount
            if not 0 < chosen <= row.amount:
                way = Method(row.method)
                raise InvalidInput(
                    f"a refund of {money.text(chosen, way)} {way.symbol} cannot be proposed",
                    f"{money.text(row.amount, way)} {way.symbol} came in",
                    "Propose at most what came in.",
                )
            if to is not None:
                _check_address(to, Method(row.method))
            _close(
                connection,
                subject,
                "refund",
                now_ms,
                note=note[:_MAX_NOTE],
                refund_to=to or row.sender,
                refund_amount=chosen,
            )
            return _review_of(_one(connection, subject))

    def dismiss(self, subject: str, now_ms: int, *, note: str = "") -> None:
        """Close an entry with nothing to be done.

        Raises:
            UnknownReview: there is no such open entry.
        """
        with self._database.writing() as connection:
            _open(connection, subject)
            _close(connection, subject, "dismissed", now_ms, note=note[:_MAX_NOTE])

    def retry(self, subject: str, now_ms: int) -> str:
        """Have the delivery of an order tried again; which order it is.

        Raises:
            UnknownReview: there is no such open entry of a delivery.
        """
        with self._database.writing() as connection:
            row = _open(connection, subject)
            if row.cause != Cause.UNDELIVERABLE:
                raise UnknownReview(subject, _NO_DELIVERY)
            order = order_book.fetch(connection, row.order_id, lock=True)
            outbox.deliver_again(connection, order, now_ms)
            _close(connection, subject, "retried", now_ms)
            return order.id


def _check_address(to: str, method: Method) -> None:
    """Refuse what was not copied whole: whoever sends the refund copies it from here.

    Raises:
        InvalidInput: it is no address of the method's chain.
    """
    try:
        (addresses.tron if method.network is Network.TRON else addresses.ton)(to)
    except ValueError as error:
        raise InvalidInput(
            f"a refund to {to[:70]!r} cannot be proposed",
            str(error),
            "Copy the address again, whole.",
        ) from None


def _query() -> sa.Select[Any]:
    payments = schema.payments.c
    return sa.select(
        schema.reviews, payments.method, payments.amount, payments.sender, payments.block_ms
    ).join_from(
        schema.reviews,
        schema.payments,
        isouter=True,
    )


def _rows(connection: Connection, *, closed: bool, limit: int) -> Iterable[Any]:
    table = schema.reviews.c
    if closed:
        query = _query().where(table.status == "closed").order_by(table.decided_ms.desc())
    else:
        query = _query().where(table.status == "open").order_by(table.opened_ms)
    return connection.execute(query.order_by(table.subject).limit(limit)).all()


def _one(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    return connection.execute(_query().where(schema.reviews.c.subject == subject)).first()


def _open(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    row = _one(connection, subject)
    if row is None or row.status != "open":
        raise UnknownReview(subject)
    return row


def _close(
    connection: Connection, subject: str, decision: str, now_ms: int, **values: object
) -> None:
    table = schema.reviews.c
    closed = connection.execute(
        schema.reviews.update()
        .where(table.subject == subject, table.status == "open")
        .values(status="closed", decision=decision, decided_ms=now_ms, **values)
    )
    if closed.rowcount != 1:  # another person was first
        raise UnknownReview(subject)


def _hearsay(connection: Connection, limit: int) -> list[Review]:
    """Transactions that the index lists, that no order waits for, and whose receipts are due."""
    table = schema.sightings.c
    rows = connection.execute(
        sa.select(schema.sightings)
        .where(table.status == "waiting", table.order_id.is_(None))
        .order_by(table.block_ms, table.tx_id, table.amount)
        .limit(limit)
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


def _review_of(row: Any) -> Review:  # noqa: ANN401 - a row
    return Review(
        subject=row.subject,
        cause=Cause(row.cause),
        order=row.order_id,
        method=None if row.method is None else Method(row.method),
        amount=row.amount,
        sender=row.sender or "",
        block_ms=row.block_ms,
        opened_ms=row.opened_ms,
        verified=row.tx_id is not None,
        decision=row.decision,
        note=row.note,
        refund_to=row.refund_to,
        refund_amount=row.refund_amount,
    )
