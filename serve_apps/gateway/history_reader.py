"""The history as the gateway reads it: from disk, in threads, a few questions at once.

The historian writes, this reads; they meet nowhere else. So events can be asked for, and a stream
be resumed, whatever became of the historian or of this process meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from actors.runtime.errors import Unavailable
from actors.topology.errors import UnknownNode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from actors.history.archive import Archive, KnownNodes
    from actors.history.event_store import EventQuery, StoredEvent

FoundT = TypeVar("FoundT")
_LOOK_S: Final = 0.5  # age of an answer about the ends of the history that is given again


class HistoryReader:
    """Reads the history of a session's state directory and database.

    Args:
        archive: the history; None: none is kept.
    """

    def __init__(self, archive: Archive | None) -> None:
        self._archive = archive
        self._opening = asyncio.Lock()
        self._looking = asyncio.Lock()
        self._ends = (0, 0)
        self._looked_at = -float("inf")

    async def within(self, work: Callable[[Archive], FoundT]) -> FoundT:
        """Do something with the history in a thread.

        Raises:
            Unavailable: none is kept, or its database does not answer.
            ConfigurationError: its database cannot be opened.
        """
        archive = self._archive
        if archive is None:
            raise Unavailable(
                "there is no history",
                "none is kept here",
                "Start the session with `x0 up` or `x0 watch`.",
                retry_after_s=60.0,
            )
        async with self._opening:  # by one alone: it makes tables
            await asyncio.to_thread(lambda: archive.events)
        return await asyncio.to_thread(work, archive)

    async def find(self, query: EventQuery) -> list[StoredEvent]:
        """The events of a query."""
        return await self.within(lambda archive: archive.events.find(query))

    async def ends(self) -> tuple[int, int]:
        """Ids of the oldest and the newest event, asked for once for all readers of streams."""
        async with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_S:
                self._ends = await self.within(lambda archive: archive.events.ends())
                self._looked_at = time.monotonic()
            return self._ends

    async def wait(self, last: int, timeout_s: float) -> bool:
        """Wait for an event after `last`; whether there is one."""
        until = time.monotonic() + timeout_s
        while True:
            newest = (await self.ends())[1]
            left = until - time.monotonic()
            if newest > last or left <= 0:
                return newest > last
            await asyncio.sleep(min(_LOOK_S, left))

    async def ids_of(self, texts: Collection[str], since: float) -> list[str]:
        """Ids of the nodes with these ids or whole names, now or since then.

        Raises:
            UnknownNode: the history has no such node.
            AmbiguousNode: several have this name.
        """
        if not texts:
            return []

        def work(archive: Archive) -> list[str]:
            known = archive.naming(since, time.time())
            told = set(archive.events.nodes())
            return [_id_of(text, known, told) for text in texts]

        return await self.within(work)


def _id_of(text: str, known: KnownNodes, told: Collection[str]) -> str:
    try:
        return known.exact(text)
    except UnknownNode:
        if text in told:  # of which nothing was measured
            return text
        raise
