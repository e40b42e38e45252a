"""Until when what a paid order brings can be fetched.

A link carries the end of the entitlement, so a new end is a new link, and the one before opens
nothing any more. So it is given only to who could not use the old one: it has ended, or ends within
a day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from actors.payments.ledger import schema
from actors.payments.ledger.settling import ENTITLED_MS
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from actors.runtime.database import Database

LEAST_MS: Final = 86_400_000  # a link that works for less time than this is renewed


class Entitlements:
    """The entitlements of paid orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, order_id: str, now_ms: int) -> int:
        """Until when it can be fetched from now on, ms since the Unix epoch: a day at least.

        Raises:
            Conflict: the order is not paid, or there is none.
        """
        with self._database.writing() as connection:
            # Orders are locked before what belongs to them, everywhere, against deadlocks.
            orders = schema.orders.c
            connection.execute(
                sa.select(orders.id).where(orders.id == order_id).with_for_update()
            ).first()
            until = extended(connection, order_id, now_ms)
        if until is None:
            raise not_paid(order_id)
        return until


def until_ms(connection: Connection, order_id: str) -> int | None:
    """The end of an entitlement; None while the order is not paid."""
    table = schema.entitlements.c
    until: int | None = connection.scalar(
        sa.select(table.expires_ms).where(table.order_id == order_id)
    )
    return until


def extended(connection: Connection, order_id: str, now_ms: int) -> int | None:
    """The end of an entitlement, put off if less than `LEAST_MS` is left; None: there is none.

    The caller holds the lock of the order.
    """
    until = until_ms(connection, order_id)
    if until is not None and until < now_ms + LEAST_MS:
        until = now_ms + ENTITLED_MS
        table = schema.entitlements.c
        connection.execute(
            schema.entitlements.update().where(table.order_id == order_id).values(expires_ms=until)
        )
    return until


def not_paid(order_id: str) -> Conflict:
    """The refusal of an order that brings nothing yet."""
    return Conflict(
        f"order {order_id} brings nothing",
        "it is not paid",
        f"Look at it with `x0 pay orders {order_id}`.",
    )
