"""Reads a source of events to its end, and stores what is new."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.topology.events import EventKind, EventSeverity, NetworkEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.history.event_store import EventStore, Progress, StoredEvent
    from actors.topology.events import EventPage, EventSource
    from actors.topology.provenance import Network

PAGE: Final = 1_000  # most events of one transaction


class EventCollector:
    """Collects the events of one source.

    Args:
        name: name of the source.
        network: which network its events are of.
        source: the source.
        store: where they are stored.
        now: gives the Unix time, s.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        source: EventSource,
        store: EventStore,
        now: Callable[[], float],
    ) -> None:
        self._name = name
        self._network = network
        self._source = source
        self._store = store
        self._now = now
        self._progress: Progress | None = None

    async def collect(self, told: Callable[[list[StoredEvent]], Awaitable[None]]) -> None:
        """Read all that is new; `told` is called with each part that has been stored.

        Raises:
            X0Error: the source or the database does not answer. The next try goes on from there.
        """
        while True:
            if self._progress is None:
                self._progress = await asyncio.to_thread(self._store.progress, self._name)
            page = await self._source.events(self._progress.number, PAGE)
            after = self._progress.number
            if page.incarnation != self._progress.incarnation:
                if after:  # its numbers have begun anew
                    page = await self._source.events(0, PAGE)
                after = 0
            if not page.events and not page.missed:
                return
            stored = await asyncio.to_thread(
                self._store.record,
                self._name,
                self._network,
                page.incarnation,
                [*self._gap(page, after), *page.events],
            )
            self._progress = None  # what the database says is what holds
            await told(stored)

    def _gap(self, page: EventPage, after: int) -> list[NetworkEvent]:
        """Says that events are missing, in the place of the first of them."""
        if not page.missed:
            return []
        what = f"{page.missed} events of the {self._name} were not recorded: it no longer has them"
        at = page.events[0].at if page.events else self._now()
        kind, severity = EventKind.EVENTS_MISSED, EventSeverity.WARNING
        # The last of the missing numbers, so that a gap that is seen once more is the same event.
        number = after + page.missed
        data = {"missed": page.missed}
        return [NetworkEvent(number, at, kind, severity, (), None, what, data)]
