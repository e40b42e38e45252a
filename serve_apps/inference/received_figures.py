"""What hosts receive of neighbours, as figures beside the features that models judge by.

No model has learnt them, so they change no score: they are evidence for incidents, and are told
beside scores and their explanations, each against its own recent normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from serve_apps.inference.live_telemetry import MISSING
from serve_apps.inference.mesh_series import FEWEST, MeshSeries, deviations
from serve_apps.inference.node_features import GUARD, NORMAL
from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serve_apps.inference.arrivals import Arrival
    from serve_apps.inference.incidents import HalfLink
    from serve_apps.inference.neighbour_traffic import HalfTraffic
    from serve_apps.inference.telemetry import Metric, NetworkGraph, Telemetry

_SHARE: Final = "share"  # a unit that is not worth a word
_DIGITS: Final = 3  # significant


class _Kind(NamedTuple):
    """A figure: its unit, what counts as hardly any, and the least deviation that matters.

    Those with a least rate are compared by their logarithms.
    """

    unit: str
    floor: float
    least: float | None = None


KINDS: Final[Mapping[str, _Kind]] = {
    "xdp_throughput": _Kind("bytes/s", 0.15, 1.0),
    "xdp_packet_rate": _Kind("packets/s", 0.15, 0.1),
    "xdp_gap_median": _Kind("s", 0.7, 1e-6),  # its buckets are good to a factor of two
    "xdp_gap_p95": _Kind("s", 0.7, 1e-6),
    MISSING: _Kind(_SHARE, 0.05),
}


@dataclass(frozen=True, slots=True)
class ReceivedFigure:
    """One figure of what a node receives of a neighbour.

    Attributes:
        name: in `KINDS`.
        unit: of `value` and `normal`.
        heard_by: id of the node that receives.
        sender: id of the neighbour.
        value: what was measured.
        normal: what is normal there; None: that is not known yet.
        deviation: how far above normal it is, in robust standard deviations; None: the same.
    """

    name: str
    unit: str
    heard_by: str
    sender: str
    value: float
    normal: float | None
    deviation: float | None

    def __str__(self) -> str:
        """Such as "xdp_throughput 120 bytes/s, 80 below its normal"."""
        unit = "" if self.unit == _SHARE else f" {self.unit}"
        said = f"{self.name} {self.value:.{_DIGITS}g}{unit}"
        if self.normal is None:
            return f"{said}, its normal is not known yet"
        apart = self.value - self.normal
        if not apart:
            return f"{said}, as normal"
        side = "above" if apart > 0 else "below"
        return f"{said}, {abs(apart):.{_DIGITS}g} {side} its normal"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "feature": self.name,
            "unit": self.unit,
            "heard_by": self.heard_by,
            "from": self.sender,
            "value": self.value,
            "normal": self.normal,
            "deviation": self.deviation,
            "text": str(self),
        }


def columns(
    traffic: Mapping[HalfLink, HalfTraffic], arrived: Mapping[HalfLink, Arrival]
) -> dict[str, dict[HalfLink, float]]:
    """What is known of each figure, by name; of which nothing is known, is not there."""
    found = {
        "xdp_throughput": {half: one.throughput for half, one in traffic.items()},
        "xdp_packet_rate": {half: one.packet_rate for half, one in traffic.items()},
        "xdp_gap_median": {half: one.gap_median for half, one in traffic.items()},
        "xdp_gap_p95": {half: one.gap_p95 for half, one in traffic.items()},
        MISSING: {half: one.missing for half, one in arrived.items()},
    }
    known = {
        name: {half: value for half, value in values.items() if not math.isnan(value)}
        for name, values in found.items()
    }
    return {name: values for name, values in known.items() if values}


def received_figures(telemetry: Telemetry) -> tuple[ReceivedFigure, ...]:
    """The figures of the last row, by half-link; none where no host counts."""
    found = [
        (int(half), place, figure)
        for place, name in enumerate(KINDS)
        if name in telemetry.metrics
        for half, figure in _of_metric(telemetry.graph, name, telemetry.metrics[name])
    ]
    return tuple(figure for *_, figure in sorted(found, key=lambda each: each[:2]))


def _of_metric(graph: NetworkGraph, name: str, metric: Metric) -> list[tuple[int, ReceivedFigure]]:
    kind = KINDS[name]
    now = metric.values[-1]
    if metric.place is not Place.HALF_LINK:
        return []
    ends = graph.ends.reshape(-1)
    known = np.flatnonzero(np.isfinite(now) & (ends[metric.at] >= 0) & (ends[metric.at ^ 1] >= 0))
    row = len(metric.values) - 1
    past = slice(max(0, row - GUARD - NORMAL), max(row - GUARD, min(row, FEWEST)))
    values = metric.values[:, known]
    series = MeshSeries(Place.HALF_LINK, values, _scaled(values, kind), kind.floor)
    moved, centre = deviations(series, past, slice(row, row + 1))
    normal = centre if kind.least is None else np.maximum(np.exp(centre) - kind.least, 0.0)
    return [
        (
            half,
            ReceivedFigure(
                name,
                kind.unit,
                graph.nodes[ends[half]],
                graph.nodes[ends[half ^ 1]],
                float(values[row, at]),
                _or_none(normal[at]),
                _or_none(moved[0, at]),
            ),
        )
        for at, half in enumerate(metric.at[known].tolist())
    ]


def _scaled(values: NDArray[np.float64], kind: _Kind) -> NDArray[np.float64]:
    return values if kind.least is None else np.log(np.maximum(values, 0.0) + kind.least)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
