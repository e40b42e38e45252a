"""Times as commands take and show them: in the time zone of this machine."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from actors.history import moments

METAVAR: Final = "TIME"
COMING: Final = "2h, 22:00, `tomorrow 06:00`, or ISO such as 2026-11-28T22:00+01:00"
HELP: Final = "2h, 3d, 22:00, `yesterday 22:00`, or ISO such as 2026-11-28T22:00+01:00"


def parsed(text: str) -> float:
    """The moment that a text names, Unix time, s.

    Raises:
        InvalidMoment: it names none.
    """
    return moments.moment(text, time.time())


def coming(text: str) -> float:
    """The moment to come that a text names, Unix time, s.

    Raises:
        InvalidMoment: it names none, or one that is past.
    """
    return moments.coming(text, time.time())


def shown(at: float) -> str:
    """A Unix time, s, with its zone."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S %z}"


def short(at: float) -> str:
    """The same to the second, without the zone."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}"


def zone() -> str:
    """The offset of the zone now, such as +0100."""
    return f"{datetime.now().astimezone():%z}"
