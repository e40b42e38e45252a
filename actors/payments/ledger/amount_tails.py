"""Tails: what is added to a price on TRON, so that an amount names its order.

A TRC-20 transfer carries no text. One wallet therefore asks each open order for an amount of its
own: price + tail. First come the short tails, 1 to 499 times 100 µUSDT, of four decimals; when all
are taken, and the price is in whole cents, the long ones, from 50,001 to 99,999 µUSDT, of six
decimals whose last is not 0. A tail is never zero, and at most 0.099999 USDT.

Invariant: an amount with a long tail that is rounded or cut to fewer decimals, as some wallets and
exchanges do, is the amount of no other order, since all amounts of fewer decimals lie below 0.05.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterator

STEP: Final = 100  # µUSDT
SHORT: Final = 499
_LONG: Final = range(50_001, 100_000)
_ROUND: Final = 10  # a long tail is not a multiple of it
LARGEST: Final = _LONG[-1]
_CENT: Final = 10_000  # µUSDT
COUNT: Final = SHORT + sum(tail % _ROUND != 0 for tail in _LONG)
"""Amounts of a price in whole cents that can be asked for at a time."""


def count(price: int) -> int:
    """How many amounts of a price can be asked for at a time."""
    return SHORT if price % _CENT else COUNT


def draw(
    price: int, taken: Collection[int], rng: random.Random, *, used: Collection[int] = ()
) -> int | None:
    """An amount for `price` µUSDT, all of the best kind alike; None if none is left.

    Another process may take it meanwhile; the ledger's unique index decides then.

    Args:
        price: the price.
        taken: amounts that may not be drawn.
        rng: draws it.
        used: amounts that orders that are paid by now have asked for not long ago. They are drawn
            when no other is left, since somebody may pay such an order twice.
    """
    gone = frozenset(taken)
    for avoided in (gone | frozenset(used), gone) if used else (gone,):
        for tails in (_short(),) if price % _CENT else (_short(), _long()):
            free = [price + tail for tail in tails if _is_free(price + tail, avoided)]
            if free:
                return rng.choice(free)
    return None


def _short() -> Iterator[int]:
    return iter(range(STEP, STEP * SHORT + 1, STEP))


def _long() -> Iterator[int]:
    return (tail for tail in _LONG if tail % _ROUND)


def _is_free(amount: int, taken: frozenset[int]) -> bool:
    """Whether nobody has it, nor (of an older ledger) what it would be cut or rounded to."""
    cut = amount - amount % STEP
    return not {amount, cut, cut + STEP} & taken if amount % STEP else amount not in taken
