"""Hours in which only what cannot wait is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another, of the next day if that is earlier.

    Attributes:
        begin, end: times of the day.
        zone: whose time it is; None: this machine's.
    """

    begin: time
    end: time
    zone: tzinfo | None = None

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Those of "22:00-07:00 Europe/Berlin", the zone being optional; None for "".

        Raises:
            ConfigurationError: there is no such zone or time.
        """
        if not text:
            return None
        hours, _, name = text.partition(" ")
        begin, _, end = hours.partition("-")
        try:
            zone = ZoneInfo(name) if name else None
            return cls(time.fromisoformat(begin), time.fromisoformat(end), zone)
        except (ValueError, OSError, LookupError) as error:
            where = variable("alerts_quiet_hours")
            raise ConfigurationError(
                f"{where} is {text[:60]!r}",
                str(error),
                "Write hours and the name of a zone, such as 22:00-07:00 Europe/Berlin.",
                variable=where,
            ) from None

    def until(self, at: float) -> float:
        """When those end in which the Unix time `at` lies; `at` itself if it lies in none."""
        local = datetime.fromtimestamp(at, UTC).astimezone(self.zone)
        now = local.time()
        if self.begin <= self.end:
            within = self.begin <= now < self.end
        else:
            within = now >= self.begin or now < self.end
        if not within:
            return at
        day = local.date() + timedelta(days=1 if now >= self.end else 0)
        ends = (
            datetime.combine(day, self.end, self.zone)
            if self.zone
            else (datetime.combine(day, self.end).astimezone())
        )
        return max(ends.timestamp(), at)
