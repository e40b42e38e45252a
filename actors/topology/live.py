"""The mesh as its nodes know it, joined from the parts that the shards report.

The newest advertisement of a node is the one that its own shard holds, so the shards' parts
together are the join of all their link-state databases. A link is there while both ends advertise
it; its quality in each direction is the one that the receiving end measures. Nodes without such a
link (silent ones, say) belong to the mesh all the same, cut off from it.

A shard that does not answer keeps its last part: its nodes may well work, and the neighbours of
failed nodes withdraw them by themselves.

`Watch` is the one loop that polls a running mesh; every user of the live mesh uses it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from numpy.typing import NDArray

    from actors.runtime.clock import Clock
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.model import Topology
    from actors.topology.provenance import Provenance

LOOK_S: Final = 0.5  # interval between two polls
MEASURE_S: Final = 30.0  # interval between two polls of qualities, which drift unadvertised
_LEAST: Final = 1e-6  # least quality of a link that is up


class LiveMesh:
    """The known state of the mesh.

    Args:
        roster: the nodes and possible links of the mesh.

    Attributes:
        changes: number of parts taken so far.
        parts: newest part of each shard.
    """

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.changes = 0
        self.parts: dict[str, LinkState] = {}

    @property
    def is_whole(self) -> bool:
        """Whether every shard has reported its part."""
        return len(self.parts) == len(self.roster.shards)

    def known(self, shard: str) -> tuple[int, int] | None:
        """Revision and digest of a shard's part; None if the shard has to report it again."""
        part = self.parts.get(shard)
        return None if part is None else (part.revision, part.digest)

    def learn(self, shard: str, part: LinkState) -> bool:
        """Store a shard's part; False if it follows another roster, which has to be fetched."""
        if part.revision != self.roster.revision:
            return False
        self.parts[shard] = part
        self.changes += 1
        return True

    def directed(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Cost, 0 where it is down, and quality in [0, 1] of each directed link of the roster."""
        n_directed = 2 * self.roster.topology.n_links
        cost, quality = np.zeros(n_directed, np.int32), np.zeros(n_directed)
        for part in self.parts.values():
            cost[part.link] = part.cost
            quality[part.link ^ 1] = part.heard
        return cost, quality

    def topology(self) -> Topology:
        """The nodes that are present, and the links that are up."""
        whole = self.roster.topology
        cost, quality = self.directed()
        up = (cost[::2] > 0) & (cost[1::2] > 0)
        links = whole.keeping(up)
        both = np.clip(quality.reshape(-1, 2)[up], _LEAST, 1.0)
        return replace(links, quality=both).subgraph(self.roster.present)


class MeshSource(Protocol):
    """The mesh that a watch polls. Every method raises `X0Error` if there is no answer."""

    async def roster(self) -> Roster:
        """The nodes and possible links of the mesh."""
        ...

    async def link_state(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        """The part of a shard; None if it still has the revision and digest `known`."""
        ...


class DescribedMesh(MeshSource, Protocol):
    """A mesh that also tells where it is known from."""

    async def provenance(self) -> Provenance:
        """What is known of it besides nodes and links."""
        ...


class Watch:
    """Polls a running mesh.

    Args:
        source: the mesh to poll.
        clock: clock that gives `seen_at`.
        measure_s: interval between two polls of qualities, s.

    Attributes:
        mesh: the known state of the mesh; None before the first poll.
        seen_at: time of the last complete poll, s; -inf before the first.
        silent: shards that did not answer the last poll, and the reason.
        error: reason why the last poll failed as a whole; empty if it did not.
    """

    def __init__(self, source: MeshSource, clock: Clock, measure_s: float = MEASURE_S) -> None:
        self.mesh: LiveMesh | None = None
        self.seen_at = -np.inf
        self.silent: Mapping[str, str] = {}
        self.error = "the mesh has not been looked at yet"
        self._source = source
        self._clock = clock
        self._measure_s = measure_s
        self._measured_at = -np.inf

    async def run(self, seen: Callable[[], Awaitable[None]]) -> None:
        """Poll until cancelled; call `seen` after each poll, also after one that failed."""
        while True:
            try:
                await self.look()
            except X0Error as error:
                self.error = str(error)
            await seen()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Poll once: store what has changed since the last poll.

        Raises:
            X0Error: there is no answer for the roster.
        """
        if self.mesh is None:
            self.mesh = LiveMesh(await self._source.roster())
        mesh, now = self.mesh, self._clock.now()
        measure = now - self._measured_at >= self._measure_s
        if not await self._hear(mesh, measure=measure):
            # A shard uses another membership: a newer one, or for a moment an older one.
            roster = await self._source.roster()
            if roster.revision != mesh.roster.revision:
                self.mesh, self._measured_at = LiveMesh(roster), -np.inf
        self.error = ", ".join(f"{shard}: {why}" for shard, why in self.silent.items())
        if self.mesh is mesh and mesh.is_whole:
            if measure:
                self._measured_at = now
            if not self.silent:
                self.seen_at = now

    async def _hear(self, mesh: LiveMesh, *, measure: bool) -> bool:
        """Ask all shards for news, or for all; False if one follows another roster."""
        silent: dict[str, str] = {}

        async def one(shard: str) -> bool:
            known = None if measure else mesh.known(shard)
            try:
                part = await self._source.link_state(shard, known)
            except X0Error as error:
                silent[shard] = error.why
                return True
            return part is None or mesh.learn(shard, part)

        fits = await asyncio.gather(*(one(shard) for shard in mesh.roster.shards))
        self.silent = silent
        return all(fits)
