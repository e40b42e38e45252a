"""Tails: what is added to a price on TRON, so that an amount names its order.

A TRC-20 transfer carries no text. One wallet therefore asks each open order for an amount of its
own: price + tail, the tail a random multiple of 100 µUSDT from 1 to 999 times, never zero, so at
most 0.0999 USDT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

STEP: Final = 100  # µUSDT
COUNT: Final = 999
LARGEST: Final = STEP * COUNT


def amounts(price: int) -> range:
    """All amounts that may be asked for `price` µUSDT."""
    return range(price + STEP, price + LARGEST + 1, STEP)


def draw(price: int, taken: Collection[int], rng: random.Random) -> int | None:
    """An amount for `price` that is not `taken`, each with the same chance; None if none is left.

    Another process may take it meanwhile; the ledger's unique index decides then.
    """
    gone = frozenset(taken)
    free = [amount for amount in amounts(price) if amount not in gone]
    return rng.choice(free) if free else None
