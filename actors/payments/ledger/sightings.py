"""Sightings: transactions that only TRON's index lists, until their receipts are read.

Invariants: a row of the index credits nothing; it makes its order seen, and has its receipt asked
for, first those that an order waits for, the older the less often. What a receipt has said already
stays so, whenever the index lists it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from actors.payments.chains.verdict import Reason
from actors.payments.ledger import order_book, queries, schema, settling
from actors.payments.ledger.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.chains.verdict import Sighting
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.orders import Order

RETRY_MS: Final = 20_000
"""Until a receipt that is not solid is asked for again, at least; the older, the longer."""
_VANISHED: Final = str(Reason.VANISHED)
_RETRY_SHARE: Final = 10  # the pause is this part of the transaction's age


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction on TRON whose receipt is to be read.

    Attributes:
        tx_id: id of the transaction.
        matched: whether an order waits for it, or may be.
        block_ms: time of its block, as it was listed; if it was listed without, when that was.
        asked: number of times that its receipt was asked for and was not solid.
    """

    tx_id: str
    matched: bool
    block_ms: int
    asked: int


def note(
    connection: Connection,
    cursor: Cursor,
    contract: str,
    sightings: Sequence[Sighting],
    now_ms: int,
    dust: int,
) -> tuple[int, int]:
    """Note what a page of the index lists; see `Intake.note`."""
    listed = {(one.tx_id, one.amount or 0): one for one in sightings}
    known = _known(connection, cursor, sightings)
    _ask_again(connection, cursor, listed, known, now_ms)
    new = [one for key, one in listed.items() if key not in known]
    if not new:
        return 0, 0
    seen = _seen_by(connection, cursor, contract, new, now_ms)
    read = _read(connection, cursor, new)
    noted = [
        _row(cursor, one, order, now_ms, _status(one, order, dust, is_read=one.tx_id in read))
        for one, order in zip(new, seen, strict=True)
    ]
    connection.execute(schema.sightings.insert(), noted)
    waiting = [row for row in noted if row["status"] == "waiting"]
    _see(connection, {str(row["order_id"]) for row in waiting if row["order_id"]}, now_ms)
    return len(new), sum(row["order_id"] is None for row in waiting)


def due(connection: Connection, cursor: Cursor, now_ms: int, *, limit: int) -> list[Waiting]:
    """Transactions whose receipts are due; see `Intake.waiting`."""
    table = schema.sightings.c
    matched = sa.func.max(
        sa.case((table.order_id.is_not(None), 2), (table.amount == 0, 1), else_=0)
    )
    block_ms = sa.func.max(table.block_ms)
    rows = connection.execute(
        sa.select(
            table.tx_id,
            matched.label("matched"),
            block_ms.label("block_ms"),
            sa.func.max(table.asked).label("asked"),
        )
        .where(
            _of(cursor),
            table.status == "waiting",
            # Or so late as only a clock can have said that was ahead, and is not any more.
            sa.or_(table.next_ms <= now_ms, table.next_ms > now_ms + _pause_ms(now_ms)),
        )
        .group_by(table.tx_id)
        .order_by(matched.desc(), sa.func.max(table.next_ms), block_ms, table.tx_id)
        .limit(limit)
    ).all()
    return [Waiting(row.tx_id, bool(row.matched), row.block_ms, row.asked) for row in rows]


def count_waiting(connection: Connection, cursor: Cursor) -> int:
    """How many transactions' receipts are not read, or not solid, yet."""
    table = schema.sightings.c
    count = connection.scalar(
        sa.select(sa.func.count(sa.distinct(table.tx_id))).where(
            _of(cursor), table.status == "waiting"
        )
    )
    return count or 0


def postpone(connection: Connection, cursor: Cursor, tx_id: str, now_ms: int) -> None:
    """Ask for a receipt later: it is not solid yet."""
    table = schema.sightings.c
    connection.execute(
        schema.sightings.update()
        .where(_of(cursor), table.tx_id == tx_id, table.status == "waiting")
        .values(next_ms=now_ms + _pause_ms(now_ms), asked=table.asked + 1)
    )


def defer(connection: Connection, cursor: Cursor, tx_id: str, now_ms: int) -> None:
    """Ask for a receipt that failed after all others that are due by now."""
    table = schema.sightings.c
    connection.execute(
        schema.sightings.update()
        .where(_of(cursor), table.tx_id == tx_id, table.status == "waiting")
        .values(next_ms=now_ms)
    )


