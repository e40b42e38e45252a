"""Looks at a running network: the emulated mesh, or the one that the observer keeps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from actors.observe import client as observer
from actors.observe.sampling import sampled
from actors.runtime.clock import SystemClock
from actors.runtime.errors import Unavailable
from actors.topology.live import Watch
from actors.topology.samples import of_mesh

if TYPE_CHECKING:
    from actors.observe.contract import ObservedNetwork
    from actors.topology.live import LiveMesh, MeshSource
    from actors.topology.samples import NetworkSample


class NetworkLooks(Protocol):
    """Whoever can look at a network."""

    async def look(self) -> NetworkSample:
        """The network as it is known now; cheap when nothing has changed.

        Raises:
            X0Error: it cannot be seen.
        """
        ...


class MeshLooks:
    """Looks at the emulated mesh.

    Args:
        source: the mesh.
        measure_s: interval between two looks at qualities that are not advertised, s.
    """

    def __init__(self, source: MeshSource, measure_s: float) -> None:
        self._watch = Watch(source, SystemClock(), measure_s)
        self._seen: tuple[LiveMesh, int, tuple[str, ...]] | None = None
        self._sample: NetworkSample | None = None

    async def look(self) -> NetworkSample:
        """See `NetworkLooks.look`."""
        await self._watch.look()
        mesh = self._watch.mesh
        if mesh is None or not mesh.is_whole:
            raise Unavailable(
                "the mesh cannot be seen",
                self._watch.error or "not all of its shards have told their part yet",
                "See `x0 status`.",
                retry_after_s=1.0,
            )
        seen = mesh, mesh.changes, tuple(self._watch.silent)
        if self._sample is None or seen != self._seen:
            self._sample = await asyncio.to_thread(of_mesh, mesh, seen[2])
            self._seen = seen
        return self._sample


class ObservedLooks:
    """Looks at the network that the observer of this process's namespace keeps.

    Attributes:
        network: as it was told last; None: it has not been told yet.
    """

    def __init__(self) -> None:
        self.network: ObservedNetwork | None = None
        self._revision = 0, 0
        self._sample: NetworkSample | None = None

    async def look(self) -> NetworkSample:
        """See `NetworkLooks.look`."""
        network = await observer.network_if_changed(self._revision)
        if not isinstance(network, float):
            self._sample = await asyncio.to_thread(sampled, network)
            self.network = network
            self._revision = network.revision
        if self._sample is None:  # the first revision of an observer is another one
            raise Unavailable(
                "the network cannot be seen",
                "the observer has told nothing yet",
                "See `x0 status`.",
                retry_after_s=1.0,
            )
        return self._sample
