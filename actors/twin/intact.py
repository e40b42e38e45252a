"""Results about the intact mesh, each computed once, when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.topology.blocks import blocks
from actors.topology.cuts import cuts
from actors.topology.forest import spanning_forest
from actors.topology.surviving import connected_pairs
from actors.twin.conditions import Conditions
from actors.twin.loss import Routes, hop_delivery
from actors.twin.partitions import Partitioner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.blocks import Blocks
    from actors.topology.cuts import Cuts
    from actors.topology.forest import Forest
    from actors.topology.model import Topology

MAX_CELLS = 8_000_000  # destinations x nodes: routes between all of 2,828 nodes, some 300 MB
SAMPLE_CELLS = 2_000_000  # size of the sample where not all fit, for answers in seconds


def pairs_of(n: int) -> int:
    """Unordered pairs of n things."""
    return n * (n - 1) // 2


# No slots: the cached properties live in __dict__. No generated __eq__: compared by identity.
@dataclass(frozen=True, eq=False)
class Intact:
    """A mesh before anything fails.

    Attributes:
        topology: the mesh.
        conditions: its operating conditions.

    Raises:
        InvalidInput: the capacities are not those of this mesh's links.
    """

    topology: Topology
    conditions: Conditions = field(default_factory=Conditions)

    def __post_init__(self) -> None:
        capacity = self.conditions.capacity
        if capacity is not None and capacity.shape != (self.topology.n_links,):
            raise InvalidInput(
                "the capacities do not fit the mesh",
                f"there are {len(capacity)} for {self.topology.n_links} links",
                "Give one for each link.",
            )

    @cached_property
    def forest(self) -> Forest:
        """A spanning forest."""
        return spanning_forest(self.topology)

    @cached_property
    def blocks(self) -> Blocks:
        """The blocks over that forest."""
        return blocks(self.topology, self.forest)

    @cached_property
    def cuts(self) -> Cuts:
        """The cost of every single failure."""
        return cuts(self.topology, self.forest, self.blocks)

    @cached_property
    def partitioner(self) -> Partitioner:
        """The partitioner of the mesh."""
        return Partitioner(self.topology, self.forest)

    @cached_property
    def component_sizes(self) -> NDArray[np.int64]:
        """Nodes in each component, int64 [n_components]."""
        return np.bincount(self.topology.components())

    @cached_property
    def pairs_connected(self) -> int:
        """Pairs that a path joins."""
        return connected_pairs(self.topology.components())

    @cached_property
    def destinations(self) -> NDArray[np.int64]:
        """Nodes that routes lead to: all that traffic goes to, or a sample of as many as fit."""
        if not self.sampled:
            return self._wanted
        most = max(1, SAMPLE_CELLS // self.topology.n_nodes)
        draw = np.random.default_rng(self.conditions.seed)
        return np.sort(draw.choice(self._wanted, min(most, len(self._wanted) - 1), replace=False))

    def prepare(self) -> None:
        """Compute what questions about any failure need; they compute it otherwise."""
        _ = self.unknown, self.delivery, self.routes.hops

    @cached_property
    def sampled(self) -> bool:
        """Whether some destinations had to be left out."""
        return len(self._wanted) * self.topology.n_nodes > MAX_CELLS

    @cached_property
    def _wanted(self) -> NDArray[np.int64]:
        n, traffic = self.topology.n_nodes, self.conditions.traffic
        return np.arange(n) if traffic is None else traffic.destinations(n)

    @cached_property
    def routes(self) -> Routes:
        """Routes to all `destinations`."""
        return Routes.of(self.topology, self.destinations)

    @cached_property
    def crossing(self) -> NDArray[np.float64]:
        """Chance that a frame crosses each directed link, float64 [2 * n_links]."""
        return hop_delivery(self.topology, self.conditions.retries)

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """Routes of which nobody knows the loss, bool [len(destinations), n_nodes]."""
        return self.routes.unmeasured()

    @cached_property
    def delivery(self) -> NDArray[np.float64]:
        """Chance that a message arrives, float64 [len(destinations), n_nodes]."""
        return self.routes.delivery(self.crossing)

    @cached_property
    def rate(self) -> NDArray[np.float64]:
        """Traffic towards each destination, float64 as `delivery`; 1 between all without one."""
        n, traffic = self.topology.n_nodes, self.conditions.traffic
        if traffic is not None:
            return traffic.towards(self.routes.trees.destinations, n)
        rate = np.ones((len(self.destinations), n))
        rate[np.arange(len(rate)), self.destinations] = 0.0
        return rate

    @cached_property
    def load(self) -> NDArray[np.float64]:
        """Load of each link, float64 [n_links]."""
        return self.routes.load(self.rate)
