"""A series as one line of blocks, lowest to highest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_UNKNOWN: Final = " "


def sparkline(values: Sequence[float | None]) -> str:
    """One character a value; a blank where it is not known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    span = high - low
    last = len(_BLOCKS) - 1

    def block(value: float | None) -> str:
        if value is None:
            return _UNKNOWN
        return _BLOCKS[round((value - low) / span * last) if span else last // 2]

    return "".join(map(block, values))
