"""What is measured of a network at one moment, in columns: of each node and of each link.

Whoever knows a network gives samples of it, and whoever keeps histories collects them. Unknown is
NaN, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from actors.topology.etx import COST_UNIT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from actors.topology.live import LiveMesh

LINK_FIGURES: Final = ("quality_ab", "quality_ba", "cost_ab", "cost_ba")
UP: Final = "up"
DOWN: Final = "down"
SILENT: Final = "silent"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class NodeSamples:
    """The nodes, one row each.

    Attributes:
        ids: their ids.
        names: host names or labels; "" where there is none.
        states: what is known of each: `up`, `silent`, ...
        figures: float64 [n_nodes] by name, such as `clients` or `load`; NaN where not known.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    states: tuple[str, ...]
    figures: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class LinkSamples:
    """The links, one row each.

    Attributes:
        a, b: ids of the ends, a < b.
        kinds: kind of each; a pair has one link of a kind.
        states: what is known of each: `up`, `down`, ...
        figures: float64 [n_links] by `LINK_FIGURES`: delivery probability in [0, 1] and cost, from
            a to b and from b to a; NaN where not known.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    kinds: tuple[str, ...]
    states: tuple[str, ...]
    figures: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSample:
    """All nodes and links of a network at one moment."""

    nodes: NodeSamples
    links: LinkSamples


class SampleSource(Protocol):
    """Whoever knows a network."""

    async def sample(self) -> NetworkSample:
        """The network as it is known now.

        Raises:
            X0Error: there is no answer.
        """
        ...


def of_mesh(mesh: LiveMesh, silent: Collection[str] = ()) -> NetworkSample:
    """Sample a mesh by what its shards have reported: present nodes, and links between them.

    A node is up while a neighbour hears it, a link while both ends advertise it. Costs are ETX.

    Args:
        mesh: a mesh of which all shards have reported.
        silent: shards that do not answer now: of what they host nothing is known.
    """
    roster = mesh.roster
    topology, present = roster.topology, roster.present
    cost, quality = mesh.directed()
    heard = np.zeros(topology.n_nodes, bool)
    heard[topology.link_target[cost > 0]] = True
    untold = np.zeros(topology.n_nodes, bool)
    for shard in silent:
        untold[topology.link_source[mesh.parts[shard].link]] = True
    nodes = np.flatnonzero(present)
    names, ids = topology.nodes.names, topology.ids
    kept = np.flatnonzero(present[topology.ends[:, 0]] & present[topology.ends[:, 1]])
    ends = topology.ends[kept]
    # By the ids, so that a link has one name whichever way a map writes it.
    turned = np.array([ids[a] > ids[b] for a, b in ends.tolist()], bool)
    ends[turned] = ends[turned, ::-1]
    pair_cost = cost.reshape(-1, 2)[kept]
    up = (pair_cost[:, 0] > 0) & (pair_cost[:, 1] > 0)
    pair_quality = quality.reshape(-1, 2)[kept]
    pair_cost[turned], pair_quality[turned] = pair_cost[turned, ::-1], pair_quality[turned, ::-1]
    pair_untold = untold[ends[:, 0]] | untold[ends[:, 1]]
    etx = np.where((pair_cost > 0) & ~pair_untold[:, None], pair_cost / COST_UNIT, np.nan)
    pair_quality[pair_untold] = np.nan
    columns = (*pair_quality.T, *etx.T)
    return NetworkSample(
        NodeSamples(
            tuple(ids[row] for row in nodes.tolist()),
            tuple(names[row] for row in nodes.tolist()),
            _words(heard[nodes], UP, SILENT, untold[nodes]),
            {"links": np.where(untold, np.nan, _links_up(topology.n_nodes, ends[up]))[nodes]},
        ),
        LinkSamples(
            tuple(ids[row] for row in ends[:, 0].tolist()),
            tuple(ids[row] for row in ends[:, 1].tolist()),
            tuple(topology.kinds[code] for code in topology.kind[kept].tolist()),
            _words(up, UP, DOWN, pair_untold),
            dict(zip(LINK_FIGURES, columns, strict=True)),
        ),
    )


def _words(
    holds: NDArray[np.bool_], true: str, false: str, untold: NDArray[np.bool_]
) -> tuple[str, ...]:
    return tuple(np.where(untold, UNKNOWN, np.where(holds, true, false)).tolist())


def _links_up(n_nodes: int, ends: NDArray[np.int32]) -> NDArray[np.float64]:
    return np.bincount(ends.reshape(-1), minlength=n_nodes).astype(np.float64)
