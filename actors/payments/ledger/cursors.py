"""Cursors: how far each account's history was read.

Invariant: a cursor only moves forward. Who writes what an account's history brings takes the lock
of its cursor first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from actors.payments.chains.money import Network
from actors.payments.ledger import queries, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far an account's history was read.

    Attributes:
        network: the network that the account is on.
        account: as `Transfer.wallet`.
        position: block time of the newest row (TRON, ms), last logical time (TON); 0 at first.
        mark: mark of the last transaction (TON, see `TonTransaction.mark`), or "".
        chain_ms: time of the chain up to which everything was read.
        completed_ms: time at which a scan was last completed; 0 for never.
        jetton_wallet: the shop's own for USDT on TON, once it was found; or "".
        jetton_master: the master that it is of.
    """

    network: Network
    account: str
    position: int
    mark: str
    chain_ms: int
    completed_ms: int
    jetton_wallet: str
    jetton_master: str

    def jetton_wallet_of(self, master: str) -> str:
        """The shop's jetton wallet for the tokens of `master`, once it was found; or ""."""
        return self.jetton_wallet if master and self.jetton_master == master else ""


def begin(connection: Connection, network: Network, account: str) -> Cursor:
    """The cursor of an account; at first it is at the beginning of the history."""
    row = _row(connection, network, account)
    if row is not None:
        return _of(row)
    values = {
        "network": str(network),
        "account": account,
        "position": 0,
        "mark": "",
        "chain_ms": 0,
        "completed_ms": 0,
        "jetton_wallet": "",
        "jetton_master": "",
    }
    connection.execute(schema.cursors.insert(), values)
    return _of(_row(connection, network, account))


def listing(connection: Connection) -> list[Cursor]:
    """All cursors."""
    return [_of(row) for row in connection.execute(sa.select(schema.cursors)).all()]


def lock(connection: Connection, cursor: Cursor) -> Cursor:
    """Keep others from writing what this account's history brings; the cursor as it is now."""
    return _of(_row(connection, cursor.network, cursor.account, lock=True))


def move(connection: Connection, cursor: Cursor, position: int, mark: str) -> None:
    """Bring a cursor forward, unless another watcher has read further meanwhile."""
    connection.execute(
        schema.cursors.update()
        .where(_is(cursor), schema.cursors.c.position < position)
        .values(position=position, mark=mark)
    )


def pin_jetton_wallet(connection: Connection, cursor: Cursor, master: str, wallet: str) -> Cursor:
    """Remember the shop's jetton wallet of a master; the one that is remembered of it wins."""
    if not lock(connection, cursor).jetton_wallet_of(master):
        connection.execute(
            schema.cursors.update()
            .where(_is(cursor))
            .values(jetton_wallet=wallet, jetton_master=master)
        )
    return _of(_row(connection, cursor.network, cursor.account))


def complete(connection: Connection, cursors: Sequence[Cursor], chain_ms: int, now_ms: int) -> None:
    """Note that the histories of these accounts were read up to a time of the chain."""
    for cursor in sorted(cursors, key=lambda one: one.account):
        known = lock(connection, cursor)
        connection.execute(
            schema.cursors.update()
            .where(_is(cursor))
            .values(
                chain_ms=max(known.chain_ms, chain_ms),
                completed_ms=max(known.completed_ms, now_ms),
            )
        )


def _is(cursor: Cursor) -> sa.ColumnElement[bool]:
    table = schema.cursors.c
    return sa.and_(table.network == str(cursor.network), table.account == cursor.account)


def _row(connection: Connection, network: Network, account: str, *, lock: bool = False) -> Any:  # noqa: ANN401 - a row
    table = schema.cursors.c
    query = sa.select(schema.cursors).where(table.network == str(network), table.account == account)
    return connection.execute(query.with_for_update() if lock else query).first()


def _of(row: Any) -> Cursor:  # noqa: ANN401 - a row
    values = queries.fields(row)
    values["network"] = Network(values["network"])
    return Cursor(**values)
