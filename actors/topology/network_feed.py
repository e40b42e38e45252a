"""A network that is watched, as a feed of topologies: what a mesh that is to be like it follows.

Without `all_components` the mesh is one component of the network: at first the largest, then the
one that shares most nodes with the component before, so that two islands that change size do not
exchange the mesh.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.clock import SystemClock
from actors.topology.errors import TopologyError
from actors.topology.link_kinds import is_tunnel
from actors.topology.live import Watch
from actors.topology.selection import Imported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from actors.topology.live import DescribedMesh, LiveMesh
    from actors.topology.model import Topology
    from actors.topology.provenance import Provenance

FORMAT: Final = "observed"


class NetworkFeed:
    """The topology of a watched network, whenever it is new. One poll at a time.

    Args:
        source: the network.
        name: what it is called in errors and logs.
        vpn: keep tunnels.
        all_components: keep more than one component.
    """

    def __init__(
        self, source: DescribedMesh, name: str, *, vpn: bool = True, all_components: bool = False
    ) -> None:
        self.name = name
        self._source = source
        self._watch = Watch(source, SystemClock())
        self._vpn = vpn
        self._all_components = all_components
        self._last: Topology | None = None
        self._polling = asyncio.Lock()

    async def poll(self) -> Imported | None:
        """The topology if it is new since the last poll that returned one, else None.

        Raises:
            TopologyError: no link of the network is up, or it cannot be seen.
            Unavailable: nobody tells of it.
        """
        async with self._polling:
            mesh = await self._seen()
            provenance = await self._source.provenance()
            topology, left_out = await asyncio.to_thread(self._selected, mesh.topology())
            if topology == self._last:
                return None
            self._last = topology
            return _imported(topology, left_out, provenance)

    async def _seen(self) -> LiveMesh:
        await self._watch.look()
        if self._watch.mesh is None or not self._watch.mesh.is_whole:
            await self._watch.look()  # the first look at a new roster has no links yet
        mesh = self._watch.mesh
        if mesh is None or not mesh.is_whole or self._watch.error:
            raise self._unusable(self._watch.error or "its nodes change at the moment")
        return mesh

    def _selected(self, whole: Topology) -> tuple[Topology, Mapping[str, int]]:
        """The part that becomes the mesh, and how much is left out of it."""
        left_out: Counter[str] = Counter()
        if not self._vpn:
            tunnel = np.array([is_tunnel(kind) for kind in whole.kinds], bool)[whole.kind]
            left_out["VPN links"] = int(tunnel.sum())
            whole = whole.keeping(~tunnel)
        if not whole.n_links:
            raise self._unusable("no link is up")
        if not self._all_components:
            inside = self._component(whole)
            part = whole.subgraph(inside)
            left_out["nodes outside the component"] = whole.n_nodes - part.n_nodes
            left_out["links outside the component"] = whole.n_links - part.n_links
            whole = part
        return whole, +left_out

    def _component(self, whole: Topology) -> NDArray[np.bool_]:
        """The nodes of the component that the mesh is, bool [n_nodes]."""
        components = whole.components()
        weight = np.zeros(int(components.max()) + 1)
        if self._last is not None:
            known = set(self._last.ids)
            shared = np.array([node in known for node in whole.ids], bool)
            weight += np.bincount(components[shared], minlength=len(weight))
        # Of those that share equally many, the largest; a node without links is no mesh.
        size = np.bincount(components, minlength=len(weight))
        weight += size / (2.0 * whole.n_nodes)
        weight[size < 2] = -1.0
        chosen: NDArray[np.bool_] = components == int(weight.argmax())
        return chosen

    def _unusable(self, why: str) -> TopologyError:
        return TopologyError(
            f"cannot emulate the network {self.name}",
            why,
            "`x0 status` shows how its sources are.",
            source=self.name,
        )


def _imported(topology: Topology, left_out: Mapping[str, int], provenance: Provenance) -> Imported:
    both = Counter(provenance.left_out) + Counter(left_out)
    return Imported(topology, FORMAT, dict(both), warnings=provenance.warnings)
