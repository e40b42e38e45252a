"""The optional fields of one record: read where they can be, and said where they cannot.

A field that is absent or null is not known. One of another type or out of range is not known
either, and is said. Numbers are JSON numbers, never booleans, and finite: Python's parser lets NaN,
Infinity and 1e999 through (RFC 8259 section 6 does not).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from actors.runtime.ids import display_name

if TYPE_CHECKING:
    from collections.abc import Callable


UNREADABLE: Final = "unreadable fields"
RECODED: Final = "names that cannot be shown as they are"
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
MAX_TEXTS: Final = 256  # addresses of a node that are kept
_MILLISECONDS: Final = 1e11  # a Unix time beyond the year 5000 is one in ms
_MAX_LATITUDE, _MAX_LONGITUDE = 90.0, 180.0


def type_name(value: object) -> str:
    """Name a JSON type as RFC 8259 does."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def finite(value: object) -> float | None:
    """The value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An integer beyond the range of a float cannot be converted at all.
    return float(value) if abs(value) <= 1e308 else None


def moment(value: object) -> float | None:
    """Unix time, s, of an ISO 8601 text or a number of s or ms; None if it is none."""
    number = finite(value)
    if number is not None:
        return number / 1000 if number > _MILLISECONDS else number
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        # Without an offset, times are UTC.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


class Fields:
    """The optional fields of one record.

    Args:
        record: the record; what is no object has no fields.
        entry: where it stands.
        say: is told (reason, entry, why) of what could not be read.
    """

    __slots__ = ("_entry", "_record", "_say")

    def __init__(self, record: object, entry: str, say: Callable[[str, str, str], None]) -> None:
        self._record = record if isinstance(record, dict) else {}
        self._entry = entry
        self._say = say

    def __contains__(self, key: str) -> bool:
        return self._record.get(key) is not None

    def part(self, key: str) -> Fields:
        """The fields of the object under `key`; none if there is no such object."""
        value = self._record.get(key)
        if value is not None and not isinstance(value, dict):
            self._unreadable(key, f"it is {type_name(value)}")
        return Fields(value, self._at(key), self._say)

    def value(self, key: str) -> object:
        """Whatever is under `key`; None if nothing is."""
        return self._record.get(key)

    def names(self) -> list[str]:
        """The names of all fields."""
        return [name for name in self._record if isinstance(name, str)]

    def text(self, *keys: str) -> str:
        """The first text under one of the keys, as `display_name` shows it; "" if none."""
        for key in keys:
            value = self._record.get(key)
            if isinstance(value, str) and value:
                return self._clean(key, value)
            if value is not None and not isinstance(value, str):
                self._unreadable(key, f"it is {type_name(value)}")
        return ""

    def listed(self, key: str) -> list[Any]:
        """The list under `key`; an empty one if there is none."""
        value = self._record.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self._unreadable(key, f"it is {type_name(value)}")
        return []

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of the list under `key`, in lower case, at most `MAX_TEXTS`."""
        value = self.listed(key)
        texts = [each.lower() for each in value if isinstance(each, str) and each]
        if len(texts) < len(value):
            self._unreadable(key, "not all of its values are texts")
        return tuple(texts[:MAX_TEXTS])

    def flag(self, key: str) -> bool | None:
        """The boolean under `key`."""
        value = self._record.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._unreadable(key, f"it is {type_name(value)}")
        return None

    def number(self, key: str, least: float = -math.inf, most: float = math.inf) -> float | None:
        """The number under `key`, if it is in the range."""
        value = self._record.get(key)
        if value is None:
            return None
        number = finite(value)
        if number is None:
            self._unreadable(key, f"it is {type_name(value)}")
            return None
        if not least <= number <= most:
            self._unreadable(key, f"{number:g} is out of range")
            return None
        return number

    def count(self, key: str) -> int | None:
        """The whole number of at least 0 under `key`."""
        number = self.number(key, 0, 2**31 - 1)
        return None if number is None else int(number)

    def time(self, key: str) -> float | None:
        """Unix time, s, under `key`; the zero of a program (a time before 1970) is none."""
        value = self._record.get(key)
        if value is None or value == "":
            return None
        at = moment(value)
        if at is None:
            self._unreadable(key, "it is no time")
            return None
        return at if at > 0 else None

    def place(self, latitude: str, longitude: str) -> tuple[float, float] | None:
        """Latitude and longitude under these keys, degrees."""
        if latitude not in self and longitude not in self:
            return None
        north = self.number(latitude, -_MAX_LATITUDE, _MAX_LATITUDE)
        east = self.number(longitude, -_MAX_LONGITUDE, _MAX_LONGITUDE)
        return None if north is None or east is None else (north, east)

    def _clean(self, key: str, value: str) -> str:
        name = display_name(value)
        if REPLACEMENT in name:
            self._say(RECODED, self._at(key), f"it is read as {name[:40]}")
        return name

    def _unreadable(self, key: str, why: str) -> None:
        self._say(UNREADABLE, self._at(key), why)

    def _at(self, key: str) -> str:
        return f"{self._entry}.{key}" if self._entry else key
