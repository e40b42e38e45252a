"""Which links to add.

In general (`advise`): the pairs apart are summed over the mesh as it is and over every single
failure of one of its nodes or links; the link advised is the one whose addition lowers that sum
most. For one failure (`reconnect`): the link that joins most of the pairs that the failure loses.
Added links are taken not to fail. The best link is exact, of all pairs of nodes; of k links each is
the best on top of those before it, which need not be the best k.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.csgraph import dijkstra

from actors.runtime.errors import InvalidInput
from actors.topology.model import Topology
from actors.twin import progress
from actors.twin.intact import Intact, pairs_of
from actors.twin.limits import MAX_LINKS
from actors.twin.placing import best_link
from actors.twin.results import AddedLink, Advice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.twin.failure import Failure


def advise(intact: Intact, k: int = 1) -> Advice:
    """The `k` links that spare most pairs over all single failures, one after the other.

    Raises:
        InvalidInput: `k` is not in 1..`limits.MAX_LINKS`.
    """
    _check(k)
    mesh, added = intact, list[AddedLink]()
    now = total = separated_pairs(intact)
    while len(added) < k:
        progress.step("links to add", len(added) / k)
        best = best_link(mesh, intact.topology.n_links)
        if best is None:
            break
        a, b, hops = _nearest(mesh.topology, best.ends)
        mesh = Intact(_with_link(mesh.topology, a, b))
        now -= best.gain
        added.append(
            AddedLink(
                a=mesh.topology.ids[a],
                b=mesh.topology.ids[b],
                hops=hops,
                removes=best.gain,
                remaining=now,
                alternatives=len(best.ends[0]) * len(best.ends[1]),
                spof_nodes_after=int((mesh.cuts.by_node > 0).sum()),
                bridges_after=int((mesh.cuts.by_link > 0).sum()),
            )
        )
    reason = "no further link would spare any pair" if len(added) < k else ""
    return Advice(for_failure=False, separated_pairs=total, links=added, reason=reason)


def reconnect(intact: Intact, failure: Failure, k: int = 1) -> Advice:
    """The `k` links that would have kept most of the pairs that `failure` loses.

    Raises:
        InvalidInput: `k` is not in 1..`limits.MAX_LINKS`.
    """
    _check(k)
    topology = intact.topology
    left = failure.survivors(topology)
    # Parts of one component of the intact mesh; joining two gives back the pairs between them.
    alive = np.flatnonzero(left.node_alive)
    order = alive[np.argsort(left.components[alive], kind="stable")]
    sizes = np.bincount(left.components[alive])
    groups: dict[int, list[NDArray[np.int64]]] = defaultdict(list)
    for nodes in np.split(order, np.cumsum(sizes)[:-1]) if len(order) else ():
        groups[int(topology.components()[nodes[0]])].append(nodes)
    parts = list(groups.values())
    lost = sum(
        pairs_of(sum(map(len, group))) - sum(pairs_of(len(part)) for part in group)
        for group in parts
    )
    added, total = list[AddedLink](), lost
    while lost and len(added) < k:
        for group in parts:
            group.sort(key=len, reverse=True)
        group = max(
            (group for group in parts if len(group) > 1),
            key=lambda group: len(group[0]) * len(group[1]),
        )
        one, other = group[:2]
        a, b, hops = _nearest(topology, (one, other))
        gain = len(one) * len(other)
        lost -= gain
        group[:2] = [np.concatenate([one, other])]
        added.append(
            AddedLink(
                a=topology.ids[a],
                b=topology.ids[b],
                hops=hops,
                removes=gain,
                remaining=lost,
                alternatives=gain,
                spof_nodes_after=None,
                bridges_after=None,
            )
        )
    reason = "no pair is left to reconnect" if len(added) < k else ""
    return Advice(for_failure=True, separated_pairs=total, links=added, reason=reason)


def separated_pairs(intact: Intact) -> int:
    """Pairs apart, summed over the mesh as it is and every failure of one node or link."""
    n, m = intact.topology.n_nodes, intact.topology.n_links
    apart = n * (n - 1) // 2 - intact.pairs_connected
    mates = intact.component_sizes[intact.topology.components()] - 1
    without_node = apart - (n - 1 - mates)  # separated pairs without the node itself
    return int(
        (1 + m) * apart + without_node.sum() + intact.cuts.by_node.sum() + intact.cuts.by_link.sum()
    )


def _check(k: int) -> None:
    if not 1 <= k <= MAX_LINKS:
        raise InvalidInput(
            f"{k} links to add",
            "it is too few or too many",
            f"Give 1 to {MAX_LINKS}.",
            entry="links",
        )


def _with_link(topology: Topology, a: int, b: int) -> Topology:
    return Topology(
        topology.ids,
        np.vstack([topology.ends, [[a, b]]]),
        np.vstack([topology.quality, [[1.0, 1.0]]]),
        np.append(topology.kind, 0),
        topology.kinds,
        np.vstack([topology.measured, [[False, False]]]),
        np.append(topology.parallel, 1),
        topology.nodes,
    )


def _nearest(
    topology: Topology, ends: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[int, int, int | None]:
    """Of these equals, two with fewest hops between them: the most likely to hear each other."""
    distance, _, source = dijkstra(
        topology.without().adjacency,
        unweighted=True,
        indices=ends[0],
        min_only=True,
        return_predecessors=True,
    )
    b = int(ends[1][np.argmin(distance[ends[1]])])
    if np.isinf(distance[b]):
        return int(ends[0][0]), b, None
    return int(source[b]), b, int(distance[b])
