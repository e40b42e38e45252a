"""What is worse than usual in a network now: its links, in each direction, and its nodes.

A link counts as usual in each direction by what it was lately, while it was not disturbed; so what
never worked is not disturbed, and what has failed stays so until it works again. How much it has
to lose depends on how much its quality usually varies, and it has to become clearly better to be
well again.

Where a host counts what it receives, there is a second witness: what usually arrives at one end and
is missing disturbs that direction, whatever its quality is said to be; and a node that still sends
what it usually does is not dark, whoever says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.live_telemetry import LINK_UP, MISSING, NODE_UP, QUALITY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serve_apps.inference.live_telemetry import Row
    from serve_apps.inference.telemetry import NetworkGraph

# A direction is disturbed if it has lost so much of its quality, and so many of its usual (mean
# absolute) deviations: one lost Hello of ten is less. Losses of several intervals add up, as far as
# each is above `SLACK` of that limit (a CUSUM: Page, "Continuous Inspection Schemes", Biometrika
# 1954). A direction is well again when it loses less than `WELL` of the limit.
WORSE: Final = 0.08
DEVIATIONS: Final = 6.0
SLACK: Final = 0.5
WELL: Final = 0.5
KNOWN: Final = 4  # intervals without which the deviation of a link is not known
LOST: Final = 0.5  # share of the usual quality that is as good as all
FIRST_DEVIATION: Final = 0.03  # assumed of a new link,
ASSUMED: Final = 3  # as if it had been seen in so many intervals
LEAST: Final = 0.05  # strength of whatever is disturbed
DROPPED: Final = 0.5  # least strength of a link that was down in part of an interval
MEMORY: Final = 30  # intervals over which the usual is averaged
ARRIVES: Final = 0.2  # share that is missing, below which a node sends as usual
SETTLING: Final = 2  # intervals in which a new link must be known before it can be disturbed


@dataclass(frozen=True, slots=True, eq=False)
class Disturbances:
    """The state of a network at the end of an interval.

    Attributes:
        graph: the network.
        at: end of the interval, Unix time, s.
        strength: float64 [2 * n_links], how disturbed what each end hears is, 0 to 1; 1: nothing
            comes in any more.
        usual: float64 [2 * n_links], usual quality of it; NaN where none is known.
        now: float64 [2 * n_links], quality in this interval; NaN where it is not known.
        was_up: bool [n_links], links that usually carry.
        unknown: bool [n_links], links of whose state nothing is known now.
        dark: bool [n_nodes], nodes that were heard and are not.
        lit: bool [n_nodes], nodes that are heard.
        known: names of the metrics of which anything is known.
        missing: float64 [2 * n_links], share of what usually arrives at each end that did not; NaN
            where that is not known.
    """

    graph: NetworkGraph
    at: float
    strength: NDArray[np.float64]
    usual: NDArray[np.float64]
    now: NDArray[np.float64]
    was_up: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    dark: NDArray[np.bool_]
    lit: NDArray[np.bool_]
    known: tuple[str, ...]
    missing: NDArray[np.float64]

    @property
    def n_disturbed_nodes(self) -> int:
        """How many nodes are dark, or have a link that is disturbed."""
        disturbed = self.dark.copy()
        links = self.strength.reshape(-1, 2).max(axis=1) > 0
        disturbed[self.graph.ends[links]] = True
        return int(disturbed.sum())


class Usual:
    """Knows what is usual, and says what is disturbed.

    Args:
        memory: intervals over which the usual is averaged.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._graph: NetworkGraph | None = None
        self._begin(0, 0)

    def _begin(self, n_nodes: int, n_links: int) -> None:
        self._quality = np.full(2 * n_links, np.nan)
        self._deviation = np.full(2 * n_links, FIRST_DEVIATION)
        self._up = np.zeros(n_links)  # share of the time that the link is up
        self._intervals = np.zeros(n_links, np.int64)  # in which the state of the link was known
        self._bad = np.zeros(2 * n_links, bool)
        self._loss = np.zeros(2 * n_links)  # what losses of several intervals add up to
        self._heard = np.zeros(n_nodes, bool)  # whether the node was ever heard

    def recall(
        self,
        graph: NetworkGraph,
        links: Mapping[str, tuple[float | None, float | None]],
        nodes: frozenset[str],
    ) -> None:
        """Take over what an earlier process knew of what is disturbed.

        Args:
            graph: the network.
            links: usual quality at both ends, by the link's id; None where it was not known.
            nodes: ids of nodes that were silent, and are not usually.
        """
        self._follow(graph)
        place = {name: at for at, name in enumerate(graph.links)}
        for name, quality in links.items():
            if name in place:
                at = place[name]
                self._up[at], self._intervals[at] = 1.0, self._memory
                self._quality[2 * at : 2 * at + 2] = [
                    np.nan if one is None else one for one in quality
                ]
        self._heard |= np.isin(np.array(graph.nodes, object), list(nodes))

    def step(
        self, graph: NetworkGraph, row: Row, received: NDArray[np.float64] | None = None
    ) -> Disturbances:
        """Compare an interval with the usual, and learn from it.

        Args:
            graph: the network.
            row: what was measured; its columns are those of `graph`.
            received: float64 [2 * n_links], how disturbed what arrives at each end is, 0 to 1, as
                hosts count it; None: none counts.
        """
        self._follow(graph)
        up = row.halves.get(LINK_UP, np.full(2 * len(graph.links), np.nan))[::2]
        quality = row.halves.get(QUALITY, np.full(2 * len(graph.links), np.nan))
        heard = row.nodes.get(NODE_UP, np.full(len(graph.nodes), np.nan))
        missing = row.halves.get(MISSING, np.full(2 * len(graph.links), np.nan))
        was_up = (self._up > DROPPED) & (self._intervals >= SETTLING)
        dropped = was_up & (up < 1.0)
        self._judge(quality)
        strength = np.zeros(2 * len(graph.links))
        with np.errstate(invalid="ignore", divide="ignore"):
            lost = (self._quality - quality) / (self._quality * LOST)
        worse = self._bad & np.repeat(was_up, 2)
        strength[worse] = np.clip(lost[worse], LEAST, 1.0)
        down = np.where(dropped, DROPPED + (1.0 - DROPPED) * (1.0 - np.nan_to_num(up, nan=1.0)), 0)
        strength = np.maximum(strength, np.repeat(down, 2))
        if received is not None:
            strength = np.maximum(strength, np.where(np.repeat(was_up, 2), received, 0.0))
        dark, lit = self._heard & (heard < DROPPED), heard >= DROPPED
        sends = graph.ends[:, ::-1].reshape(-1)[missing < ARRIVES]
        dark[sends], lit[sends] = False, True
        found = Disturbances(
            graph=graph,
            at=row.at,
            strength=strength,
            usual=self._quality.copy(),
            now=quality,
            was_up=was_up,
            unknown=np.isnan(up),
            dark=dark,
            lit=lit,
            known=_known(row),
            missing=missing,
        )
        self._learn(up, quality, heard, strength)
        return found

    def _judge(self, quality: NDArray[np.float64]) -> None:
        """Which directions are bad: those that were stay so until they are clearly better."""
        lost = self._quality - quality
        limit = np.maximum(WORSE, DEVIATIONS * self._deviation)
        limit[np.repeat(self._intervals < KNOWN, 2)] *= 2.0
        known = np.isfinite(lost)
        share = np.divide(lost, limit, out=np.zeros(len(lost)), where=known)
        self._loss = np.where(known, np.clip(self._loss + share - SLACK, 0.0, 1.0), 0.0)
        worse = (self._loss >= 1.0 - SLACK) & (share >= SLACK)
        self._bad = known & (worse | (self._bad & (share >= WELL)))

    def _learn(
        self,
        up: NDArray[np.float64],
        quality: NDArray[np.float64],
        heard: NDArray[np.float64],
        strength: NDArray[np.float64],
    ) -> None:
        """Average what is not disturbed; a link that is new is averaged over its few intervals."""
        self._heard |= heard >= DROPPED
        calm = np.isfinite(up) & (strength.reshape(-1, 2).max(axis=1) == 0)
        self._intervals[calm] += 1
        rate = 1.0 / np.minimum(np.maximum(self._intervals, 1), self._memory)
        self._up[calm] += ((up - self._up) * rate)[calm]
        of_half = np.repeat(rate, 2)
        learnt = np.repeat(calm, 2) & np.isfinite(quality)
        first = learnt & np.isnan(self._quality)
        self._quality[first] = quality[first]
        off = np.abs(quality - self._quality)
        self._quality[learnt] += ((quality - self._quality) * of_half)[learnt]
        of_half = np.repeat(1.0 / np.minimum(self._intervals + ASSUMED, self._memory), 2)
        self._deviation[learnt] += ((off - self._deviation) * of_half)[learnt]

    def _follow(self, graph: NetworkGraph) -> None:
        """Bring what is known into the order of another graph."""
        old = self._graph
        if graph is old:
            return
        before = self._quality, self._up, self._intervals, self._bad, self._heard, self._deviation
        self._begin(len(graph.nodes), len(graph.links))
        self._graph = graph
        if old is None:
            return
        here, there = _common(old.links, graph.links)
        self._up[there], self._intervals[there] = before[1][here], before[2][here]
        for end in (0, 1):
            self._quality[2 * there + end] = before[0][2 * here + end]
            self._bad[2 * there + end] = before[3][2 * here + end]
            self._deviation[2 * there + end] = before[5][2 * here + end]
        here, there = _common(old.nodes, graph.nodes)
        self._heard[there] = before[4][here]


def _common(
    old: tuple[str, ...], new: tuple[str, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of what both have, in the old and in the new order."""
    place = {name: at for at, name in enumerate(new)}
    pairs = [(at, place[name]) for at, name in enumerate(old) if name in place]
    here, there = np.array(pairs, np.intp).reshape(-1, 2).T
    return here, there


def _known(row: Row) -> tuple[str, ...]:
    metrics = {**row.nodes, **row.halves}
    return tuple(sorted(name for name, values in metrics.items() if np.isfinite(values).any()))
