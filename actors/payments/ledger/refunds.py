"""Refunds: proposed, given an address, sent by a person from the shop's wallet, and noted as sent.

    proposed without an address -> the buyer is asked -> address known -> sent, with its transaction

Nothing here sends anything. A transfer's sender is never taken for the address by itself: it may be
an exchange, which credits nobody for what comes back. Until it is sent, the address and the amount
can be corrected and the proposal withdrawn; of a sent one, the id of the transaction can be.
Whatever changes is told to the buyer again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actors.payments.chains import addresses, money
from actors.payments.chains.money import Method, Network
from actors.payments.errors import UnknownReview
from actors.payments.ledger import order_book, review_entries, reviews, schema, settling
from actors.payments.ledger.orders import Cause
from actors.payments.ledger.settling import Effect
from actors.runtime.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from actors.payments.ledger.review_entries import Review
    from actors.runtime.database import Database

ASKED: Final = "refund_asked"
PLANNED: Final = "refund_planned"
SENT: Final = "refund_sent"
MAX_TX: Final = 80  # characters of a transaction's id, on any chain in any form
_NO_REFUND: Final = "no refund is proposed for that entry"


class Refunds:
    """The refunds of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listing(
        self, *, sent: bool = False, limit: int = 100, after: str | None = None
    ) -> list[Review]:
        """Refunds that are still to be sent, or those that were; the latest decision first.

        Raises:
            UnknownReview: there is no entry `after`.
        """
        chosen = review_entries.ReviewFilter(refunds=sent)
        with self._database.reading() as connection:
            return review_entries.listing(
                connection, chosen, limit=min(limit, reviews.MAX_LISTED), after=after
            )

    def propose(
        self,
        subject: str,
        now_ms: int,
        *,
        to: str | None = None,
        amount: int | None = None,
        note: str = "",
    ) -> Review:
        """Write down that a transfer, or an excess, should go back: whole, unless told so.

        Args:
            subject: an open entry of money.
            now_ms: the time.
            to: address that the buyer has named; None to ask the buyer of the order.
            amount: how much, in the smallest unit; None for all.
            note: why, for those who read it later.

        Raises:
            UnknownReview: there is no such open entry of money.
            InvalidInput: the amount is not within what came in, `to` is no address there, or it
                is left out and the entry names no order whose buyer could be asked.
        """
        with self._database.writing() as connection:
            row = review_entries.opened(connection, subject)
            if row.amount is None:
                raise UnknownReview(subject, reviews.NO_TRANSFER)
            chosen = _checked(row, to, row.amount if amount is None else amount)
            if to is None and row.order_id is None:
                raise InvalidInput(
                    f"a refund of {subject} cannot be proposed without an address",
                    "it names no order, so there is nobody to ask, and its sender's address may "
                    "be an exchange's",
                    "Name the address with --to, once its owner has told it to you.",
                )
            reviews.lock_orders(connection, (row.order_id,))
            reviews.close(
                connection,
                subject,
                "refund",
                now_ms,
                note=note[: reviews.MAX_NOTE],
                refund_to=to or "",
                refund_amount=chosen,
            )
            reviews.tell(connection, row, PLANNED if to else ASKED, now_ms)
            return _entry(connection, subject)

    def correct(
        self, subject: str, now_ms: int, *, to: str | None = None, amount: int | None = None
    ) -> Review:
        """Change the address or the amount of a refund that was not sent yet.

        Raises:
            UnknownReview: no refund is proposed under that name.
            InvalidInput: as `propose`.
            Conflict: it was sent.
        """
        with self._database.writing() as connection:
            row = _proposed(connection, subject)
            _check_unsent(row)
            chosen = _checked(row, to, row.refund_amount if amount is None else amount)
            address = row.refund_to if to is None else to
            _write(connection, subject, refund_to=address, refund_amount=chosen)
            reviews.tell(connection, row, PLANNED if address else ASKED, now_ms)
            return _entry(connection, subject)

    def address_given(self, order_id: str, address: str, now_ms: int) -> list[Review]:
        """The buyer of an order says where its refunds are to go; those that are not sent yet.

        Raises:
            UnknownReview: the order has no refund that is still to be sent.
            InvalidInput: it is no address of the chain of one of them.
        """
        with self._database.writing() as connection:
            reviews.lock_orders(connection, (order_id,))
            waiting = [
                one
                for one in review_entries.of_order(connection, order_id)
                if one.decision == "refund" and not one.refund_tx
            ]
            if not waiting:
                raise UnknownReview(order_id, "that order has no refund that is still to be sent")
            for one in waiting:
                row = _proposed(connection, one.subject)
                _checked(row, address, row.refund_amount)
                _write(connection, one.subject, refund_to=address)
                reviews.tell(connection, row, PLANNED, now_ms)
            return [replace(one, refund_to=address) for one in waiting]

    def sent(self, subject: str, tx_id: str, now_ms: int) -> Review:
        """Note that a refund was sent, in which transaction; again, to correct that.

        Raises:
            UnknownReview: no refund is proposed under that name.
            InvalidInput: that is no id of a transaction, or nobody knows where it was to go.
        """
        tx_id = tx_id.strip()
        if not 0 < len(tx_id) <= MAX_TX or not tx_id.isascii() or not tx_id.isprintable():
            raise InvalidInput(
                "the refund cannot be marked as sent",
                f"{tx_id[:MAX_TX]!r} is no id of a transaction",
                "Copy it whole from the wallet, or from an explorer of the chain.",
            )
        with self._database.writing() as connection:
            row = _proposed(connection, subject)
            if not row.refund_to:
                raise InvalidInput(
                    f"the refund of {subject} cannot be marked as sent",
                    "nobody has said yet where it is to go",
                    "Name the address first: x0 pay refund correct SUBJECT --to ADDRESS.",
                )
            if row.refund_tx != tx_id:
                _write(connection, subject, refund_tx=tx_id, sent_ms=now_ms)
                reviews.tell(connection, row, SENT, now_ms)
            return _entry(connection, subject)

    def withdraw(self, subject: str, now_ms: int) -> Review | None:
        """Take a proposal back: its entry is open again; None if the transfer now counts.

        Raises:
            UnknownReview: no refund is proposed under that name.
            Conflict: it was sent.
        """
        table = schema.reviews.c
        with self._database.writing() as connection:
            row = _proposed(connection, subject)
            _check_unsent(row)
            connection.execute(
                schema.reviews.update()
                .where(table.subject == subject)
                .values(
                    status="open", decision="", decided_ms=None, refund_to="", refund_amount=None
                )
            )
            _unsay(connection, subject)
            if row.order_id is not None and row.tx_id is not None:
                settling.rejudge(connection, row.order_id, now_ms, Effect())
            found = review_entries.one(connection, subject)
            if found is None:
                return None
            if row.order_id is not None:
                order = order_book.fetch(connection, row.order_id, lock=True)
                kind = settling.told(order, Cause(row.cause))
                about = "" if row.cause == Cause.OVERPAID else subject
                settling.say(connection, order, (kind,), now_ms, about=about, again=True)
            return review_entries.review_of(found)


