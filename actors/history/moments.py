"""Moments as people write them.

2h, 1d12h          so long ago
22:00              today at that time, or yesterday if that is still to come
yesterday 22:00    and `today 06:00`, `yesterday` (at its begin)
2026-11-28T22:00   ISO 8601; with Z or +01:00, else in the time zone of whoever asks

Of a time to come, 2h is in two hours, 22:00 the next time the clock shows it, and `tomorrow 06:00`
is known too.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from actors.history.errors import InvalidMoment

if TYPE_CHECKING:
    from datetime import tzinfo

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGO: Final = re.compile(r"(?:\d{1,9}[smhdw])+")
_TERM: Final = re.compile(r"(\d+)([smhdw])")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DAYS: Final = {"today": 0, "yesterday": 1}
_LONGEST_S: Final = 100 * 366 * 86_400


def moment(text: str, now: float, zone: tzinfo | None = None) -> float:
    """The moment that a text names, Unix time, s.

    Args:
        text: what was written.
        now: the present, Unix time, s.
        zone: where times without a zone are meant; None: by the rules of this machine.

    Raises:
        InvalidMoment: it names none, or one that is still to come.
    """
    written = text.strip()
    if written.lower() == "now":
        return now
    ago_s = duration_s(written)
    if ago_s is not None:
        if ago_s > min(_LONGEST_S, now):
            raise InvalidMoment(text, "it is too long ago")
        return now - ago_s
    here = datetime.fromtimestamp(now, zone)  # naive by the rules of this machine, as what follows
    try:
        found = _clock_time(written.lower(), here) or _iso(written, zone)
        at = None if found is None else found.timestamp()
    except (OverflowError, OSError, ValueError):  # a year that no clock has
        at = None
    if at is None:
        raise InvalidMoment(text, "it is no duration and no time")
    if at < 0:
        raise InvalidMoment(text, "it is before 1970")
    if at > now:
        raise InvalidMoment(text, f"it is still to come: now is {here:%Y-%m-%dT%H:%M}")
    return at


def coming(text: str, now: float, zone: tzinfo | None = None) -> float:
    """The moment to come that a text names, Unix time, s; `now` is the earliest.

    Args:
        text: what was written.
        now: the present, Unix time, s.
        zone: where times without a zone are meant; None: by the rules of this machine.

    Raises:
        InvalidMoment: it names none, or one that is past.
    """
    written = text.strip()
    if written.lower() == "now":
        return now
    ahead_s = duration_s(written)
    if ahead_s is not None:
        if ahead_s > _LONGEST_S:
            raise InvalidMoment(text, "it is too far ahead", coming=True)
        return now + ahead_s
    here = datetime.fromtimestamp(now, zone)
    try:
        found = _coming_clock_time(written.lower(), here) or _iso(written, zone)
        at = None if found is None else found.timestamp()
    except (OverflowError, OSError, ValueError):
        at = None
    if at is None:
        raise InvalidMoment(text, "it is no duration and no time", coming=True)
    if at < now:
        raise InvalidMoment(text, f"it is past: now is {here:%Y-%m-%dT%H:%M}", coming=True)
    return at


def _coming_clock_time(written: str, here: datetime) -> datetime | None:
    """`22:00`, `today 22:00`, `tomorrow 06:00`; None if it has another form."""
    word, _, rest = written.partition(" ")
    named = word in {"today", "tomorrow"}
    clock = rest.strip() if named else written
    if not _CLOCK.fullmatch(clock):
        return None
    day = here.date() + timedelta(days=word == "tomorrow")
    found = datetime.combine(day, time.fromisoformat(clock), here.tzinfo)
    return found + timedelta(days=1) if found < here and not named else found


def duration_s(text: str) -> int | None:
    """The length of a duration such as 15m or 1d12h, s; None if it is none."""
    written = text.strip().lower()
    if not _AGO.fullmatch(written):
        return None
    return sum(int(count) * _UNITS[unit] for count, unit in _TERM.findall(written))


def _clock_time(written: str, here: datetime) -> datetime | None:
    """`22:00`, `today`, `yesterday 22:00`; None if it has another form."""
    word, _, rest = written.partition(" ")
    named = word in _DAYS
    clock = (rest.strip() or "00:00") if named else written
    if not _CLOCK.fullmatch(clock):
        return None
    days = _DAYS[word] if named else 0
    at = time.fromisoformat(clock)
    found = datetime.combine(here.date() - timedelta(days=days), at, here.tzinfo)
    return found - timedelta(days=1) if found > here and not named else found


def _iso(written: str, zone: tzinfo | None) -> datetime | None:
    if not _DATE.match(written):
        return None
    found = datetime.fromisoformat(written)
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)
