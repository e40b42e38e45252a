"""Expiry: orders are given up, and their amounts let go, when their time is over.

Invariants: where a history is read, only the chain's time ends an order, as far as it was read; the
clock ends those alone whose history nobody reads. Whoever ordered hears of it. Thousands may end at
once, so all of them do in a few statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from actors.payments.ledger import order_book, orders, queries, schema, settling
from actors.payments.ledger.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

    from actors.payments.ledger.cursors import Cursor
    from actors.payments.shop import ShopChain


def end_unpaid(connection: Connection, cursor: Cursor, chain_ms: int, now_ms: int) -> int:
    """Expire orders and free reservations whose time is over on the chain; how many expired.

    What is paid is kept until a second payment of the buyer's would be late.

    Args:
        connection: a writing transaction.
        cursor: of the wallet that they are paid to.
        chain_ms: time of the chain up to which its history is complete.
        now_ms: the time.
    """
    table = schema.orders.c
    # Those of other wallets are left to their own scans, or to `end_unpayable`.
    mine = table.wallet == cursor.account
    waiting = queries.one_of(table.state, orders.OPEN)
    paid = queries.one_of(table.state, orders.SETTLED)
    until = sa.case((paid, table.expires_ms), else_=table.reserved_until_ms)
    over = sa.and_(mine, table.reserved, until < chain_ms)
    ended = sa.or_(over, sa.and_(mine, waiting, table.expires_ms < chain_ms))
    return _end(connection, ended, over, chain_ms, now_ms)


def unpayable(chains: Collection[ShopChain], now_ms: int) -> sa.ColumnElement[bool]:
    """Of which orders past their time the shop does not take the wallet or token any more."""
    table = schema.orders.c
    taken = [
        sa.and_(
            table.method == str(method),
            table.wallet == chain.wallet,
            table.contract == chain.contract_of(method),
        )
        for chain in chains
        for method in chain.methods
    ]
    waits = sa.and_(queries.one_of(table.state, orders.OPEN), table.expires_ms < now_ms)
    return sa.and_(sa.not_(sa.or_(sa.false(), *taken)), sa.or_(waits, _is_over(now_ms)))


def end_unpayable(connection: Connection, chains: Collection[ShopChain], now_ms: int) -> int:
    """End those; see `Intake.end_unpayable`."""
    ended = unpayable(chains, now_ms)
    return _end(connection, ended, sa.and_(ended, _is_over(now_ms)), now_ms, now_ms)


def _is_over(now_ms: int) -> sa.ColumnElement[bool]:
    table = schema.orders.c
    return sa.and_(table.reserved, table.reserved_until_ms < now_ms)


def _end(
    connection: Connection,
    ended: sa.ColumnElement[bool],
    over: sa.ColumnElement[bool],
    at_ms: int,
    now_ms: int,
) -> int:
    """Expire those of `ended` whose time is over at `at_ms`, let go of the amounts of `over`."""
    table = schema.orders.c
    # Locked in the order that all transactions use, before the update would lock them in its own.
    rows = connection.execute(
        sa.select(schema.orders).where(ended).order_by(table.id).with_for_update()
    ).all()
    found = queries.readable(rows, order_book.order_of)
    expired = [order for order in found if orders.has_expired(order, at_ms)]
    order_book.change_all(connection, expired, OrderState.EXPIRED)
    settling.say_to_all(connection, expired, str(OrderState.EXPIRED), now_ms)
    connection.execute(
        schema.orders.update().where(over).values(reserved=False, version=table.version + 1)
    )
    return len(expired)