def _entry(connection: Connection, subject: str) -> Review:
    return review_entries.review_of(review_entries.one(connection, subject))


def _proposed(connection: Connection, subject: str) -> Any:  # noqa: ANN401 - a row
    """The entry of a refund, whose order nobody else changes now."""
    row = review_entries.one(connection, subject)
    reviews.lock_orders(connection, (row.order_id if row else None,))
    row = review_entries.one(connection, subject)
    if row is None or row.decision != "refund":
        raise UnknownReview(subject, _NO_REFUND)
    return row


def _check_unsent(row: Any) -> None:  # noqa: ANN401 - a row
    if row.refund_tx:
        raise Conflict(
            f"the refund of {row.subject} cannot be changed",
            f"it was sent in {row.refund_tx}",
            "Only the id of that transaction can be corrected, with `x0 pay refund sent`.",
        )


def _checked(row: Any, to: str | None, amount: int) -> int:  # noqa: ANN401 - a row
    """The amount of a refund, if it and the address are possible."""
    way = Method(row.method)
    if not 0 < amount <= row.amount:
        raise InvalidInput(
            f"a refund of {money.text(amount, way)} {way.symbol} cannot be proposed",
            f"{money.text(row.amount, way)} {way.symbol} came in",
            "Propose at most what came in.",
        )
    if to is not None:
        _check_address(to, way)
    return amount


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


def _write(connection: Connection, subject: str, **values: object) -> None:
    table = schema.reviews.c
    connection.execute(schema.reviews.update().where(table.subject == subject).values(**values))


def _unsay(connection: Connection, subject: str) -> None:
    """Keep what was not sent yet about a refund from being sent."""
    table = schema.outbox.c
    connection.execute(
        schema.outbox.update()
        .where(table.about == subject, table.status == "due", table.kind.in_((ASKED, PLANNED)))
        .values(status="done", error="withdrawn")
    )
