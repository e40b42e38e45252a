"""A rolling window of what is measured of a running network, one row for each interval.

Whoever looks at the network gives samples, as many in an interval as there are; a row has their
means, so that a link that was down for half of an interval shows as half up. Nodes and links keep
their index as long as the graph is the same object.

Memory is bounded: of large networks fewer rows are kept, and of one whose members keep changing
the window begins anew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np

from actors.topology.samples import DOWN, LINK_FIGURES, SILENT, UP
from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from actors.topology.samples import LinkSamples, NetworkSample
    from serve_apps.inference.incidents import HalfLink

KEPT: Final = 60  # most rows
FEWEST: Final = 8  # rows that are kept in any case
CELLS: Final = 3_000_000  # most figures of one metric
MOST_FIGURES: Final = 32  # most metrics of nodes; sources may tell any number
GONE: Final = 1_000  # so many absent members, beside as many as are there, begin a new window
NODE_UP: Final = "node_up"  # share of the interval in which the node was heard
LINK_UP: Final = "link_up"  # share of the interval in which the link carried
QUALITY: Final = "quality"  # delivery probability towards this end of the link
COST: Final = "cost"  # what routing takes that direction to cost, in the source's own unit
MISSING: Final = "xdp_missing"  # share of what this end usually receives that did not arrive
_STATES: Final = {UP: 1.0, "cut_off": 1.0, "degraded": 1.0, DOWN: 0.0, SILENT: 0.0, "gone": 0.0}

LinkKey = tuple[str, str, str]  # ids of both ends, and the kind
KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What was measured in one interval.

    Attributes:
        at: its end, Unix time, s.
        nodes: float64 [n_nodes] by name of metric; NaN where not known.
        halves: float64 [2 * n_links] by name of metric, of each end of each link; NaN likewise.
    """

    at: float
    nodes: Mapping[str, NDArray[np.float64]]
    halves: Mapping[str, NDArray[np.float64]]


