"""Messages that are owed to buyers: claimed, sent at least once, done.

Invariants: a message is written in the transaction of the change that it tells; it is claimed for a
while, and if its relay dies, claimed again, so that it arrives at least once; the messages of one
order go out one after the other; claiming the delivery makes an order `delivering`, finishing it
`delivered`; a delivery that the shop itself keeps back, as by a file that is missing, is tried
again and stands in the review queue until it succeeds. What a repeated delivery carries is the same
link (see `tokens`), so it does no harm; only one that would arrive with hardly any time left, or
none, gets a new one.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.payments.errors import DamagedRecord
from actors.payments.ledger import entitlements, order_book, review_entries, schema
from actors.payments.ledger.orders import Cause, OrderState
from actors.runtime import log

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review
    from actors.runtime.database import Database

_log = log.get(__name__)
DELIVERY: Final = "delivery"
UNSENT: Final = ("due", "claimed")  # status of messages that are still owed
CLAIM_MS: Final = 60_000  # a relay that has not reported for this long counts as dead
FIRST_RETRY_MS: Final = 5_000
LAST_RETRY_MS: Final = 3_600_000
_MAX_ERROR: Final = 200  # characters that are kept


@dataclass(frozen=True, slots=True)
class OwedMessage:
    """A claimed message.

    Attributes:
        id: id of the row.
        claim: proves who holds it.
        kind: a state of the order ("seen", "confirmed", "overpaid", "expired"); "delivery", which
            carries what was bought; or what became of a transfer ("underpaid", "paid_late",
            "duplicate", "unusual", "wrong_asset") or was decided about it ("dismissed",
            "refund_asked", "refund_planned", "refund_sent").
        order: as it is now.
        attempts: number of attempts before this one.
        entitled_until_ms: time until which the goods of a paid order can be fetched; else None.
        review: the entry of the transfer that it tells of; None if it tells of the order, or if
            the transfer has come to count meanwhile.
        received: what came in time for the order and counts towards its amount, in the smallest
            unit.
    """

    id: int
    claim: str
    kind: str
    order: Order
    attempts: int
    entitled_until_ms: int | None
    review: Review | None = None
    received: int = 0


class MessageOutbox:
    """The messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, channel: str, now_ms: int, *, limit: int = 20) -> list[OwedMessage]:
        """Take messages of a channel that are due, oldest first, for `CLAIM_MS`."""
        with self._database.writing() as connection:
            table, earlier = schema.outbox.c, schema.outbox.alias()
            due = sa.and_(
                table.channel == channel,
                table.status.in_(UNSENT),
                table.due_ms <= now_ms,
            )
            rows = connection.execute(
                sa.select(table.id, table.order_id, table.kind, table.attempts, table.about)
                .where(
                    due,
                    ~sa.exists().where(
                        earlier.c.order_id == table.order_id,
                        earlier.c.id < table.id,
                        earlier.c.status.in_(UNSENT),
                    ),
                )
                .order_by(table.due_ms, table.id)
                .limit(limit)
            ).all()
            # All transactions lock orders before messages, in order of id, against deadlocks.
            found = []
            for row in sorted(rows, key=lambda row: row.order_id):
                try:
                    found.append(_claim(connection, row, due, now_ms))
                except DamagedRecord as error:
                    _put_off(connection, row.id, error, now_ms)
            return [message for message in found if message is not None]

    def deliver_again(self, order_id: str, now_ms: int) -> Order:
        """Have a paid order delivered once more, with a link that works; the order afterwards.

        An entry of the review queue that says that it could not be delivered is closed by it.

        Raises:
            UnknownOrder: there is no such order.
            Conflict: it is not paid.
        """
        with self._database.writing() as connection:
            order = order_book.fetch(connection, order_id, lock=True)
            if entitlements.extended(connection, order_id, now_ms) is None:
                raise entitlements.not_paid(order_id)
            deliver_again(connection, order, now_ms)
            table = schema.reviews.c
            connection.execute(
                schema.reviews.update()
                .where(table.subject == undeliverable(order_id), table.status == "open")
                .values(status="closed", decision="retried", decided_ms=now_ms)
            )
            return order_book.fetch(connection, order_id)

    def done(self, message: OwedMessage) -> bool:
        """Note that a message has arrived; False if it is another's by now."""
        with self._database.writing() as connection:
            order = order_book.fetch(connection, message.order.id, lock=True)
            if not _finish(connection, message, "done", ""):
                return False
            if message.kind == DELIVERY:
                order_book.change(connection, order, OrderState.DELIVERED)
                table, name = schema.reviews.c, undeliverable(order.id)
                connection.execute(
                    schema.reviews.delete().where(table.subject == name, table.status == "open")
                )
            return True

    def retry(
        self,
        message: OwedMessage,
        error: str,
        now_ms: int,
        *,
        after_ms: int | None = None,
        for_person: bool = False,
    ) -> bool:
        """Note that a message did not arrive and is to be sent again; False if it is another's.

        Args:
            message: a message that was claimed.
            error: why, without secrets.
            now_ms: the time.
            after_ms: delay before the next attempt; None for one that grows with each attempt.
            for_person: only a person can mend what keeps it: a delivery is queued for review too,
                unless a person has dismissed that before.
        """
        if after_ms is None:
            after_ms = min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** min(message.attempts, 20))
        table = schema.outbox.c
        with self._database.writing() as connection:
            order_book.fetch(connection, message.order.id, lock=True)
            changed = connection.execute(
                schema.outbox.update()
                .where(table.id == message.id, table.claim == message.claim)
                .where(table.status == "claimed")
                .values(
                    status="due",
                    due_ms=now_ms + after_ms,
                    attempts=message.attempts + 1,
                    error=error[:_MAX_ERROR],
                )
            )
            if changed.rowcount != 1:
                return False
            if for_person and message.kind == DELIVERY:
                _keep_review(connection, message.order.id, error[:_MAX_ERROR], now_ms)
            return True

    def refuse(self, message: OwedMessage, error: str, now_ms: int) -> bool:
        """Note that a message will never arrive; a delivery goes to review. False: another's."""
        with self._database.writing() as connection:
            order = order_book.fetch(connection, message.order.id, lock=True)
            if not _finish(connection, message, "refused", error[:_MAX_ERROR]):
                return False
            if message.kind == DELIVERY:
                order_book.change(connection, order, OrderState.REVIEW)
                _open_review(connection, order.id, error[:_MAX_ERROR], now_ms)
            return True


