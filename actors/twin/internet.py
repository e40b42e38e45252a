"""The mesh as the internet sees it: who reaches a gateway, and what each failure costs them.

The internet is one more node that every gateway is joined to, by links that never fail. A failure
cuts a node off when it separates it from that node and did not fail it. So what each single
failure costs follows from the blocks (see `actors.topology.blocks`) over a forest whose root is the
internet: what hangs below a node or a bridge is cut off by it.

Only a topology's own statement, or the asker's, makes a node a gateway. Where neither names one,
there is no `Internet`, and no figure of this kind: nothing is known, which is not 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from actors.topology.blocks import blocks
from actors.topology.forest import spanning_forest
from actors.topology.model import Topology
from actors.topology.node_table import UNKNOWN_CLIENTS
from actors.twin.results import InternetAccess, NodesAndClients

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from actors.topology.blocks import Blocks
    from actors.topology.forest import Forest
    from actors.topology.surviving import Surviving
    from actors.twin.partitions import SurvivorComponents

NOBODY = NodesAndClients(0, 0, 0)


class CutOff(NamedTuple):
    """Sums over those that one failure cuts off, the rows of `weights`."""

    by_node: NDArray[np.int64]  # [3, n_nodes]
    by_link: NDArray[np.int64]  # [3, n_links]; 0 for parallel links, of which one fails


def weights(topology: Topology) -> NDArray[np.int64]:
    """What each node counts for, int64 [3, n_nodes]: itself, its clients, whether they are known.

    Clients that are not known count 0, and the last row tells of how many nodes they are known.
    """
    clients = topology.nodes.clients.astype(np.int64)
    known = clients != UNKNOWN_CLIENTS
    return np.stack([np.ones(len(known), np.int64), np.where(known, clients, 0), known])


def counted(sums: NDArray[np.int64]) -> NodesAndClients:
    """Three sums of `weights` as a result."""
    nodes, clients, known = sums.tolist()
    return NodesAndClients(nodes, clients if known or not nodes else None, known)


def people(topology: Topology, which: NDArray[np.bool_] | NDArray[np.int64]) -> NodesAndClients:
    """These nodes, by a mask or by index, and their clients."""
    return counted(weights(topology)[:, which].sum(axis=1))


# No slots: the cached properties live in __dict__. No generated __eq__: compared by identity.
@dataclass(frozen=True, eq=False)
class Internet:
    """Who reaches which gateway.

    Attributes:
        topology: the mesh.
        gateway: bool [n_nodes], the gateways; at least one.
        given: whether they were named by the asker.
    """

    topology: Topology
    gateway: NDArray[np.bool_]
    given: bool

    @classmethod
    def of(cls, topology: Topology, gateways: Sequence[str] | None = None) -> Self | None:
        """The internet behind these nodes, or else behind the topology's own gateways.

        None if that is no node at all.

        Raises:
            UnknownNode: a node does not exist.
        """
        gateway = topology.nodes.gateway
        if gateways is not None:
            gateway = np.zeros(topology.n_nodes, np.bool_)
            gateway[[topology.index_of(name) for name in gateways]] = True
        return cls(topology, gateway, gateways is not None) if gateway.any() else None

    @cached_property
    def joined(self) -> Topology:
        """The mesh with the internet as node 0, so that node v is v + 1; its links come last."""
        whole = self.topology
        behind = np.flatnonzero(self.gateway) + 1
        ends = np.vstack([whole.ends + 1, np.stack([np.zeros_like(behind), behind], axis=1)])
        parallel = np.append(whole.parallel, np.ones(len(behind), np.int16))
        ids = [str(number) for number in range(whole.n_nodes + 1)]
        return replace(Topology.of(ids, ends), parallel=parallel)

    @cached_property
    def forest(self) -> Forest:
        """A spanning forest of `joined`; the internet is at place 0."""
        return spanning_forest(self.joined)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks over that forest."""
        return blocks(self.joined, self.forest)

    @cached_property
    def online(self) -> NDArray[np.bool_]:
        """Which nodes reach a gateway while nothing has failed, bool [n_nodes]."""
        return np.equal(self.forest.root[self.forest.place[1:]], 0)

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """`weights` of the mesh, int64 [3, n_nodes]."""
        return weights(self.topology)

    @cached_property
    def below(self) -> NDArray[np.int64]:
        """Sums of `weights` over the subtree of each place of the forest, int64 [3, n_nodes + 1].

        0 outside the tree of the internet, where nobody has anything to lose.
        """
        here = np.pad(self.weights, ((0, 0), (1, 0)))[:, self.forest.node]
        here[:, self.forest.root != 0] = 0
        total = np.pad(np.cumsum(here, axis=1), ((0, 0), (1, 0)))
        place = np.arange(len(self.forest.size))
        sums: NDArray[np.int64] = total[:, place + self.forest.size] - total[:, place]
        return sums

    @cached_property
    def cut_off(self) -> CutOff:
        """Whom each single failure cuts off, itself not counted."""
        topology, forest, parts = self.topology, self.forest, self.blocks
        lower = np.flatnonzero(parts.of >= 0)
        block = parts.of[lower]
        by_place = np.zeros((3, topology.n_nodes + 1), np.int64)
        hanging = lower[forest.parent[lower] == parts.top[block]]
        for sums, below in zip(by_place, self.below, strict=True):
            np.add.at(sums, forest.parent[hanging], below[hanging])
        by_link = np.zeros((3, self.joined.n_links), np.int64)
        bridge = lower[parts.bridge[block]]
        link = self.joined.directed_links(forest.node[forest.parent[bridge]], forest.node[bridge])
        by_link[:, link >> 1] = self.below[:, bridge]
        by_link = by_link[:, : topology.n_links]
        by_link[:, topology.parallel > 1] = 0
        return CutOff(by_place[:, forest.place[1:]], by_link)

    def offline(self, left: Surviving) -> NDArray[np.bool_]:
        """Survivors that reached a gateway and no longer do, bool [n_nodes]."""
        served = self.served(left)
        return self.online & left.node_alive & ~served[left.components]

    def cut_off_in(self, parts: SurvivorComponents) -> NDArray[np.int64]:
        """Sums of `weights` over whom each failed set cuts off, int64 [3, n_sets]."""
        row, node = parts.apart_from(np.flatnonzero(self.gateway))
        lost = self.online[node]
        return self._summed(row[lost], node[lost], parts.n_sets)

    def failed_in(self, parts: SurvivorComponents) -> NDArray[np.int64]:
        """The same over the failed nodes themselves that reached a gateway."""
        node = parts.forest.node[parts.failed_place]
        lost = self.online[node]
        return self._summed(parts.failed_row[lost], node[lost], parts.n_sets)

    def _summed(
        self, row: NDArray[np.intp] | NDArray[np.int64], node: NDArray[np.int32], n_sets: int
    ) -> NDArray[np.int64]:
        # Exact in floats: far below 2**53.
        sums = [np.bincount(row, weight[node], n_sets) for weight in self.weights]
        return np.stack(sums).astype(np.int64)

    @cached_property
    def reaching(self) -> NDArray[np.int64]:
        """Sums of `weights` over those that reach a gateway while nothing has failed, int64 [3]."""
        sums: NDArray[np.int64] = self.weights[:, self.online].sum(axis=1)
        return sums

    def served(self, left: Surviving) -> NDArray[np.bool_]:
        """Which components of the survivors have a gateway, bool [n_components + 1]; last False."""
        served = np.zeros(left.n_components + 1, np.bool_)
        served[left.components[self.gateway & left.node_alive]] = True
        return served

    @cached_property
    def access(self) -> InternetAccess:
        """What is known of the intact mesh."""
        ids = self.topology.ids
        return InternetAccess(
            gateways=[ids[node] for node in np.flatnonzero(self.gateway).tolist()],
            given=self.given,
            reaching=counted(self.reaching),
        )
