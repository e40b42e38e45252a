"""The last events, numbered, for any number of readers.

Readers share one bounded buffer and keep only a number each, so a slow one costs nothing: when it
has fallen behind what is kept, it is told how many events it missed. Numbers start at the time of
the start, so that those of an earlier life of the gateway are never taken for those of this one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_apps.gateway.mesh_view import Event


class EventLog:
    """Bounded buffer of events in the form of the event stream (HTML Living Standard, 9.2).

    Args:
        kept: how many events are kept.
        first: number of the first event.
    """

    def __init__(self, kept: int, first: int) -> None:
        self._texts: deque[bytes] = deque(maxlen=kept)
        self._first = first
        self.next = first
        self._news = asyncio.Event()

    def add(self, events: Iterable[Event]) -> None:
        """Number events and wake the readers."""
        for event in events:
            data = json.dumps(event.data)
            text = f"id: {self.next}\nevent: {event.kind}\ndata: {data}\n\n"
            self._texts.append(text.encode())
            self.next += 1
        self._news.set()
        self._news = asyncio.Event()

    def after(self, last: int) -> tuple[list[bytes], int]:
        """What follows event `last`, and the number of the last one now."""
        oldest = self.next - len(self._texts)
        start = last + 1
        texts = []
        restarted = not self._first <= start <= self.next
        if restarted or start < oldest:
            # Of what an earlier process told nobody knows how much there was.
            gap = {"missed": oldest - (self._first if restarted else start)}
            data = json.dumps(gap | {"restarted": True} if restarted else gap)
            texts.append(f"event: gap\ndata: {data}\n\n".encode())
            start = oldest
        texts += [self._texts[row - oldest] for row in range(start, self.next)]
        return texts, self.next - 1

    async def wait(self, last: int, timeout_s: float) -> None:
        """Return when there is something after `last`, or after `timeout_s`."""
        if self.next - 1 != last:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
