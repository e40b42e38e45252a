"""What a node's condition is judged by: eight features with the names that users know.

Each is a deviation from the node's own recent normal (median of a trailing window that leaves out
the last `GUARD` rows, in robust standard deviations). Of what is measured at each link, a node has
RSSI, SNR and loss rate of the link where they are worst, and the means of latency and link age over
its links (of their logarithms). Of a node that says nothing, its loss rate is what its neighbours
measure, and its link age what they say.

What is not known is NaN: a node that is silent has none of its own figures, a network that is
watched from outside has perhaps only `loss_rate` and `link_age`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.mesh_series import (
    FEWEST,
    MOST,
    MeshSeries,
    deviations,
    median,
    series_of,
    sum_by_node,
)
from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph, Telemetry

FEATURES: Final = (
    "rssi",
    "snr",
    "loss_rate",
    "link_age",
    "latency",
    "throughput",
    "cpu",
    "memory",
)
NORMAL: Final = 24  # rows of what is normal
GUARD: Final = 4  # rows before the present one that do not count as normal yet
AGE_SCALE: Final = 0.5  # a deviation of link age, as a logarithm
_WORST_IS_LOW: Final = ("rssi", "snr")
_BY_RATIO: Final = ("latency", "throughput")  # compared by their logarithms


@dataclass(frozen=True, slots=True, eq=False)
class NodeFeatures:
    """The features of all nodes at one moment.

    Attributes:
        deviations: float64 [n_nodes, 8] in the order of `FEATURES`, positive above normal.
        values: what was measured, in its own unit (dBm, dB, fraction, s, s, frames/s, fractions).
        normal: what is normal there, in the same unit.
    """

    deviations: NDArray[np.float64]
    values: NDArray[np.float64]
    normal: NDArray[np.float64]


def node_features(
    telemetry: Telemetry, row: int = -1, series: Mapping[str, MeshSeries] | None = None
) -> NodeFeatures:
    """The features of all nodes at one row of the telemetry; NaN where not known.

    Args:
        telemetry: what was measured up to that row; later rows are not looked at.
        row: the row; negative ones count from the end.
        series: `series_of(telemetry)`, where it is at hand.

    Raises:
        IndexError: there is no such row.
    """
    n_times = len(telemetry.times)
    row = range(n_times)[row]
    series = series or series_of(telemetry, FEATURES)
    past = slice(max(0, row - GUARD - NORMAL), max(row - GUARD, min(row, FEWEST)))
    columns = [_column(telemetry, series, name, past, row) for name in FEATURES]
    deviation, value, normal = (np.stack(each, axis=1) for each in zip(*columns, strict=True))
    return NodeFeatures(deviation, value, normal)


def _column(
    telemetry: Telemetry, series: Mapping[str, MeshSeries], name: str, past: slice, row: int
) -> tuple[NDArray[np.float64], ...]:
    """Deviation, value and normal of one feature, each [n_nodes]."""
    one, graph = series[name], telemetry.graph
    if not one.measured:
        unknown = np.full(len(graph.nodes), np.nan)
        return unknown, unknown, unknown
    if name == "link_age":
        moved, value, usual = _age(telemetry, one, past, row)
        return (
            _mean_by_node(graph, moved),
            np.expm1(_mean_by_node(graph, np.log1p(value))),
            np.expm1(_mean_by_node(graph, np.log1p(usual))),
        )
    found, centre = deviations(one, past, slice(row, row + 1))
    moved, value = found[0], one.values[row]
    usual = np.exp(centre) if name in _BY_RATIO else centre
    if one.place is Place.NODE:
        return moved, value, usual
    if name == "latency":
        logs = (_mean_by_node(graph, np.log(each)) for each in (value, usual))
        return (_mean_by_node(graph, moved), *(np.exp(each) for each in logs))
    if name == "loss_rate":
        moved, value, usual = (_told(each) for each in (moved, value, usual))
    worst = _worst(graph, -moved if name in _WORST_IS_LOW else moved)
    return _at(worst, moved), _at(worst, value), _at(worst, usual)


def _age(
    telemetry: Telemetry, one: MeshSeries, past: slice, row: int
) -> tuple[NDArray[np.float64], ...]:
    """Link age against what it would be had the link stayed up."""
    before = one.values[past]
    elapsed = telemetry.times[row] - telemetry.times[past]
    known = np.isfinite(before).sum(axis=0) >= FEWEST
    expected = np.where(known, median(before + elapsed[:, None]), np.nan)
    step = float(np.median(np.diff(telemetry.times))) if len(telemetry.times) > 1 else 1.0
    ratio = np.log((one.values[row] + step) / (expected + step))
    return np.clip(ratio / AGE_SCALE, -MOST, MOST), one.values[row], expected


def _told(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is known of each half-link: its own end's word, or else the other end's."""
    other = values.reshape(-1, 2)[:, ::-1].reshape(-1)
    return np.where(np.isnan(values), other, values)


def _mean_by_node(graph: NetworkGraph, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of what is known of each node's half-links; NaN if nothing is."""
    total, known = sum_by_node(graph, values[None])
    mean = np.full(len(graph.nodes), np.nan)
    np.divide(total[0], known[0], out=mean, where=known[0] > 0)
    return mean


def _worst(graph: NetworkGraph, badness: NDArray[np.float64]) -> NDArray[np.intp]:
    """The half-link of each node where this is greatest; -1 where none is known."""
    owner = graph.ends.reshape(-1)
    known = np.flatnonzero((owner >= 0) & np.isfinite(badness))
    found = np.full(len(graph.nodes), -1, np.intp)
    order = known[np.argsort(badness[known], kind="stable")]
    found[owner[order]] = order  # the last one written is the worst
    return found


def _at(half_link: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value at each node's half-link; NaN where it has none."""
    return (
        np.where(half_link >= 0, values[half_link], np.nan)
        if len(values)
        else np.full(len(half_link), np.nan)
    )