def close(
    connection: Connection, cursor: Cursor, tx_id: str, status: str, reason: str = ""
) -> None:
    """Note what a receipt has said; an order that was seen by it alone, and not paid, is not."""
    table = schema.sightings.c
    connection.execute(
        schema.sightings.update()
        .where(_of(cursor), table.tx_id == tx_id)
        .values(status=status, reason=reason)
    )
    _unsee(connection, cursor, tx_id)


def _pause_ms(now_ms: int) -> sa.ColumnElement[int]:
    """Until a receipt is asked for again that is not solid at `now_ms`."""
    age_ms = (now_ms - schema.sightings.c.block_ms) / _RETRY_SHARE
    return sa.cast(sa.case((age_ms > RETRY_MS, age_ms), else_=RETRY_MS), sa.BigInteger)


def _of(cursor: Cursor) -> sa.ColumnElement[bool]:
    table = schema.sightings.c
    return sa.and_(table.network == str(cursor.network), table.account == cursor.account)


def _known(
    connection: Connection, cursor: Cursor, sightings: Sequence[Sighting]
) -> dict[tuple[str, int], str]:
    """Of the transactions of these, what is noted already: why it was refused, by id and amount."""
    table = schema.sightings.c
    query = sa.select(table.tx_id, table.amount, table.reason).where(_of(cursor))
    rows = queries.select_in(connection, query, table.tx_id, (one.tx_id for one in sightings))
    return {(row.tx_id, row.amount): row.reason for row in rows}


def _read(connection: Connection, cursor: Cursor, sightings: Sequence[Sighting]) -> set[str]:
    """Those transactions of these whose receipt was read before the index listed them."""
    table = schema.payments.c
    query = sa.select(table.tx_id).where(table.network == str(cursor.network))
    rows = queries.select_in(connection, query, table.tx_id, (one.tx_id for one in sightings))
    return {row.tx_id for row in rows}


def _seen_by(
    connection: Connection, cursor: Cursor, contract: str, new: Sequence[Sighting], now_ms: int
) -> list[Order | None]:
    """Of each sighting, the order that it would pay."""
    amounts = {one.amount for one in new if one.amount is not None}
    named = settling.by_amount(connection, cursor.account, contract, amounts)
    return [settling.in_time(named.get(one.amount or 0, ()), one.block_ms or now_ms) for one in new]


def _see(connection: Connection, order_ids: set[str], now_ms: int) -> None:
    """Bring orders that are listed as paid to where their buyers hear of it."""
    for order_id in sorted(order_ids):
        order = order_book.fetch(connection, order_id, lock=True)
        if order.state is OrderState.NEW:
            settling.advance(connection, order, OrderState.SEEN, now_ms)


def _ask_again(
    connection: Connection,
    cursor: Cursor,
    listed: Mapping[tuple[str, int], Sighting],
    known: Mapping[tuple[str, int], str],
    now_ms: int,
) -> None:
    """Take up again what was in no block for long, and is in one now."""
    gone = {key for key, reason in known.items() if reason == _VANISHED}
    table = schema.sightings.c
    for tx_id in sorted({key[0] for key in gone & set(listed) if listed[key].confirmed}):
        connection.execute(
            schema.sightings.update()
            .where(_of(cursor), table.tx_id == tx_id, table.reason == _VANISHED)
            .values(status="waiting", reason="", next_ms=now_ms, asked=0)
        )


def _status(one: Sighting, order: Order | None, dust: int, *, is_read: bool) -> str:
    if is_read:
        return "read"
    # What names no amount may be any.
    return "dust" if order is None and 0 < (one.amount or 0) < dust else "waiting"


def _row(
    cursor: Cursor, one: Sighting, order: Order | None, now_ms: int, status: str
) -> dict[str, object]:
    return {
        "network": str(cursor.network),
        "account": cursor.account,
        "tx_id": one.tx_id,
        "amount": one.amount or 0,
        "order_id": None if order is None else order.id,
        "block_ms": one.block_ms or now_ms,
        "status": status,
        "reason": "",
        "next_ms": now_ms,
        "asked": 0,
    }


def _unsee(connection: Connection, cursor: Cursor, tx_id: str) -> None:
    """Put orders back that were seen by this closed transaction alone, and that it did not pay."""
    table = schema.sightings.c
    mine = connection.scalars(
        sa.select(table.order_id).where(
            _of(cursor), table.tx_id == tx_id, table.order_id.is_not(None)
        )
    ).all()
    for order_id in sorted(set(mine)):
        others = connection.scalar(
            sa.select(sa.func.count()).where(table.order_id == order_id, table.status == "waiting")
        )
        order = order_book.fetch(connection, order_id, lock=True)
        if order.state is OrderState.SEEN and not others:
            order_book.change(connection, order, OrderState.NEW)
