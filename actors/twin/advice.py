"""Which links to add.

In general (`advise`): the pairs apart are summed over the mesh as it is and over every single
failure of one of its nodes or links; the link advised is the one whose addition lowers that sum
most. For one failure (`reconnect`): the link that joins most of the pairs that the failure loses.
Added links are taken not to fail. The best link is exact, of all pairs of nodes; of k links each is
the best on top of those before it, which need not be the best k.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse.csgraph import dijkstra

from actors.runtime.errors import InvalidInput
from actors.topology.model import Topology
from actors.topology.surviving import connected_pairs
from actors.twin import progress
from actors.twin.intact import Intact
from actors.twin.internet import counted, people
from actors.twin.limits import MAX_LINKS
from actors.twin.placing import Gains, best_link
from actors.twin.results import AddedLink, Advice
from actors.twin.spans import BestPair, distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.twin.failure import Failure
    from actors.twin.internet import Internet
    from actors.twin.results import NodesAndClients
    from actors.twin.spans import Spans

_ALL_JOINED: Final = "no pair is left to reconnect"


def advise(
    intact: Intact,
    k: int = 1,
    spans: Spans | None = None,
    internet: Internet | None = None,
) -> Advice:
    """The `k` links that spare most pairs over all single failures, one after the other.

    Args:
        intact: the mesh.
        k: number of links.
        spans: the pairs that a link may join; None: any.
        internet: the gateways of the mesh; None: none is known.

    Raises:
        InvalidInput: `k` is not in 1..`limits.MAX_LINKS`.
    """
    _check(k)
    mesh, added = intact, list[AddedLink]()
    now = total = separated_pairs(intact)
    while len(added) < k:
        progress.step("links to add", len(added) / k)
        best = _best(mesh, intact.topology.n_links, spans)
        if best is None:
            break
        now -= best.gain
        told = _told(mesh.topology, best, now)
        mesh = Intact(_with_link(mesh.topology, best.a, best.b))
        added.append(
            replace(
                told,
                spof_nodes_after=int((mesh.cuts.by_node > 0).sum()),
                bridges_after=int((mesh.cuts.by_link > 0).sum()),
                offline=_by_any_one(internet, mesh.topology),
            )
        )
    reason = "no further link that may be added would spare any pair" if len(added) < k else ""
    offline = _by_any_one(internet, intact.topology)
    return _advice(total, offline, added, reason, intact.topology, spans, for_failure=False)


def _by_any_one(internet: Internet | None, topology: Topology) -> NodesAndClients | None:
    """Who has no gateway, summed over the mesh as it is and every failure of one node or link.

    Args:
        internet: of the mesh before links were added; None: no gateway is known.
        topology: the mesh, with links that have been added, which never fail.
    """
    if internet is None:
        return None
    now, n_links = replace(internet, topology=topology), internet.topology.n_links
    cut_off = now.cut_off.by_node.sum(axis=1) + now.cut_off.by_link[:, :n_links].sum(axis=1)
    # Who has none as it is has none in any case, but the one in which he fails himself.
    never = now.weights[:, ~now.online].sum(axis=1)
    return counted(cut_off + (topology.n_nodes + n_links) * never)


def _best(mesh: Intact, fallible: int, spans: Spans | None) -> BestPair | None:
    """The best link to add to a mesh of which links from `fallible` on never fail."""
    if spans is not None:
        return spans.best(Gains(mesh, fallible))
    best = best_link(mesh, fallible)
    if best is None:
        return None
    a, b, _ = _nearest(mesh.topology, best.ends)
    return BestPair(best.gain, a, b, len(best.ends[0]) * len(best.ends[1]))


def reconnect(
    intact: Intact,
    failure: Failure,
    k: int = 1,
    spans: Spans | None = None,
    internet: Internet | None = None,
) -> Advice:
    """The `k` links that would have kept most of the pairs that `failure` loses.

    Args:
        intact: the mesh before it.
        failure: what fails.
        k: number of links.
        spans: the pairs that a link may join; None: any.
        internet: the gateways of the mesh; None: none is known.

    Raises:
        InvalidInput: `k` is not in 1..`limits.MAX_LINKS`.
    """
    _check(k)
    topology = intact.topology
    left = failure.survivors(topology)
    # Parts of one component of the intact mesh; joining two gives back the pairs between them.
    part, whole = left.components.copy(), topology.components()
    added, offline = list[AddedLink](), _in_parts(internet, part)
    total = lost = connected_pairs(whole[left.node_alive]) - connected_pairs(part)
    while lost and len(added) < k:
        best = _rejoining(topology, part, spans)
        if best is None:
            break
        part[part == part[best.b]] = part[best.a]
        lost -= best.gain
        told = _told(topology, best, lost)
        added.append(replace(told, offline=_in_parts(internet, part)))
    reason = ""
    if len(added) < k:
        reason = "no link that may be added joins what is left" if lost else _ALL_JOINED
    return _advice(total, offline, added, reason, topology, spans, for_failure=True)


def _in_parts(internet: Internet | None, part: NDArray[np.int32]) -> NodesAndClients | None:
    """Survivors in parts without a gateway that reached one before; `part` is -1 for the failed."""
    if internet is None:
        return None
    alive = part >= 0
    served = np.isin(part, part[alive & internet.gateway])
    return people(internet.topology, internet.online & alive & ~served)


def _rejoining(topology: Topology, part: NDArray[np.int32], spans: Spans | None) -> BestPair | None:
    """The link that joins most pairs; `part` is -1 for failed nodes."""
    whole = topology.components()
    sizes = np.bincount(part[part >= 0])
    if spans is not None:

        def gain(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
            one, other = part[a], part[b]
            joins = (one >= 0) & (other >= 0) & (one != other) & (whole[a] == whole[b])
            return np.where(joins, sizes[one] * sizes[other], 0)

        return spans.best(gain)
    # The two largest parts of one component, of all components.
    largest: dict[int, list[int]] = defaultdict(list)
    member = np.full(len(sizes), -1)
    member[part[part >= 0]] = np.flatnonzero(part >= 0)
    for number in np.argsort(-sizes, kind="stable").tolist():
        if sizes[number]:
            largest[int(whole[member[number]])].append(number)
    pairs = [two[:2] for two in largest.values() if len(two) > 1]
    if not pairs:
        return None
    one, other = max(pairs, key=lambda two: sizes[two[0]] * sizes[two[1]])
    ends = np.flatnonzero(part == one), np.flatnonzero(part == other)
    a, b, _ = _nearest(topology, ends)
    gained = int(sizes[one] * sizes[other])
    return BestPair(gained, a, b, gained)


def _told(topology: Topology, best: BestPair, remaining: int) -> AddedLink:
    """A link as it is answered; `topology` is the mesh before it."""
    a, b = np.array([best.a]), np.array([best.b])
    km = float(distances(topology, a, b)[0])
    _, _, hops = _nearest(topology, (a, b))
    return AddedLink(
        a=topology.ids[best.a],
        b=topology.ids[best.b],
        km=None if np.isnan(km) else round(km, 3),
        hops=hops,
        removes=best.gain,
        remaining=remaining,
        alternatives=best.alternatives,
        offline=None,
        spof_nodes_after=None,
        bridges_after=None,
    )


def _advice(
    total: int,
    offline: NodesAndClients | None,
    added: list[AddedLink],
    reason: str,
    topology: Topology,
    spans: Spans | None,
    *,
    for_failure: bool,
) -> Advice:
    return Advice(
        for_failure=for_failure,
        separated_pairs=total,
        offline=offline,
        links=added,
        reason=reason,
        max_km=spans.max_km if spans else None,
        placed=int(np.isfinite(topology.nodes.location).all(axis=1).sum()),
        unplaced=spans.unplaced if spans else 0,
        tunnel_ends=spans.tunnel_ends if spans else 0,
    )


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
