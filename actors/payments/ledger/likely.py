"""Which order a transfer that names none probably pays: a proposal for a person, never a decision.

Of the orders that asked for the same coin in the same wallet while they could be paid, and have no
payment: the one whose comment the transfer's begins with or lies in, as when it was cut; else the
one whose amount is the nearest, if it is near (within a twentieth, or as whole cents less, as
exchanges deduct their fees) and no other is as near. Half of a comment is as good as a proof; all
else is a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from actors.payments.ledger import order_book, queries, schema
from actors.payments.ledger.orders import SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.review_entries import Review

_NEAR: Final = 20  # a difference of one part in so many of the amount is near
_CENT: Final = 10_000  # µUSDT
_LEAST_HEX: Final = 8  # digits of a comment that are enough to know it by
_HEX: Final = re.compile(rf"[0-9a-f]{{{_LEAST_HEX},}}")
_CERTAIN_HEX: Final = 16  # digits of a comment, 64 bits, that no other order's has by chance
_MOST_ORDERS: Final = 5_000  # the newest that could be meant


@dataclass(frozen=True, slots=True)
class LikelyOrder:
    """The order that a transfer probably pays.

    Attributes:
        id: its id.
        is_certain: half of its comment came with the transfer; else it is a guess.
    """

    id: str
    is_certain: bool


def orders_of(connection: Connection, entries: Sequence[Review]) -> dict[str, LikelyOrder]:
    """The likely order of each entry that names none, by subject."""
    open_ones = [one for one in entries if one.order is None and one.block_ms is not None]
    if not open_ones:
        return {}
    times = [one.block_ms or 0 for one in open_ones]
    table = schema.orders.c
    rows = connection.execute(
        sa.select(schema.orders)
        .where(
            table.created_ms <= max(times),
            table.reserved_until_ms >= min(times),
            sa.not_(queries.one_of(table.state, SETTLED)),
        )
        .order_by(table.created_ms.desc())
        .limit(_MOST_ORDERS)
    ).all()
    waiting = queries.readable(rows, order_book.order_of)
    found = ((one.subject, likely_order(one, waiting)) for one in open_ones)
    return {subject: order for subject, order in found if order is not None}


def likely_order(entry: Review, orders: Iterable[Order]) -> LikelyOrder | None:
    """The order that a transfer probably pays; None if none stands out."""
    if entry.block_ms is None or entry.amount is None:
        return None
    meant = [
        one
        for one in orders
        if one.method is entry.method and one.created_ms <= entry.block_ms <= one.reserved_until_ms
    ]
    words = _HEX.findall(entry.comment.lower())
    named = {one.id: common for one in meant if (common := _in_common(words, one.comment))}
    if len(named) == 1:
        ((found, common),) = named.items()
        return LikelyOrder(found, common >= _CERTAIN_HEX)
    ranked = sorted(
        (abs(one.amount - entry.amount), one.id) for one in meant if _is_near(one, entry.amount)
    )
    if not ranked or (len(ranked) > 1 and ranked[1][0] == ranked[0][0]):
        return None
    return LikelyOrder(ranked[0][1], is_certain=False)


def _in_common(words: Iterable[str], comment: str) -> int:
    """Most digits that a word shares with a comment that it was cut from, or that lies in it."""
    cut = (word for word in words if comment and (word in comment or comment in word))
    return max((min(len(word), len(comment)) for word in cut), default=0)


def _is_near(order: Order, amount: int) -> bool:
    short = order.amount - amount
    if abs(short) * _NEAR <= order.amount:
        return True
    return order.comment == "" and 0 < short < order.amount // 2 and short % _CENT == 0
