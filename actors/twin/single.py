"""Every single failure at once, and the pairs of nodes that cost most together.

Single failures are those of `actors.topology.cuts`, and whom they cut off from every gateway, of
`internet`: a node may cost no pair and yet everybody the internet, as a lone gateway at the edge
does. For pairs of nodes: with u gone, the same
search gives for every v at once what its failure then costs, so all pairs take n searches. The
pairs lost by {u, v} are those lost by u, less those of v itself among them (v no longer survives),
and those that v costs in the mesh without u.

Node connectivity is the least number of nodes whose failure splits the mesh (n - 1 for a complete
one, as usual; 0 if it is split). Above 2 it takes maximum flows between split nodes, by the choice
of pairs of Esfahanian and Hakimi ("On Computing the Connectivities of Graphs and Digraphs",
Networks 14, 1984).
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from actors.runtime.errors import InvalidInput
from actors.topology.cuts import single_failures as search
from actors.twin import progress
from actors.twin.intact import pairs_of
from actors.twin.internet import counted
from actors.twin.limits import MAX_PAIRS
from actors.twin.ranking import costs, order, rank
from actors.twin.results import RankedLink, RankedNode, RankedPair, SingleFailures, WorstPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from actors.twin.intact import Intact
    from actors.twin.internet import Internet

MAX_FLOW_NODES: Final = 500  # above it, a connectivity over 2 is not computed
MAX_PAIR_WORK: Final = 20_000_000  # searches x (nodes + links), about ten seconds


def single_failures(
    intact: Intact, internet: Internet | None = None, rank_by: str | None = None
) -> SingleFailures:
    """All nodes and links whose failure costs others anything, costliest first; exact, O(V + E).

    Args:
        intact: the mesh.
        internet: its gateways; None: none is known.
        rank_by: one of `limits.RANKS`; None: the first of them that is known.

    Raises:
        InvalidInput: what to rank by is not known.
    """
    topology, cost = intact.topology, intact.cuts
    ranked_by = rank(internet, rank_by)
    components = topology.components()
    mates = intact.component_sizes[components] - 1  # nodes that each node reaches
    others = np.maximum(intact.pairs_connected - mates, 1)  # where it is 0, none can be lost
    off = internet.cut_off if internet else None
    spof = order(costs(cost.by_node, off and off.by_node), ranked_by)
    bridges = order(costs(cost.by_link, off and off.by_link), ranked_by)
    return SingleFailures(
        nodes=topology.n_nodes,
        links=topology.n_links,
        pairs_connected=intact.pairs_connected,
        components=len(intact.component_sizes),
        node_connectivity=node_connectivity(intact),
        ranked_by=ranked_by,
        spof_nodes=[
            RankedNode(
                node=topology.ids[node],
                pairs_lost=int(cost.by_node[node]),
                share=float(cost.by_node[node] / others[node]),
                degree=int(topology.degree[node]),
                cut_off=counted(off.by_node[:, node]) if off else None,
            )
            for node in spof.tolist()
        ],
        bridges=[
            RankedLink(
                link=topology.link_name(link),
                pairs_lost=int(cost.by_link[link]),
                share=float(cost.by_link[link] / intact.pairs_connected),
                cut_off=counted(off.by_link[:, link]) if off else None,
            )
            for link in bridges.tolist()
        ],
    )


def worst_pairs(intact: Intact, k: int) -> WorstPairs:
    """The `k` pairs of nodes that lose most pairs together; fewer if fewer lose any.

    Exhaustive as far as `MAX_PAIR_WORK` allows; in larger meshes one node of each pair is among
    those costliest alone (of equals, with most links), and the answer says so.

    Raises:
        InvalidInput: `k` is not in 1..`limits.MAX_PAIRS`.
    """
    if not 1 <= k <= MAX_PAIRS:
        raise InvalidInput(f"{k} worst pairs", "it is too few or too many", f"1 to {MAX_PAIRS}.")
    topology, alone = intact.topology, intact.cuts.by_node
    n = topology.n_nodes
    affordable = MAX_PAIR_WORK // max(1, n + topology.n_links)
    partners = np.lexsort((np.arange(n), -topology.degree, -alone))[: max(1, affordable)]
    unseen = np.ones(n, np.bool_)
    best = np.empty((0, 3), np.int64)  # pairs lost, and both nodes
    for number, u in enumerate(partners.tolist()):
        progress.step("pairs of nodes", number / len(partners))
        unseen[u] = False
        rest = np.flatnonzero(unseen)
        lost = _with(intact, u)[rest]
        # The k costliest of this node are enough, and only those that cost more than nothing.
        few = np.argsort(-lost, kind="stable")[:k]
        few = few[lost[few] > 0]
        both = np.sort(np.stack([np.full(len(few), u), rest[few]], axis=1), axis=1)
        best = np.concatenate([best, np.column_stack([lost[few], both])])
        best = best[np.lexsort((best[:, 2], best[:, 1], -best[:, 0]))[:k]]
    return WorstPairs(
        pairs=[
            RankedPair(
                a=topology.ids[a],
                b=topology.ids[b],
                pairs_lost=lost,
                pairs_lost_alone=(int(alone[a]), int(alone[b])),
            )
            for lost, a, b in best.tolist()
        ],
        exhaustive=len(partners) == n,
        partners=len(partners),
    )


def _with(intact: Intact, u: int) -> NDArray[np.int64]:
    """Pairs lost when `u` and each node fail together, int64 [n_nodes]; undefined at u itself."""
    topology = intact.topology
    left = topology.without(nodes=[u])
    rest = topology.keeping(left.link_alive)
    before, after = topology.components(), rest.components()
    # Nodes that each node loses by the failure of u, itself and u left out.
    mates = intact.component_sizes[before] - np.bincount(after)[after] - (before == before[u])
    lost: NDArray[np.int64] = search(rest).by_node + intact.cuts.by_node[u] - mates
    return lost


def node_connectivity(intact: Intact) -> int | None:
    """Least nodes whose failure splits the mesh; None where that is above 2 and costs too much."""
    topology = intact.topology
    n = topology.n_nodes
    if n < 2 or len(intact.component_sizes) > 1:
        return 0
    if intact.cuts.by_node.any():
        return 1
    least = int(topology.degree.min())
    if least <= 2 or pairs_of(n) == topology.n_links:
        return least
    if n > MAX_FLOW_NODES:
        return None
    return _by_flows(topology, least)


def _by_flows(topology: Topology, least: int) -> int:
    n = topology.n_nodes
    # Each node is an arc of capacity 1 from its entrance v to its exit n + v.
    tail = np.concatenate([np.arange(n), topology.link_source + n])
    head = np.concatenate([np.arange(n) + n, topology.link_target])
    split = csr_array((np.ones(len(tail), np.int32), (tail, head)), shape=(2 * n, 2 * n))
    centre = int(topology.degree.argmin())
    out = topology.out_links
    around = topology.link_target[out.links[out.indptr[centre] : out.indptr[centre + 1]]].tolist()
    far = sorted(set(range(n)) - {centre, *around})
    apart = [(centre, other) for other in far]
    apart += [(a, b) for a, b in combinations(around, 2) if topology.directed_link(a, b) is None]
    for number, (a, b) in enumerate(apart):
        progress.step("node connectivity", number / len(apart))
        least = min(least, int(maximum_flow(split, n + a, b).flow_value))
    return least