def undeliverable(order_id: str) -> str:
    """Name of an order that cannot be delivered, in the review queue."""
    return f"order:{order_id}"


def deliver_again(connection: Connection, order: Order, now_ms: int) -> None:
    """Have a paid order delivered once more; one whose delivery is under way goes on with it."""
    if order.state in {OrderState.DELIVERED, OrderState.REVIEW}:
        order_book.change(connection, order, OrderState.DELIVERING)
    table = schema.outbox.c
    connection.execute(
        schema.outbox.update()
        .where(table.order_id == order.id, table.kind == DELIVERY, table.status != "claimed")
        .values(status="due", due_ms=now_ms, attempts=0)
    )


def _put_off(connection: Connection, message: int, error: DamagedRecord, now_ms: int) -> None:
    """Let others go first that are not of a damaged record."""
    _log.error("a message waits", error=str(error))
    table = schema.outbox.c
    connection.execute(
        schema.outbox.update()
        .where(table.id == message)
        .values(status="due", due_ms=now_ms + LAST_RETRY_MS, error=error.why[:_MAX_ERROR])
    )


def _claim(
    connection: Connection,
    row: Any,  # noqa: ANN401 - a row
    due: sa.ColumnElement[bool],
    now_ms: int,
) -> OwedMessage | None:
    order = order_book.fetch(connection, row.order_id, lock=True)
    entry = review_entries.one(connection, row.about) if row.about else None
    if row.about and entry is None:  # its transfer counts by now
        connection.execute(
            schema.outbox.update()
            .where(schema.outbox.c.id == row.id, due)
            .values(status="done", error="overtaken")
        )
        return None
    claim = secrets.token_hex(16)
    taken = connection.execute(
        schema.outbox.update()
        .where(schema.outbox.c.id == row.id, due)
        .values(status="claimed", claim=claim, due_ms=now_ms + CLAIM_MS)
    )
    if taken.rowcount != 1:  # another relay was first
        return None
    if row.kind == DELIVERY and order.state is not OrderState.DELIVERING:
        order_book.change(connection, order, OrderState.DELIVERING)
        order = order_book.fetch(connection, order.id)
    until = entitlements.until_ms(connection, order.id)
    if row.kind == DELIVERY:
        until = entitlements.extended(connection, order.id, now_ms)
    review = None if entry is None else review_entries.review_of(entry)
    received = order_book.received(connection, order)
    return OwedMessage(row.id, claim, row.kind, order, row.attempts, until, review, received)


def _finish(connection: Connection, message: OwedMessage, status: str, error: str) -> bool:
    table = schema.outbox.c
    changed = connection.execute(
        schema.outbox.update()
        .where(table.id == message.id, table.claim == message.claim, table.status == "claimed")
        .values(status=status, error=error)
    )
    return changed.rowcount == 1


def _keep_review(connection: Connection, order_id: str, error: str, now_ms: int) -> None:
    """Open the entry about a delivery that fails, or say in an open one what it fails at now."""
    known = review_entries.one(connection, undeliverable(order_id))
    if known is None or known.decision == "retried":
        _open_review(connection, order_id, error, now_ms)
        return
    table = schema.reviews.c
    connection.execute(
        schema.reviews.update()
        .where(table.subject == undeliverable(order_id), table.status == "open")
        .values(note=error)
    )


def _open_review(connection: Connection, order_id: str, error: str, now_ms: int) -> None:
    table = schema.reviews.c
    name = undeliverable(order_id)
    # A closed review of the same name may exist.
    connection.execute(schema.reviews.delete().where(table.subject == name))
    connection.execute(
        schema.reviews.insert(),
        {
            "subject": name,
            "cause": str(Cause.UNDELIVERABLE),
            "order_id": order_id,
            "network": None,
            "tx_id": None,
            "position": None,
            "opened_ms": now_ms,
            "status": "open",
            "decision": "",
            "decided_ms": None,
            "note": error,
            "refund_to": "",
            "refund_amount": None,
        },
    )
