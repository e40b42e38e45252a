"""The review queue: what came in and settles nothing by itself, for a person to decide.

Decisions: *accept* a transfer as the payment of an order, propose a *refund* (which is written down
and never sent: no key of a wallet is anywhere in this project), *dismiss*, or *retry* a delivery.
Each closes its entry and is told to the buyer of the order that it concerns; what becomes of a
refund is in `refunds`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actors.payments.chains import money
from actors.payments.errors import UnknownReview
from actors.payments.ledger import likely, order_book, outbox, review_entries, schema, settling
from actors.payments.ledger.orders import SETTLED, Cause, Order, OrderState, PaymentKey
from actors.payments.ledger.review_entries import ReviewFilter
from actors.payments.ledger.settling import Effect
from actors.runtime.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.ledger.review_entries import Review
    from actors.runtime.database import Database

MAX_NOTE: Final = 500
MAX_LISTED: Final = 1000
NO_TRANSFER: Final = "that entry is not of a transfer"
_NO_DELIVERY: Final = "that entry is of money, not of a delivery that was given up"


class ReviewQueue:
    """The queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listing(
        self,
        *,
        closed: bool = False,
        limit: int = 100,
        after: str | None = None,
        chosen: ReviewFilter | None = None,
    ) -> list[Review]:
        """Entries in the order of `review_entries`.

        Args:
            closed: those that were decided about; short for a filter of just that.
            limit: most entries to return, up to 1000.
            after: subject of the last entry of the page before.
            chosen: which ones; None for all.

        Raises:
            UnknownReview: there is no entry `after`.
        """
        wanted = chosen or ReviewFilter(closed=closed)
        with self._database.reading() as connection:
            found = review_entries.listing(
                connection, wanted, limit=min(limit, MAX_LISTED), after=after
            )
            return _with_likely(connection, found)

    def get(self, subject: str) -> Review:
        """The open entry `subject`, with the order that it probably pays.

        Raises:
            UnknownReview: there is no such entry.
        """
        with self._database.reading() as connection:
            found = review_entries.review_of(review_entries.opened(connection, subject))
            return _with_likely(connection, [found])[0]

    def find(self, subject: str) -> Review | None:
        """The entry `subject`, open or closed; None if there is none."""
        with self._database.reading() as connection:
            row = review_entries.one(connection, subject)
        return None if row is None else review_entries.review_of(row)

    def of_order(self, order_id: str) -> list[Review]:
        """All entries that concern an order, open and closed, oldest first."""
        with self._database.reading() as connection:
            return review_entries.of_order(connection, order_id)

    def count(self) -> int:
        """How many entries are open."""
        with self._database.reading() as connection:
            return review_entries.count(connection)

    def accept(
        self,
        subject: str,
        now_ms: int,
        *,
        order_id: str | None = None,
        underpaid: bool = False,
    ) -> str:
        """Take the transfer `subject` as the payment of its order, or of `order_id`; which it was.

        Where it does not suffice alone, other transfers of the order that are too small count too.

        Args:
            subject: an open entry of a transfer.
            now_ms: the time.
            order_id: the order that it pays; None for the one that it names.
            underpaid: take it although it is less than the price.

        Raises:
            UnknownReview: there is no such open entry of a transfer.
            UnknownOrder: there is no such order.
            InvalidInput: the entry names no order and none was given, or was paid otherwise, or is
                less than the price and `underpaid` does not say that this is meant.
            Conflict: the order has its payment.
        """
        with self._database.writing() as connection:
            row, order = _to_accept(connection, subject, order_id)
            parts = _parts(connection, order, subject) if row.amount < order.least else []
            paid = row.amount + sum(part.amount for part in parts)
            _check_price(order, paid, subject, underpaid=underpaid)
            for one, role in [(row, "settling"), *((part, "part") for part in parts)]:
                close(connection, one.subject, "accepted", now_ms, order_id=order.id)
                settling.set_role(connection, _key(one), role, order_id=order.id)
            if row.order_id not in {None, order.id}:  # it is taken from the order that it named
                settling.rejudge(connection, row.order_id, now_ms, Effect())
            to = OrderState.OVERPAID if paid > order.amount else OrderState.CONFIRMED
            order = settling.advance(connection, order, to, now_ms)
            settling.keep_excess(connection, order, max(0, paid - order.amount), now_ms)
            return order.id

    def sum_for(self, order: Order, entry: Review) -> int:
        """What accepting an entry of a transfer for an order pays it in all, the smallest unit."""
        with self._database.reading() as connection:
            amount = entry.amount or 0
            parts = _parts(connection, order, entry.subject) if amount < order.least else []
            return amount + sum(int(part.amount) for part in parts)

    def dismiss(self, subject: str, now_ms: int, *, note: str = "") -> None:
        """Close an entry with nothing to be done.

        Raises:
            UnknownReview: there is no such open entry.
        """
        with self._database.writing() as connection:
            row = review_entries.opened(connection, subject)
            lock_orders(connection, (row.order_id,))
            close(connection, subject, "dismissed", now_ms, note=note[:MAX_NOTE])
            if row.cause != Cause.UNDELIVERABLE:
                tell(connection, row, "dismissed", now_ms)

    def retry(self, subject: str, now_ms: int) -> str:
        """Have the delivery of an order tried again; which order it is.

        Raises:
            UnknownReview: there is no such open entry of a delivery.
        """
        with self._database.writing() as connection:
            row = review_entries.opened(connection, subject)
            if row.cause != Cause.UNDELIVERABLE:
                raise UnknownReview(subject, _NO_DELIVERY)
            order = order_book.fetch(connection, row.order_id, lock=True)
            outbox.deliver_again(connection, order, now_ms)
            close(connection, subject, "retried", now_ms)
            return order.id


