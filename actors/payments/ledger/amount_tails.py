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
    from collections.abc import Collection, Sequence

STEP: Final = 100  # µUSDT
SHORT: Final = 499
_LONG: Final = range(50_001, 100_000)
_ROUND: Final = 10  # a long tail is not a multiple of it
LARGEST: Final = _LONG[-1]
_CENT: Final = 10_000  # µUSDT
_SHORT_TAILS: Final = range(STEP, STEP * SHORT + 1, STEP)
_LONG_TAILS: Final = tuple(tail for tail in _LONG if tail % _ROUND)
_TRIES: Final = 40
COUNT: Final = SHORT + len(_LONG_TAILS)
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
            when no other is left, since somebody may pay such an order twice (from the same
            address: that is for a person, see `settling`).
    """
    gone = frozenset(taken)
    for avoided in (gone | frozenset(used), gone) if used else (gone,):
        for tails in (_SHORT_TAILS,) if price % _CENT else (_SHORT_TAILS, _LONG_TAILS):
            amount = _draw_of(tails, price, avoided, rng)
            if amount is not None:
                return amount
    return None


def _draw_of(
    tails: Sequence[int], price: int, taken: frozenset[int], rng: random.Random
) -> int | None:
    # Looking through all of the long ones takes 30 ms, and nearly always one is soon found.
    for _ in range(_TRIES if len(tails) > SHORT else 0):
        amount = price + rng.choice(tails)
        if _is_free(amount, taken):
            return amount
    free = [price + tail for tail in tails if _is_free(price + tail, taken)]
    return rng.choice(free) if free else None


def _is_free(amount: int, taken: frozenset[int]) -> bool:
    """Whether nobody has it, nor (of an older ledger) what it would be cut or rounded to."""
    cut = amount - amount % STEP
    return not {amount, cut, cut + STEP} & taken if amount % STEP else amount not in taken