class LiveTelemetry:
    """What was measured lately. Not thread-safe.

    Args:
        kept: most rows that are kept.

    Attributes:
        names: host names of the nodes, as far as they are known, by id.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.names: dict[str, str] = {}
        self._most = kept
        self._begin()

    def _begin(self) -> None:
        self._nodes: _Places[str] = _Places()
        self._links: _Places[LinkKey] = _Places()
        self._graph: NetworkGraph | None = None
        self._rows: deque[Row] = deque()
        self._open = _Interval()
        self._looked: NetworkSample | None = None
        self._looks = 0
        self._place: tuple[NetworkGraph, dict[str, int]] | None = None

    # -- one interval ----------------------------------------------------------------------------

    def look(self, sample: NetworkSample) -> None:
        """Take in what is known at a moment of the interval that has not ended yet."""
        if sample is not self._looked:
            self._take_looks()
            self._looked = sample
        self._looks += 1

    def _take_looks(self) -> None:
        """Have the sample count as often as it was looked at."""
        sample, count = self._looked, self._looks
        self._looked, self._looks = None, 0
        if sample is None:
            return
        nodes, links = sample.nodes, sample.links
        self._begin_anew_if_changed(len(nodes.ids), len(links.a))
        known = len(self._nodes.keys), len(self._links.keys)
        node_at = self._nodes.of(nodes.ids)
        link_at = self._links.of(tuple(zip(links.a, links.b, links.kinds, strict=True)))
        if known != (len(self._nodes.keys), len(self._links.keys)):
            self._nodes.of([*nodes.ids, *links.a, *links.b])  # ends that the sample does not list
            self._graph = None
        self.names = {node: name for node, name in zip(nodes.ids, nodes.names, strict=True) if name}
        now, size = self._open, len(self._nodes.keys)
        now.looks += count
        for name, values in {NODE_UP: _shares(nodes.states), **nodes.figures}.items():
            if name in now.nodes or len(now.nodes) < MOST_FIGURES:
                now.nodes.setdefault(name, _Mean()).add(size, node_at, values, count)
        both, size = np.concatenate([2 * link_at, 2 * link_at + 1]), 2 * len(self._links.keys)
        for name, values in _of_halves(links).items():
            now.halves.setdefault(name, _Mean()).add(size, both, values, count)

    def _begin_anew_if_changed(self, n_nodes: int, n_links: int) -> None:
        absent = max(len(self._nodes.keys) - 2 * n_nodes, len(self._links.keys) - 2 * n_links)
        if absent > GONE:
            self._begin()

    def close(
        self, at: float, told: Mapping[str, Mapping[HalfLink, float]] | None = None
    ) -> tuple[NetworkGraph, Row] | None:
        """End the interval.

        Args:
            at: Unix time, s.
            told: what was measured otherwise than by looks, of half-links by name of metric; those
                of other networks are left out.

        Returns:
            The network, and the row of this interval; None if nobody has looked in it.
        """
        self._take_looks()
        now, self._open = self._open, _Interval()
        if not now.looks:
            return None
        graph = self._graph = self._graph or self._new_graph()
        sizes = len(graph.nodes), 2 * len(graph.links)
        row = Row(
            at,
            {name: mean.end(sizes[0]) for name, mean in now.nodes.items()},
            {name: mean.end(sizes[1]) for name, mean in now.halves.items()}
            | {name: self.of_halves(values, np.nan) for name, values in (told or {}).items()},
        )
        self._rows.append(row)
        kept = min(self._most, max(FEWEST, CELLS // max(1, *sizes)))
        while len(self._rows) > kept:
            self._rows.popleft()
        return graph, row

    def of_halves(self, values: Mapping[HalfLink, float], other: float) -> NDArray[np.float64]:
        """Values at their places, [2 * n_links], and another one at all others.

        Raises:
            ValueError: there is no row yet.
        """
        graph = self._measured()
        if self._place is None or self._place[0] is not graph:
            self._place = graph, {link: at for at, link in enumerate(graph.links)}
        found = np.full(2 * len(graph.links), other)
        for half, value in values.items():
            if half.link in self._place[1]:
                found[2 * self._place[1][half.link] + half.end] = value
        return found

    def _measured(self) -> NetworkGraph:
        if self._graph is None:
            raise ValueError("nothing has been measured yet")
        return self._graph

    def telemetry(self) -> Telemetry:
        """All rows that are kept, of the network as it was at the last one.

        Raises:
            ValueError: there is none yet.
        """
        graph = self._measured()
        metrics = {}
        for place, size, rows in (
            (Place.NODE, len(graph.nodes), [row.nodes for row in self._rows]),
            (Place.HALF_LINK, 2 * len(graph.links), [row.halves for row in self._rows]),
        ):
            for name in dict.fromkeys(name for row in rows for name in row):
                at = np.arange(size, dtype=np.int32)
                metrics[name] = Metric(place, at, _stacked(rows, name, size))
        return Telemetry(graph, np.array([row.at for row in self._rows]), metrics)

    def _new_graph(self) -> NetworkGraph:
        place = self._nodes.place
        ends = [(place[a], place[b]) for a, b, _ in self._links.keys]
        return NetworkGraph(
            tuple(self._nodes.keys),
            tuple(link_id(*key) for key in self._links.keys),
            np.array(ends, np.int32).reshape(-1, 2),
            np.zeros(len(ends), np.bool_),
        )


def link_id(a: str, b: str, kind: str) -> str:
    """Id of the link of a kind between two nodes, a < b."""
    return f"{a},{b},{kind}"


def _stacked(
    rows: Sequence[Mapping[str, NDArray[np.float64]]], name: str, size: int
) -> NDArray[np.float64]:
    """One metric of all rows; NaN in those that do not have it, or had fewer members."""
    values = np.full((len(rows), size), np.nan)
    for at, row in enumerate(rows):
        if name in row:
            values[at, : len(row[name])] = row[name]
    return values


def _of_halves(links: LinkSamples) -> dict[str, NDArray[np.float64]]:
    """What is known of both ends of each link: first all first ends, then all second ones."""
    ab, ba, cost_ab, cost_ba = (links.figures[name] for name in LINK_FIGURES)
    up = _shares(links.states)
    # An end measures what comes in: the first one what the second sends.
    columns = {LINK_UP: (up, up), QUALITY: (ba, ab), COST: (cost_ba, cost_ab)}
    return {name: np.concatenate(pair) for name, pair in columns.items()}


def _shares(states: Sequence[str]) -> NDArray[np.float64]:
    """1 for what works, 0 for what does not, NaN where it is not known."""
    return np.array([_STATES.get(state, np.nan) for state in states], np.float64)


class _Places(Generic[KeyT]):
    """Where the members of a network stand; they keep their places."""

    def __init__(self) -> None:
        self.keys: list[KeyT] = []
        self.place: dict[KeyT, int] = {}
        self._last: Sequence[KeyT] = ()
        self._at = np.zeros(0, np.intp)

    def of(self, keys: Sequence[KeyT]) -> NDArray[np.intp]:
        """The place of each; a new one is given the next."""
        if keys != self._last:
            for key in keys:
                if key not in self.place:
                    self.place[key] = len(self.keys)
                    self.keys.append(key)
            self._at = np.array([self.place[key] for key in keys], np.intp)
            self._last = keys
        return self._at


@dataclass(slots=True)
class _Mean:
    """Means of what is known."""

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, size: int, at: NDArray[np.intp], values: NDArray[np.float64], times: int) -> None:
        """Add values, NaN where not known, so many times at different places below `size`."""
        self._grow(size)
        known = np.isfinite(values)
        self.total[at[known]] += times * values[known]
        self.count[at[known]] += times

    def _grow(self, size: int) -> None:
        more = size - len(self.total)
        if more > 0:
            self.total = np.pad(self.total, (0, more))
            self.count = np.pad(self.count, (0, more))

    def end(self, size: int) -> NDArray[np.float64]:
        """The mean at each place; NaN where nothing was known."""
        self._grow(size)
        known = self.count > 0
        mean = np.full(size, np.nan)
        mean[known] = self.total[known] / self.count[known]
        return mean


@dataclass(slots=True)
class _Interval:
    """An interval that has not ended."""

    looks: int = 0
    nodes: dict[str, _Mean] = field(default_factory=dict)
    halves: dict[str, _Mean] = field(default_factory=dict)