def _with_likely(connection: Connection, entries: Sequence[Review]) -> list[Review]:
    """Entries with the orders that those probably pay that name none."""
    found = likely.orders_of(connection, entries)
    return [
        replace(one, likely=order.id, is_certain=order.is_certain)
        if (order := found.get(one.subject))
        else one
        for one in entries
    ]


def _to_accept(connection: Connection, subject: str, order_id: str | None) -> tuple[Any, Order]:
    """The entry and the order that it may pay, both as nobody else changes them now."""
    row = review_entries.opened(connection, subject)
    if row.tx_id is None:
        raise UnknownReview(subject, NO_TRANSFER)
    chosen = order_id or row.order_id
    if chosen is None:
        raise InvalidInput(
            f"{subject} cannot be accepted",
            "it names no order",
            "Name the order that it pays with --order.",
        )
    lock_orders(connection, (row.order_id, chosen))
    order = order_book.fetch(connection, chosen, lock=True)
    row = review_entries.opened(connection, subject)
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
    return row, order


def _parts(connection: Connection, order: Order, subject: str) -> list[Any]:
    """Open entries of other transfers of the order that are too small alone."""
    chosen = ReviewFilter(causes=(Cause.UNDERPAID,), order=order.id)
    found = review_entries.listing(connection, chosen, limit=MAX_LISTED)
    return [
        review_entries.opened(connection, one.subject) for one in found if one.subject != subject
    ]


def suffices(order: Order, paid: int) -> bool:
    """Whether that much may be accepted for an order without a word about its price."""
    return paid >= min(order.price, order.least)


def _check_price(order: Order, paid: int, subject: str, *, underpaid: bool) -> None:
    if underpaid or suffices(order, paid):
        return
    way = order.method
    raise InvalidInput(
        f"{subject} cannot be accepted just so",
        f"{money.text(paid, way)} {way.symbol} came in, and order {order.id} costs "
        f"{money.text(order.price, way)} {way.symbol}",
        "If it is to be delivered for that, say so with --underpaid (over HTTP: "
        '"underpaid": true); else propose a refund.',
    )


def _key(row: Any) -> PaymentKey:  # noqa: ANN401 - a row
    return PaymentKey(row.network, row.tx_id, row.position)


def lock_orders(connection: Connection, orders: Iterable[str | None]) -> None:
    """Keep others from changing these orders; in order of id, as all transactions do."""
    for order_id in sorted({one for one in orders if one is not None}):
        order_book.fetch(connection, order_id, lock=True)


def close(
    connection: Connection, subject: str, decision: str, now_ms: int, **values: object
) -> None:
    """Note the decision about an open entry.

    Raises:
        UnknownReview: another person, or a transfer that completes the sum, was first.
    """
    table = schema.reviews.c
    closed = connection.execute(
        schema.reviews.update()
        .where(table.subject == subject, table.status == "open")
        .values(status="closed", decision=decision, decided_ms=now_ms, **values)
    )
    if closed.rowcount != 1:
        raise UnknownReview(subject)


def tell(connection: Connection, row: Any, kind: str, now_ms: int) -> None:  # noqa: ANN401 - a row
    """Tell the buyer of a decision about an entry, and bring the order to what it is by that."""
    if row.order_id is None:
        return
    if row.tx_id is not None:
        settling.rejudge(connection, row.order_id, now_ms, Effect())
    order = order_book.fetch(connection, row.order_id, lock=True)
    settling.say(connection, order, (kind,), now_ms, about=row.subject, again=True)
