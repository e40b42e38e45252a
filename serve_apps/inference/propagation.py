"""When each deviation began, and how an incident went through the network.

A series deviates from the first row at which it lies far from normal and does not come back in the
next one; a spike of one row is none, unless it is the last row, of which nobody knows yet. A node
has begun to deviate when the first of its own series or of those of its half-links has.

What began at one node may have come from another that began before it, at most `MAX_LAG` rows a
hop, over a link, or over two where the node between shows nothing (its telemetry may be missing):
the edges of a directed graph in time. A cause is where many deviations can have come from; an
event that nothing followed explains only itself, and a node without telemetry on the way does not
make a cause of what lies behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import networkx as nx
import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph

FAR: Final = 4.0  # robust standard deviations at which a deviation begins
AWAY: Final = 2.5  # those that it must keep in the next row
STIRRED: Final = 2.0  # those from which on it counts as the beginning of what follows
SLOW: Final = 4  # rows that this may take at most
MAX_LAG: Final = 3  # rows from one hop to the next
REACH: Final = 2  # hops over which one node may have disturbed another
MOST: Final = 500  # deviating nodes that are followed, the strongest
NEVER: Final = -1


def began(deviation: NDArray[np.float64]) -> NDArray[np.intp]:
    """The row at which each series began to deviate for good or for long; `NEVER` if it did not.

    Args:
        deviation: float64 [n_rows, n], robust standard deviations; NaN where not known.
    """
    size = np.abs(np.nan_to_num(deviation))
    if not (size >= FAR).any():
        return np.full(size.shape[1], NEVER, np.intp)
    stays = np.concatenate([size[1:] >= AWAY, np.ones((1, size.shape[1]), bool)])
    starts = (size >= FAR) & stays
    row = np.where(starts.any(axis=0), starts.argmax(axis=0), NEVER)
    # What is averaged, or fills up slowly, has begun before it is far from normal.
    column = np.arange(len(row))
    for _ in range(SLOW):
        before = np.maximum(row - 1, 0)
        grows = deviation[before, column] * np.sign(deviation[row, column]) >= STIRRED
        row = np.where((row > 0) & grows, before, row)
    return row


def steadiness(deviation: NDArray[np.float64], start: NDArray[np.intp]) -> NDArray[np.float64]:
    """Share of the rows since its start in which each series is away from normal; 0 if never."""
    rows = np.arange(len(deviation))[:, None]
    since = (start >= 0) & (rows >= start)
    away = (np.abs(np.nan_to_num(deviation)) >= AWAY) & since
    share: NDArray[np.float64] = away.sum(axis=0) / np.maximum(since.sum(axis=0), 1)
    return share


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """What can have come from where.

    Attributes:
        explained: float64 [n_nodes], share of the strength of all deviating nodes that can have
            come from this one, itself included; 0 where nothing deviates.
        preceded: float64 [n_nodes], greatest strength among nodes from which this one's deviation
            can have come and that began earlier; 0 if there is none.
        chain: float64 [n_nodes], share of that strength along the strongest path in time that
            begins at this node; 0 where nothing deviates.
        cause: intp [n_nodes], the likeliest origin of this one's deviation: the nearest, of those
            the latest; -1 if there is none.
    """

    explained: NDArray[np.float64]
    preceded: NDArray[np.float64]
    chain: NDArray[np.float64]
    cause: NDArray[np.intp]


def spread(
    graph: NetworkGraph,
    start: NDArray[np.intp],
    strength: NDArray[np.float64],
    reach: int = REACH,
) -> Propagation:
    """Follow the deviations of nodes through the graph.

    Args:
        graph: the network.
        start: intp [n_nodes], row at which each began to deviate, or `NEVER`.
        strength: float64 [n_nodes], how far it deviates, not negative.
        reach: hops over which one node may have disturbed another, 1 or 2.
    """
    n_nodes = len(graph.nodes)
    explained, preceded, chain = np.zeros((3, n_nodes))
    cause = np.full(n_nodes, -1, np.intp)
    nodes = np.flatnonzero((start != NEVER) & (strength > 0))
    if len(nodes) > MOST:
        nodes = np.sort(nodes[np.argsort(-strength[nodes], kind="stable")[:MOST]])
    if not len(nodes):
        return Propagation(explained, preceded, chain, cause)
    hops = _hops(graph, nodes)
    lag = start[nodes][None, :] - start[nodes][:, None]
    follows = (hops > 0) & (hops <= reach) & (lag >= 0) & (lag <= MAX_LAG * hops)
    web: nx.DiGraph[int] = nx.from_numpy_array(follows, create_using=nx.DiGraph)
    total = strength[nodes].sum()
    for at, node in enumerate(nodes.tolist()):
        # What began in the same row may have come from either, or from neither.
        reached = nodes[[at, *nx.descendants(web, at)]]
        explained[node] = strength[reached].sum() / total
        earlier = np.flatnonzero(follows[:, at] & (lag[:, at] > 0))
        if len(earlier):
            nearest = earlier[np.lexsort((lag[earlier, at], hops[earlier, at]))[0]]
            preceded[node] = strength[nodes[earlier]].max()
            cause[node] = nodes[nearest]
    chain[nodes] = _strongest_paths(follows & (lag > 0), start[nodes], strength[nodes]) / total
    return Propagation(explained, preceded, chain, cause)


def _strongest_paths(
    follows: NDArray[np.bool_], start: NDArray[np.intp], strength: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Strength of the strongest path from each node; `follows[a, b]` where b can follow a."""
    best = strength.copy()
    for at in np.argsort(-start, kind="stable"):
        onward = best[follows[at]]
        best[at] += onward.max() if len(onward) else 0.0
    return best


def order(start: NDArray[np.intp], cause: NDArray[np.intp], root: int) -> list[int]:
    """The nodes that deviate because of `root`, it first, in the order in which they began."""
    tree: nx.DiGraph[int] = nx.DiGraph()
    tree.add_node(root)
    tree.add_edges_from(
        (int(cause[node]), int(node)) for node in np.flatnonzero(cause >= 0) if node != root
    )
    after = nx.descendants(tree, root)
    return [root, *sorted(after, key=lambda node: (int(start[node]), node))]


def _hops(graph: NetworkGraph, nodes: NDArray[np.intp]) -> NDArray[np.int64]:
    """Hops between these nodes, up to `REACH`; 0 for a node itself and what is farther."""
    n_nodes = len(graph.nodes)
    inside = graph.ends[:, 1] >= 0
    a, b = graph.ends[inside].T
    ones = np.ones(2 * len(a), np.float32)
    near = csr_array(
        (ones, (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(n_nodes, n_nodes)
    )
    one = near[nodes]
    direct = one[:, nodes].toarray() > 0
    through = (one @ near)[:, nodes].toarray() > 0
    hops = np.where(direct, 1, np.where(through, REACH, 0))
    np.fill_diagonal(hops, 0)
    return hops
