"""Names the root of an incident by its evidence alone, without learnt weights.

Each hypothesis foretells which directions of which links are disturbed, and is scored by the log of
how much more probable that makes what is seen: `A` for each direction that is disturbed as it
foretells, less `B` for each that is not, less the rarity of such a fault. Hypotheses are

- a node does not work: all its links are down, and nodes that have no other way than over it to one
  that is heard may be silent with it, for whoever watches sees them no more;
- a node hears poorly, or is heard poorly: the same direction of all its links is worse;
- a link has failed, in both directions or in one;
- something outside of the network, that disturbs many links which share no node.

Probabilities are the softmax over all of them; a failed link counts for its two ends, most for the
end that hears too little. A node that is only cut off has lit links of its own, or is silent behind
the root, and is no root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from serve_apps.inference.live_root_cause import Cause, RankedNode, RootCause

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.live_root_cause import Situation

BY: Final = "evidence"
RANKED: Final = 10  # most nodes that are named
A: Final = 3.0  # log probability ratio of a disturbance that is foretold
B: Final = 1.0  # of a link that should be disturbed and is not (yet)
RARE_NODE: Final = 1.5
RARE_LINK: Final = 1.0
RARE_DIRECTION: Final = 1.0
RARE_OUTSIDE: Final = 6.0
OUTSIDE_SHARE: Final = 0.5  # of A: how well something outside foretells each disturbed link
CANDIDATES: Final = 500  # most nodes, and most links, that are hypotheses
SHADOWS: Final = 64  # most nodes of which it is found out who lies behind them
_NONE: Final = -1


class _Hypothesis(NamedTuple):
    score: float
    node: int = _NONE
    link: int = _NONE
    one_way: int = _NONE  # the half-link that alone is disturbed


class EvidenceRanker:
    """Ranks by the evidence alone."""

    def rank(self, situation: Situation) -> RootCause:
        """See `RootCauseRanker.rank`."""
        return _Ranking(situation).answer()


class _Ranking:
    """One ranking.

    Args:
        situation: the incident.
    """

    def __init__(self, situation: Situation) -> None:
        now = situation.now
        self._ids = now.graph.nodes
        self._ends = now.graph.ends
        self._was_up = now.was_up
        self._strength = situation.strength.reshape(-1, 2)
        self._dark = situation.dark
        self._lit = now.lit
        first, second = self._strength.T
        self._worst = np.maximum(first, second)
        self._links = np.flatnonzero(self._worst > 0)
        # A dark node needs no link that is known to name it.
        roots = np.concatenate([self._ends[self._links].reshape(-1), np.flatnonzero(self._dark)])
        self._nodes = self._most_disturbed(np.unique(roots))

    def _most_disturbed(self, nodes: NDArray[np.intp]) -> NDArray[np.intp]:
        """The nodes that are looked at closely: of very many, those with the most evidence."""
        weight = self._dark.astype(np.float64)
        np.add.at(
            weight, self._ends[self._links].reshape(-1), np.repeat(self._worst[self._links], 2)
        )
        strongest = nodes[np.argsort(-weight[nodes], kind="stable")[:CANDIDATES]]
        return np.sort(strongest)

    def answer(self) -> RootCause:
        """The root cause."""
        hypotheses = [*self._of_nodes(), *self._of_links(), self._of_outside()]
        scores = np.array([each.score for each in hypotheses])
        weight = np.exp(scores - scores.max())
        weight /= weight.sum()
        best = hypotheses[int(scores.argmax())]
        of_node: dict[int, float] = dict.fromkeys(self._nodes.tolist(), 0.0)
        of_link: dict[int, float] = {}
        for each, probability in zip(hypotheses, weight.tolist(), strict=True):
            if each.node != _NONE:
                of_node[each.node] += probability
            elif each.link != _NONE:
                of_link[each.link] = of_link.get(each.link, 0.0) + probability
        for link, probability in of_link.items():
            for node, share in self._shares(link):
                of_node[node] = of_node.get(node, 0.0) + probability * share
        ordered = sorted(of_node.items(), key=lambda item: (-item[1], self._ids[item[0]]))
        ends, one_way = self._failed_link(best)
        return RootCause(
            cause=_kind(best),
            nodes=tuple(RankedNode(self._ids[node], p) for node, p in ordered[:RANKED]),
            link=ends,
            one_way=one_way,
            outside=float(weight[-1]),
            by=BY,
        )

    # -- hypotheses ------------------------------------------------------------------------------

    def _of_nodes(self) -> list[_Hypothesis]:
        behind = self._behind()
        found = []
        incident = _incident(self._ends, self._was_up, self._nodes)
        for node in self._nodes.tolist():
            links = incident[node]
            side = (self._ends[links, 1] == node).astype(np.intp)
            hears, heard = self._strength[links, side], self._strength[links, 1 - side]
            both = self._worst[links]
            shadow = A * behind.get(node, 0.0)
            dark = A if self._dark[node] else 0.0
            scores = (
                float(np.sum(A * both - B * (1 - both))) + shadow + dark,
                float(np.sum(A * hears - B * (1 - hears))) - RARE_DIRECTION,
                float(np.sum(A * heard - B * (1 - heard))) - RARE_DIRECTION,
            )
            found += [_Hypothesis(score - RARE_NODE, node) for score in scores]
        return found

    def _of_links(self) -> list[_Hypothesis]:
        found = []
        strongest = np.argsort(-self._worst[self._links], kind="stable")[:CANDIDATES]
        for link in self._links[strongest].tolist():
            pair = self._strength[link]
            both = A * float(pair.max()) - RARE_LINK
            found.append(_Hypothesis(both - B * float(pair.max() - pair.min()), link=link))
            # One direction: the more so, the less the other one is disturbed.
            half = 2 * link + int(pair.argmax())
            alone = both - RARE_DIRECTION * float(pair.min() / pair.max())
            found.append(_Hypothesis(alone, link=link, one_way=half))
        return found

    def _of_outside(self) -> _Hypothesis:
        return _Hypothesis(OUTSIDE_SHARE * A * float(self._worst.sum()) - RARE_OUTSIDE)

    # -- who lies behind -------------------------------------------------------------------------

    def _behind(self) -> dict[int, float]:
        """How much is disturbed among dark nodes that are so only since this node is, by node."""
        dark = np.flatnonzero(self._dark)
        if len(dark) < 2:
            return {}
        ends = self._ends[self._was_up]
        in_dark = self._dark[ends]
        touching = ends[in_dark.any(axis=1)]
        both = touching[self._dark[touching].all(axis=1)]
        edge = touching[self._dark[touching].any(axis=1) & self._lit[touching].any(axis=1)]
        border = np.unique(edge[self._dark[edge]])
        disturbed = self._ends[self._links]
        found = {}
        for node in border[:SHADOWS].tolist():
            labels = _parts(len(self._ids), both[(both != node).all(axis=1)])
            others = border[border != node]
            shadow = np.isin(labels, labels[others], invert=True) & self._dark
            shadow[node] = False
            inside = shadow[disturbed].any(axis=1) & (disturbed != node).all(axis=1)
            found[node] = float(self._worst[self._links][inside].sum() + shadow.sum())
        return found

    # -- the answer ------------------------------------------------------------------------------

    def _shares(self, link: int) -> list[tuple[int, float]]:
        """The ends of a failed link, and how much of its probability each gets."""
        pair = self._strength[link] + 1e-3
        shares = pair / pair.sum()
        return list(zip(self._ends[link].tolist(), shares.tolist(), strict=True))

    def _failed_link(self, best: _Hypothesis) -> tuple[tuple[str, str] | None, bool]:
        if best.link == _NONE:
            return None, False
        a, b = (self._ids[end] for end in self._ends[best.link].tolist())
        first = int(self._strength[best.link].argmax())
        return ((a, b), (b, a))[first], best.one_way != _NONE


def _kind(best: _Hypothesis) -> Cause:
    if best.node != _NONE:
        return Cause.NODE
    return Cause.OUTSIDE if best.link == _NONE else Cause.LINK


def _incident(
    ends: NDArray[np.int32], was_up: NDArray[np.bool_], nodes: NDArray[np.intp]
) -> dict[int, NDArray[np.intp]]:
    """The usual links of each of these nodes."""
    is_one = np.zeros(max(int(ends.max(initial=0)), int(nodes.max(initial=0))) + 2, bool)
    is_one[nodes] = True  # the last one, -1, is none
    wanted = np.flatnonzero(was_up & (is_one[ends[:, 0]] | is_one[ends[:, 1]]))
    both = np.concatenate([ends[wanted, 0], ends[wanted, 1]])
    links = np.concatenate([wanted, wanted])
    order = np.argsort(both, kind="stable")
    starts = np.searchsorted(both[order], np.append(nodes, nodes + 1))
    found = {}
    for at, node in enumerate(nodes.tolist()):
        found[node] = links[order[starts[at] : starts[at + len(nodes)]]]
    return found


def _parts(n_nodes: int, ends: NDArray[np.int32]) -> NDArray[np.int32]:
    graph = coo_array(
        (np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n_nodes, n_nodes)
    )
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels
