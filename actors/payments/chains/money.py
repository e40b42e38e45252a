"""What orders are paid with, and amounts as whole numbers of the smallest unit.

Invariant: an amount is an int (µUSDT, nanotons), never a float; text is parsed and written without
rounding.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

GRAM: Final = "GRAM (formerly TON)"
"""The coin of the chain TON, as people are told: Toncoin has been called Gram since June 2026."""
MAX_AMOUNT: Final = 2**63 - 1  # largest value of a column; no coin has as many units
_DECIMAL: Final = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,18}))?")


class Network(StrEnum):
    """A chain."""

    TRON = "tron"
    TON = "ton"


class Method(StrEnum):
    """A way to pay: a coin or token on a chain."""

    TRON = "tron"  # USDT, TRC-20
    TON = "ton"  # the coin itself
    TON_USDT = "ton-usdt"  # USDT, jetton

    @property
    def network(self) -> Network:
        """The chain."""
        return Network.TRON if self is Method.TRON else Network.TON

    @property
    def symbol(self) -> str:
        """What amounts are counted in, as people are told."""
        return GRAM if self is Method.TON else "USDT"

    @property
    def ticker(self) -> str:
        """The same for programs, which know it by the name that it had first."""
        return "TON" if self is Method.TON else "USDT"

    @property
    def decimals(self) -> int:
        """Digits after the point down to the smallest unit."""
        return 9 if self is Method.TON else 6


def parse(text: str, method: Method) -> int:
    """The amount that `text` states, such as "9.90".

    Raises:
        ValueError: it is not a plain decimal number, is not above 0, or is finer than the smallest
            unit.
    """
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not a decimal number such as 9.90")
    whole, fraction = found[1], (found[2] or "").rstrip("0")
    if len(fraction) > method.decimals:
        raise ValueError(f"{text[:40]} {method.symbol} has more than {method.decimals} decimals")
    amount = int(whole + fraction.ljust(method.decimals, "0"))
    if not 0 < amount <= MAX_AMOUNT:
        raise ValueError(f"{text[:40]} {method.symbol} is not an amount that can be paid")
    return amount


def text(amount: int, method: Method) -> str:
    """`amount` in whole coins, without needless zeros: 9900000 µUSDT is "9.9"."""
    whole, fraction = divmod(abs(amount), 10**method.decimals)
    digits = f"{fraction:0{method.decimals}d}".rstrip("0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
