"""The observer's core on the sockets of a laboratory, in this process: no cluster, no disk.

It polls as the observer actor does, and answers what a drill asks of that (`Watching`).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self

from actors.observe import answers
from actors.observe.contract import EVENTS_KEPT, ObserverRules
from actors.observe.event_ring import EventRing
from actors.observe.moment import Moment
from actors.observe.observation import Observation
from actors.observe.source_record import SourceRecord
from actors.observe.sources import babel_sockets
from actors.observe.sources.babeld import BabelSource
from actors.runtime.errors import Unavailable, X0Error
from jobs.launch.observed_drill import Before, Follower

if TYPE_CHECKING:
    from actors.observe.contract import ObservedNetwork
    from actors.topology.events import EventKind, EventPage
    from cluster.lab.laboratory import Laboratory

LOOK_S: Final = 0.05  # time between two questions of a drill
SETTLED: Final = 1.0  # quality of a link that has lost nothing lately


class LabObserver:
    """Polls a laboratory while it is entered; the network is new to it each time.

    Args:
        lab: the laboratory.
        poll_s: time between two polls, s.
    """

    def __init__(self, lab: Laboratory, poll_s: float) -> None:
        self._nodes = frozenset(lab.nodes)
        sockets = babel_sockets.parse(lab.source.partition(":")[2])
        self._source = BabelSource(sockets, timeout_s=lab.hello_s)
        self._poll_s = poll_s
        self._polling: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        record = SourceRecord(self._source.name, self._source.kind)
        self._world = Observation(ObserverRules(), [record], EventRing(time.time_ns()))

    async def __aenter__(self) -> Self:
        self._polling = asyncio.create_task(self._poll_steadily())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        await self._source.close()

    async def _poll_steadily(self) -> None:
        while True:
            began = time.monotonic()
            try:
                reading = await self._source.poll()
            except X0Error as error:
                self._world.failed(self._source.name, str(error), _now())
            else:
                self._world.answered(self._source.name, reading, _now())
            await asyncio.sleep(max(0.0, began + self._poll_s - time.monotonic()))

    async def network(self) -> ObservedNetwork:
        """See `Watching.network`."""
        return answers.network(self._world)

    async def events(self, after: int, most: int) -> EventPage:
        """See `Watching.events`."""
        return self._world.ring.page(after, most)

    def has_told(self, kind: EventKind) -> bool:
        """Whether there was an event of this kind."""
        return any(event.kind is kind for event in self._world.ring.page(0, EVENTS_KEPT).events)

    def follower(self) -> Follower:
        """What follows the events."""
        return Follower(self, LOOK_S)

    async def settled(self, timeout_s: float) -> Before:
        """The network once all of it is up; what is so then is what is usual.

        Raises:
            Unavailable: it is not in time.
        """
        await self._whole(time.monotonic() + timeout_s)
        self._forget()
        await self._whole(time.monotonic() + timeout_s)
        return await self.follower().before()

    async def _whole(self, deadline: float) -> None:
        while not await self._is_whole():
            if time.monotonic() > deadline:
                raise Unavailable(
                    "the laboratory is not whole",
                    "a node is not heard, or a link is poor",
                    "Run it on a machine with less load.",
                    retry_after_s=10.0,
                )
            await asyncio.sleep(LOOK_S)

    async def _is_whole(self) -> bool:
        network = await self.network()
        heard = {node.id for node in network.nodes if node.state == "up"}
        return heard == self._nodes and all(
            link.state == "up" and min(each or 0.0 for each in link.quality) >= SETTLED
            for link in network.links
        )


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
