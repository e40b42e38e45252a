"""Tokens that the shop does not take, sent with the comment of an order: listed, and said so.

They are no payment and count nowhere, since anybody can send a notice of any tokens. But whoever
knows an order's comment means that order, so its buyer is told once, and a person finds an entry,
which can be dismissed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from actors.payments.ledger import order_book, queries, schema, settling
from actors.payments.ledger.orders import Cause, comment_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.chains.verdict import OtherTokens


def note(connection: Connection, notices: Sequence[OtherTokens], now_ms: int) -> int:
    """Note what names an order that has no such entry yet; how many entries are new.

    Args:
        connection: a writing transaction.
        notices: as their histories tell of them.
        now_ms: the time.
    """
    found = [(one, comment) for one in notices if (comment := comment_in(one.comment))]
    if not found:
        return 0
    table = schema.orders.c
    query = sa.select(table.id, table.comment)
    rows = queries.select_in(connection, query, table.comment, (comment for _, comment in found))
    orders = {row.comment: row.id for row in rows}
    meant = {orders[comment]: one for one, comment in reversed(found) if comment in orders}
    known = set(
        queries.select_in(
            connection,
            sa.select(schema.reviews.c.order_id).where(
                schema.reviews.c.cause == str(Cause.WRONG_ASSET), schema.reviews.c.tx_id.is_(None)
            ),
            schema.reviews.c.order_id,
            meant,
        )
    )
    new = {
        order_id: meant[order_id] for order_id in sorted(meant.keys() - {row[0] for row in known})
    }
    for order_id, one in new.items():
        _open(connection, order_id, one, now_ms)
    return len(new)


def _open(connection: Connection, order_id: str, one: OtherTokens, now_ms: int) -> None:
    order = order_book.fetch(connection, order_id, lock=True)
    # Of no transfer: it has no amount that means anything, and nothing but its number is kept.
    entry = settling.review(None, Cause.WRONG_ASSET, order_id, now_ms)
    subject = f"tokens:{order_id}:{one.tx_id}"
    said = (
        f"tokens of another kind, by their notice {one.amount} units from {one.sender or 'nobody'}"
    )
    connection.execute(schema.reviews.insert(), {**entry, "subject": subject, "note": said})
    settling.say(connection, order, (str(Cause.WRONG_ASSET),), now_ms, about=subject)
