# ruff: noqa: N818 - an error is named by its condition
"""The errors of history.

X0Error
├── NoHistory      404  nothing was recorded there, or not of that
└── InvalidMoment  422  a text that names no time
"""

from __future__ import annotations

from actors.runtime.errors import InvalidInput, X0Error


class NoHistory(X0Error):
    """Nothing was recorded of what is asked for."""

    http_status = 404


class InvalidMoment(InvalidInput):
    """A text names no moment."""

    def __init__(self, text: str, why: str, *, coming: bool = False) -> None:
        how = "from now, `tomorrow 06:00`" if coming else "ago, `yesterday 22:00`"
        super().__init__(
            f"the time {text[:60]!r} is refused",
            why,
            f"Give 90s, 15m, 2h, 3d or 1w for so long {how}, `22:00`, or 2026-11-28T22:00, with"
            " +01:00 or Z if it is not local time.",
            entry="until" if coming else "since",
        )
