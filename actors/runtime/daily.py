"""A time of each day, in a zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo

from actors.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DailyTime:
    """A time of each day.

    Attributes:
        at: time of the day.
        zone: whose time it is; None: this machine's.
    """

    at: time
    zone: tzinfo | None = None

    @classmethod
    def of(cls, text: str, variable: str) -> Self:
        """That of "07:30 Europe/Berlin", the zone being optional.

        Args:
            text: the time.
            variable: name of the setting that it comes from.

        Raises:
            ConfigurationError: there is no such zone or time.
        """
        clock, _, name = text.partition(" ")
        try:
            return cls(time.fromisoformat(clock), ZoneInfo(name) if name else None)
        except (ValueError, OSError, LookupError) as error:
            raise ConfigurationError(
                f"{variable} is {text[:60]!r}",
                str(error),
                "Write a time and the name of a zone, such as 07:30 Europe/Berlin.",
                variable=variable,
            ) from None

    def newest(self, now: float) -> tuple[date, float]:
        """The newest of these times up to a Unix time `now`: its day and its Unix time, s."""
        today = datetime.fromtimestamp(now, UTC).astimezone(self.zone).date()
        for day in (today, today - timedelta(days=1)):
            at = self._on(day)
            if at <= now:
                return day, at
        raise AssertionError(now)  # a day has at most 25 hours

    def _on(self, day: date) -> float:
        moment = datetime.combine(day, self.at)
        # An hour that the clock leaves out in spring is read as the one after it.
        zoned = moment.replace(tzinfo=self.zone) if self.zone else moment.astimezone()
        return zoned.timestamp()
