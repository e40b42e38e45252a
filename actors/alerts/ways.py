"""By which way people are told: through Alertmanager, by direct channels, or by the log alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ALERTMANAGER: Final = "alertmanager"  # name of the channel of the normal path


class Path(StrEnum):
    """By which way people are told of a thread."""

    NONE = ""  # nothing is to be told yet
    ALERTMANAGER = "alertmanager"
    DIRECT = "direct"
    LOG = "log"  # no channel is configured


@dataclass(frozen=True, slots=True)
class Ways:
    """The channels that there are now.

    Attributes:
        alertmanager: whether Alertmanager is configured.
        reached: whether it answers, as far as is known.
        direct: names of the direct channels.
    """

    alertmanager: bool = False
    reached: bool = True
    direct: tuple[str, ...] = ()

    def path(self) -> Path:
        """By which way a thread is told that was not told before."""
        if self.alertmanager and (self.reached or not self.direct):
            return Path.ALERTMANAGER
        return Path.DIRECT if self.direct else Path.LOG

    def names(self, path: Path) -> tuple[str, ...]:
        """The channels of a way."""
        if path is Path.ALERTMANAGER:
            return (ALERTMANAGER,)
        return self.direct if path is Path.DIRECT else ()
