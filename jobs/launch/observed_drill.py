"""A drill on a network that is watched, not emulated: predicted before, timed by what is observed.

The twin is asked about the network as it is known before the fault. Then something is broken, and
the network polled until what is observed is what was predicted: which nodes are silent, which of
the others still reach each other, and over which links. Times are from the moment of the fault to
the poll that shows it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from actors.observe.contract import ObserverRules
from actors.observe.event_ring import EventRing
from actors.observe.moment import Moment
from actors.observe.observation import Observation
from actors.observe.source_record import SourceRecord
from actors.runtime.errors import Unavailable, X0Error
from actors.topology.model import Topology
from actors.twin.conditions import Conditions
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from actors.observe.contract import ReadingSource
    from actors.topology.events import NetworkEvent


class Network(NamedTuple):
    """Who is silent, the others by the part that they are in, and the links between them."""

    silent: frozenset[str]
    parts: frozenset[frozenset[str]]
    links: frozenset[frozenset[str]]


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event that the observer told, and when after the fault, s."""

    after_s: float
    event: NetworkEvent


@dataclass(frozen=True, slots=True)
class Turn:
    """What followed a fault, or its mending.

    Attributes:
        seen_s: until the first event of it, s; None: there was none.
        agreed_s: until what is observed was what was expected, s; None: it never was.
        timeline: the events.
    """

    seen_s: float | None
    agreed_s: float | None
    timeline: tuple[Sighting, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seen_s": self.seen_s,
            "agreed_s": self.agreed_s,
            "timeline": [
                {"after_s": one.after_s, "kind": str(one.event.kind), "what": one.event.what}
                for one in self.timeline
            ],
        }


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the twin says before the fault."""

    network: Network
    pairs_lost: int
    cut_off: tuple[str, ...]  # survivors outside of the largest part


class WatchedNetwork:
    """One source, watched by an observer's core of this process alone.

    Args:
        source: whom to ask.
        poll_s: seconds between two polls.
    """

    def __init__(self, source: ReadingSource, poll_s: float) -> None:
        self._source = source
        self._poll_s = poll_s
        self._begin()

    def _begin(self) -> None:
        record = SourceRecord(self._source.name, self._source.kind)
        self._world = Observation(ObserverRules(), [record], EventRing(time.time_ns()))
        self._told = 0

    async def poll(self) -> list[NetworkEvent]:
        """Ask the source once; the events that follow."""
        try:
            reading = await self._source.poll()
        except X0Error as error:
            self._world.failed(self._source.name, str(error), _now())
        else:
            self._world.answered(self._source.name, reading, _now())
        events = self._world.ring.page(self._told, 10_000).events
        self._told += len(events)
        return list(events)

    def topology(self) -> Topology:
        """The nodes that are heard, and the links between them that are up."""
        heard = [name for name, member in self._world.members.items() if member.is_heard]
        place = {name: row for row, name in enumerate(heard)}
        pairs = {
            (place[key.a], place[key.b])
            for key, link in self._world.links.items()
            if link.is_up and key.a in place and key.b in place
        }
        return Topology.of(heard, sorted(pairs))

    def now(self) -> Network:
        """The network as it is known now."""
        topology = self.topology()
        silent = frozenset(self._world.members) - {*topology.ids}
        return Network(silent, _parts(topology), _pairs(topology, range(topology.n_links)))

    def settled(self, least: float) -> bool:
        """Whether all that is known is up, with this quality in both directions at least."""
        members, links = self._world.members.values(), self._world.links.values()
        return bool(members) and all(
            [
                *(member.is_heard for member in members),
                *(
                    link.is_up and min(each or 0.0 for each in link.seen.quality) >= least
                    for link in links
                ),
            ]
        )

    async def wait_settled(self, nodes: int, least: float, timeout_s: float) -> None:
        """Poll until this many nodes are known and all is up; what is so then is what is usual.

        Raises:
            Unavailable: it is not in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            await self.poll()
            if self.settled(least) and len(self.topology().ids) == nodes:
                self._begin()
                await self.poll()
                return
            if time.monotonic() > deadline:
                known = len(self.topology().ids)
                raise Unavailable(
                    "the network is not whole",
                    f"after {timeout_s:g} s {known} of {nodes} nodes are heard, or a link is poor",
                    "Mend it first; see `x0 lab status`.",
                    retry_after_s=timeout_s,
                )
            await asyncio.sleep(self._poll_s)

    async def follow(
        self, fault: Callable[[], Awaitable[float]], expected: Network, timeout_s: float
    ) -> Turn:
        """Break something, and poll until the network is as expected.

        Args:
            fault: breaks it; the moment, Unix time, s.
            expected: how the network will then be.
            timeout_s: how long to poll at most.
        """
        at = await fault()
        timeline: list[Sighting] = []
        agreed = None
        while agreed is None and time.time() < at + timeout_s:
            timeline += [Sighting(round(e.at - at, 2), e) for e in await self.poll()]
            if self.now() == expected:
                agreed = round(time.time() - at, 2)
            else:
                await asyncio.sleep(self._poll_s)
        return Turn(timeline[0].after_s if timeline else None, agreed, tuple(timeline))


def predict(
    topology: Topology, nodes: Iterable[str], links: Iterable[tuple[str, str]], hello_s: float
) -> Prediction:
    """What the twin says would follow the failure of these nodes and links.

    Raises:
        UnknownNode: a node does not exist.
        InvalidInput: two ends are not neighbours.
    """
    failure = Failure.named(topology, nodes, links)
    found = impact(Intact(topology, Conditions(hello_s=hello_s)), failure)
    alive = np.flatnonzero(failure.survivors(topology).link_alive)
    sides = sorted((frozenset(part.nodes) for part in found.components), key=len, reverse=True)
    return Prediction(
        Network(frozenset(found.failed_nodes), frozenset(sides), _pairs(topology, alive.tolist())),
        found.pairs_lost,
        tuple(sorted(node for side in sides[1:] for node in side)),
    )


def _pairs(topology: Topology, links: Iterable[int]) -> frozenset[frozenset[str]]:
    ends, ids = topology.ends.tolist(), topology.ids
    return frozenset(frozenset(ids[end] for end in ends[link]) for link in links)


def _parts(topology: Topology) -> frozenset[frozenset[str]]:
    found: dict[int, set[str]] = {}
    for name, part in zip(topology.ids, topology.components().tolist(), strict=True):
        found.setdefault(part, set()).add(name)
    return frozenset(frozenset(part) for part in found.values())


def _now() -> Moment:
    return Moment(time.time(), time.monotonic())
