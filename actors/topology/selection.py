"""The part of a published map that becomes the mesh, and the report on the rest.

The rules, in this order; each link or node is counted under the first that leaves it out:

1. links of kind `vpn`, where VPN links are not wanted;
2. links from a node to itself;
3. links without quality above 0 in both directions: a link is usable only when heard both ways;
4. parallel links: of those between one pair, the one with the highest product of both
   directions (the lowest ETX) stays, the first of equals;
5. everything outside the largest component, unless all are wanted. Nodes without links, such
   as those that are offline, go here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.topology.model import Topology

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from actors.topology.document import Document


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of a map that an operator wants.

    Attributes:
        vpn: keep links of kind `vpn`.
        all_components: keep more than the largest component.
    """

    vpn: bool = True
    all_components: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """A map as published: as `Topology`, but qualities may be 0 and pairs may repeat."""

    ids: list[str]
    ends: NDArray[np.int64]  # [n_links, 2]
    quality: NDArray[np.float64]  # [n_links, 2] in [0, 1]
    kind: NDArray[np.int64]  # [n_links]
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A topology that was read, with what was left out of it and warnings.

    Attributes:
        topology: the topology; it has at least one link.
        format: `meshviewer`, `NetJSON` or `radio`.
        left_out: number of links or nodes left out, by reason; only numbers above 0.
        warnings: sentences on what is missing or odd in the map.
        positions: km east and north of the middle of all nodes, for each node that the map gives
            a place.
    """

    topology: Topology
    format: str
    left_out: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    positions: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def select(
    published: Published, wanted: Wanted, document: Document
) -> tuple[Topology, dict[str, int]]:
    """Apply the rules of this module.

    Raises:
        TopologyError: no link is left.
    """
    left_out: dict[str, int] = {}
    ends, quality, kind = published.ends, published.quality, published.kind
    keep = np.ones(len(ends), dtype=np.bool_)

    def leave_out(reason: str, faulty: ArrayLike) -> None:
        going = keep & np.asarray(faulty, dtype=np.bool_)
        if going.any():
            left_out[reason] = int(going.sum())
            keep[going] = False

    if not wanted.vpn and "vpn" in published.kinds:
        leave_out("vpn links", kind == published.kinds.index("vpn"))
    leave_out("links from a node to itself", ends[:, 0] == ends[:, 1])
    leave_out("links without quality in both directions", (quality <= 0).any(axis=1))
    leave_out("parallel links", _worse_parallels(ends, quality, keep))
    topology = Topology.of(published.ids, ends[keep], quality[keep], kind[keep], published.kinds)
    if topology.n_links == 0:
        said = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        document.refuse(
            "links",
            f"no usable link is left ({said or 'it has none'})",
            "Give a map in which at least two nodes hear each other.",
        )
    if wanted.all_components:
        return topology, left_out
    largest = topology.without().largest_component()
    inside = topology.subgraph(largest) if not largest.all() else topology
    outside = {
        "nodes outside the largest component": topology.n_nodes - inside.n_nodes,
        "links outside the largest component": topology.n_links - inside.n_links,
    }
    return inside, left_out | {reason: count for reason, count in outside.items() if count}


def _worse_parallels(
    ends: NDArray[np.int64], quality: NDArray[np.float64], keep: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Links out of `keep` that are not the best of their pair of nodes, bool [n_links]."""
    among = np.flatnonzero(keep)
    low, high = ends[among].min(axis=1, initial=2**31), ends[among].max(axis=1, initial=0)
    product = quality[among].prod(axis=1)
    order = np.lexsort((among, -product, high, low))
    pairs = np.stack([low, high], axis=1)[order]
    repeated = np.zeros(len(among), dtype=np.bool_)
    repeated[1:] = (pairs[1:] == pairs[:-1]).all(axis=1)
    worse = np.zeros(len(ends), dtype=np.bool_)
    worse[among[order[repeated]]] = True
    return worse
