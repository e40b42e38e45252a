"""The way of an alert out of the process that raises it: a line in a file, then to the actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.runtime.alerting import Alert

TAKER: Final = "alerts"  # name of the actor that takes alerts over


@dataclass(frozen=True, slots=True)
class SpooledAlert:
    """An alert on its way.

    Attributes:
        id: given where it was raised; no other alert of any process has it.
        alert: the alert.
    """

    id: str
    alert: Alert


class TakesAlerts(Protocol):
    """The actor that takes alerts over."""

    async def take(self, batch: Sequence[SpooledAlert]) -> int:
        """Take alerts over; how many are new. When it returns, they are on disk."""
        ...
