"""The newest events, numbered."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from actors.observe.contract import EVENTS_KEPT, MOST_EVENTS
from actors.topology.events import EventPage, NetworkEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.observe.step import Happening


class EventRing:
    """Keeps the newest `EVENTS_KEPT` events.

    Args:
        incarnation: of the numbering.
        last: number of the last event so far.
        kept: the newest of them.
    """

    def __init__(self, incarnation: int, last: int = 0, kept: Iterable[NetworkEvent] = ()) -> None:
        self.incarnation = incarnation
        self.last = last
        self._kept: deque[NetworkEvent] = deque(kept, maxlen=EVENTS_KEPT)

    def add(self, happenings: Iterable[Happening], at: float) -> list[NetworkEvent]:
        """Number events that happened at `at`, Unix time, s."""
        new = [
            NetworkEvent(
                number, at, one.kind, one.severity, one.nodes, one.link, one.what, one.data
            )
            for number, one in enumerate(happenings, self.last + 1)
        ]
        self._kept.extend(new)
        self.last += len(new)
        return new

    def newest(self, most: int) -> list[NetworkEvent]:
        """The newest events, oldest first."""
        return list(self._kept)[-most:] if most else []

    def page(self, after: int, most: int) -> EventPage:
        """At most `most` events with numbers above `after`."""
        first = self.last - len(self._kept) + 1
        start = max(after + 1, first)
        some = islice(self._kept, start - first, start - first + max(0, min(most, MOST_EVENTS)))
        missed = max(0, min(start, self.last + 1) - max(after, 0) - 1)
        return EventPage(self.incarnation, missed, tuple(some))
