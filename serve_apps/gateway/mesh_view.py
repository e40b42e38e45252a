"""The emulated mesh as the gateway last saw it.

A link is directed and up while its source counts its target as a neighbour; a node is up while at
least one neighbour hears it, which is how the mesh itself tells. What a shard that does not answer
hosts keeps its last known state: it is not known to have failed. What has happened is told by the
history (`actors.topology.mesh_events`), not by this view.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from actors.topology.etx import COST_UNIT
from actors.topology.naming import Naming

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from actors.topology.link_state import LinkState
    from actors.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the mesh said at one moment.

    Attributes:
        topology: the map; all indices below follow its numbering.
        present: bool [n_nodes].
        parts: what shards last told of the links out of the nodes that they host.
        down: shards that did not answer, and why.
    """

    topology: Topology
    present: NDArray[np.bool_]
    parts: Sequence[LinkState]
    down: Mapping[str, str]


class MeshView:
    """What is known of nodes and links.

    Args:
        revision: number of the first map; those of an earlier process must be lower.

    Attributes:
        version: grows whenever what `nodes` and `links` tell may have changed.
        map_revision: grows whenever links are numbered anew.
    """

    def __init__(self, revision: int = 0) -> None:
        self.version = 0
        self.map_revision = revision
        self.topology: Topology | None = None
        self.index: dict[str, int] = {}  # node indices by id, of the nodes that are present
        self.naming = Naming(self.index, ())  # finds these nodes
        self.cost: NDArray[np.int32] = np.zeros(
            0, np.int32
        )  # ETX in 1/256 of each directed link; 0: it is down
        self.quality: NDArray[np.float64] = np.zeros(0)  # of each directed link, as last heard
        self.heard: NDArray[np.bool_] = np.zeros(0, bool)  # whether a neighbour hears the node
        self.down: Mapping[str, str] = {}

    def take(self, snapshot: Snapshot) -> None:
        """Take a snapshot in."""
        if self.topology is not snapshot.topology:
            self._renumber(snapshot)
            self.map_revision += 1
            self.version += 1
        cost = self.cost.copy()
        for part in snapshot.parts:
            cost[part.link] = part.cost
            self.quality[part.link ^ 1] = part.heard
        if not np.array_equal(cost, self.cost):
            self.version += 1
        self.cost = cost
        self.heard = np.zeros(snapshot.topology.n_nodes, bool)
        self.heard[snapshot.topology.link_target[cost > 0]] = True
        self.down = dict(snapshot.down)

    def _renumber(self, snapshot: Snapshot) -> None:
        topology = snapshot.topology
        here = snapshot.present.tolist()
        self.index = {name: row for row, name in enumerate(topology.ids) if here[row]}
        self.naming = Naming(self.index, topology.nodes.names)
        cost = np.zeros(2 * topology.n_links, np.int32)
        quality = np.zeros(2 * topology.n_links)
        old = self.topology
        if old is not None:  # node indices keep their meaning; links may be renumbered
            now = topology.directed_links(old.link_source, old.link_target)
            cost[now[now >= 0]] = self.cost[now >= 0]
            quality[now[now >= 0]] = self.quality[now >= 0]
        self.topology, self.cost, self.quality = topology, cost, quality

    # -- answers ---------------------------------------------------------------------------------

    def nodes(self, after: int = -1, most: int | None = None) -> list[dict[str, Any]]:
        """The nodes that are present, in the order of the topology.

        Args:
            after: index of the last node that is left out.
            most: how many, at most.
        """
        topology = self.topology
        if topology is None:
            return []
        heard, degree, table = self.heard.tolist(), topology.degree.tolist(), topology.nodes
        return [
            {
                "id": name,
                "name": table.names[row] or None,
                "state": "up" if heard[row] else "silent",
                "links": degree[row],
                "gateway": bool(table.gateway[row]) or None,
                "clients": None if table.clients[row] < 0 else int(table.clients[row]),
                "location": None
                if np.isnan(table.location[row, 0])
                else table.location[row].tolist(),
            }
            for name, row in islice(
                ((name, row) for name, row in self.index.items() if row > after), most
            )
        ]

    def links(self, after: int = -1, most: int | None = None) -> list[dict[str, Any]]:
        """Links, each with its cost in both directions.

        Args:
            after: number of the last link that is left out.
            most: how many, at most.
        """
        topology = self.topology
        if topology is None:
            return []
        names, called, kinds = topology.ids, topology.nodes.names, topology.kinds
        some = slice(after + 1, None if most is None else after + 1 + most)
        rows = zip(
            topology.ends[some].tolist(),
            self.cost.reshape(-1, 2)[some].tolist(),
            self.quality.reshape(-1, 2)[some].tolist(),
            topology.kind[some].tolist(),
            strict=True,
        )
        return [
            {
                "a": names[a],
                "b": names[b],
                "a_name": called[a] or None,
                "b_name": called[b] or None,
                "kind": kinds[kind],
                **_measured(costs, qualities),
            }
            for (a, b), costs, qualities, kind in rows
        ]

    def neighbours(self, node: int) -> list[tuple[int, int]]:
        """Neighbours of a node that are up, and the cost of the link to each."""
        topology = self.topology
        if topology is None:
            return []
        indptr, links = topology.out_links
        mine = links[indptr[node] : indptr[node + 1]]
        mine = mine[self.cost[mine] > 0]
        return list(zip(topology.link_target[mine].tolist(), self.cost[mine].tolist(), strict=True))


def _measured(costs: Sequence[int], qualities: Sequence[float]) -> dict[str, str | float | None]:
    """What is known of a link: its costs, 0 where it is down, and qualities, in both directions."""
    ways = zip(("a_to_b", "b_to_a"), costs, qualities, strict=True)
    is_up = all(costs)
    told: dict[str, str | float | None] = {"state": "up" if is_up else "down"}
    for way, cost, quality in ways:
        told[f"etx_{way}"] = cost / COST_UNIT if cost else None
        told[f"quality_{way}"] = quality if is_up else None
    return told
