"""The series of a mesh that are watched, drawn from whatever its telemetry has.

Sources differ: a simulated mesh reports all, a running one only which links are up and their
qualities. What a source lacks stays NaN all the way. Rules:

- A link that is down delivers nothing: its loss is 1 at both ends, whoever says that it is down;
  where it was so in a part of the interval, its loss is that part at least.
- Where one end does not report whether a link is up, the other end's word counts.
- Latencies and rates are compared by their logarithms: they vary by ratios.

How far a value lies from normal is told in robust standard deviations of its own recent past, but
never in less than `floor`, the least deviation that matters: a series that has never moved would
make every tremor an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph, Telemetry

TO_DEVIATION: Final = 1.4826  # of the median absolute deviation, for a normal distribution
FEWEST: Final = 4  # rows without which nothing is known of what is normal
MOST: Final = 30.0  # deviations that are told apart
LEAST_RATE: Final = 0.5  # frames/s that count as hardly any
QUALITY: Final = "quality"
LINK_UP: Final = "link_up"
_RATES: Final = ("in_packet_rate", "out_packet_rate")


@dataclass(frozen=True, slots=True, eq=False)
class MeshSeries:
    """One quantity, at every node or half-link.

    Attributes:
        place: nodes or half-links.
        values: float64 [n_times, n], in its own unit; NaN where it is not known.
        scaled: the same on the scale on which it is compared.
        floor: least deviation that matters, on that scale.
        measured: False: the telemetry has nothing of it.
    """

    place: Place
    values: NDArray[np.float64]
    scaled: NDArray[np.float64]
    floor: float
    measured: bool = True


def series_of(telemetry: Telemetry, names: Iterable[str] | None = None) -> dict[str, MeshSeries]:
    """Series that are watched, by name; those of which nothing is known are NaN throughout.

    Of half-links: `loss_rate` (fraction lost on the way to this end), `frame_loss` (logarithm of
    what arrived here per frame that the peer sent), `latency` (s), `rssi` (dBm), `snr` (dB),
    `link_age` (s) and `link_down` (0 or 1). Of nodes: `cpu`, `memory` (fractions), `throughput`
    (frames/s in and out) and `dark` (1 where a node of which telemetry came before sends none).

    Args:
        telemetry: what was measured.
        names: which of them; None: all.
    """
    asked = _WATCHED if names is None else names
    return {name: _WATCHED[name].of(telemetry, _PLACES[name]) for name in asked}


def link_up(telemetry: Telemetry) -> NDArray[np.float64]:
    """Share of the time in which each link is up, as far as both ends say it: [n_times, n]."""
    own = _half(telemetry, LINK_UP)
    return np.repeat(np.fmin(own[:, ::2], own[:, 1::2]), 2, axis=1)


def deviations(
    series: MeshSeries, normal: slice, rows: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far `rows` lie from what was normal in the rows `normal`.

    Returns:
        Deviations [n_rows, n], positive above normal, within `MOST`; and what is normal, [n], in
        the unit of the scale. Both are NaN where too little is known.
    """
    if not series.measured:
        unknown = series.scaled[rows]
        return unknown, np.full(unknown.shape[1], np.nan)
    past = series.scaled[normal]
    centre = median(past)
    spread = median(np.abs(past - centre))
    centre = np.where(np.isfinite(past).sum(axis=0) >= FEWEST, centre, np.nan)
    scale = np.maximum(TO_DEVIATION * spread, series.floor)
    return np.clip((series.scaled[rows] - centre) / scale, -MOST, MOST), centre


def median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of what is known in each column of [n_rows, n]; NaN where nothing is."""
    if not len(values):
        return np.full(values.shape[1], np.nan)
    ordered = np.sort(values, axis=0)  # NaN comes last
    known = np.maximum(np.isfinite(values).sum(axis=0), 1)
    middle = np.stack([(known - 1) // 2, known // 2])
    found: NDArray[np.float64] = np.take_along_axis(ordered, middle, axis=0).mean(axis=0)
    return found


def sum_by_node(
    graph: NetworkGraph, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of what is known at each node's own half-links, and of how many it is known.

    Args:
        graph: the network.
        values: [n_rows, 2 * n_links]; NaN where not known.

    Returns:
        Both [n_rows, n_nodes].
    """
    n_nodes, owner = len(graph.nodes), graph.ends.reshape(-1).astype(np.int64)
    told = np.isfinite(values) & (owner >= 0)
    row, half = np.nonzero(told)
    place, size = row * n_nodes + owner[half], len(values) * n_nodes
    shape = (len(values), n_nodes)
    total = np.bincount(place, values[told], size).astype(np.float64).reshape(shape)
    return total, np.bincount(place, minlength=size).astype(np.int64).reshape(shape)


def _column(telemetry: Telemetry, name: str, place: Place) -> NDArray[np.float64]:
    graph = telemetry.graph
    size = len(graph.nodes) if place is Place.NODE else 2 * len(graph.links)
    metric = telemetry.metrics.get(name)
    if metric is None or metric.place is not place:
        return np.broadcast_to(np.nan, (len(telemetry.times), size))
    values = np.where(np.isfinite(metric.values), metric.values, np.nan)
    if np.array_equal(metric.at, np.arange(size)):
        return values
    found = np.full((len(telemetry.times), size), np.nan)
    found[:, metric.at] = values
    return found


def _half(telemetry: Telemetry, name: str) -> NDArray[np.float64]:
    return _column(telemetry, name, Place.HALF_LINK)


def _node(telemetry: Telemetry, name: str) -> NDArray[np.float64]:
    return _column(telemetry, name, Place.NODE)


def _swapped(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the other end of each half-link says."""
    return values.reshape(len(values), -1, 2)[:, :, ::-1].reshape(values.shape)


def _frame_loss(telemetry: Telemetry) -> NDArray[np.float64]:
    received, sent = (_half(telemetry, name) for name in _RATES)
    return np.log((received + LEAST_RATE) / (_swapped(sent) + LEAST_RATE))


def _throughput(telemetry: Telemetry) -> NDArray[np.float64]:
    received, sent = (_sum_by_node(telemetry, _half(telemetry, name)) for name in _RATES)
    return received + sent


def _loss(telemetry: Telemetry) -> NDArray[np.float64]:
    lost = 1.0 - np.clip(_half(telemetry, QUALITY), 0.0, 1.0)
    up = link_up(telemetry)
    down = 1.0 - np.where(np.isnan(up), 1.0, up)
    # Some sources tell the quality of a link only as long as it is up.
    return np.where(up <= 0, 1.0, np.maximum(lost, down))


def _link_age(telemetry: Telemetry) -> NDArray[np.float64]:
    """Time since each link came up, s; counted from the first row where nobody tells it."""
    up = link_up(telemetry)[:, ::2]  # both ends alike
    found = np.full(up.shape, np.nan)
    age = np.zeros(up.shape[1])
    steps = np.diff(telemetry.times, prepend=telemetry.times[:1])
    for row, step in enumerate(steps):
        age = np.where(up[row] > 0, age + step, 0.0)
        found[row] = np.where(np.isnan(up[row]), np.nan, age)
    if "link_age" in telemetry.metrics:
        told = _half(telemetry, "link_age")
        told = np.fmin(told[:, ::2], told[:, 1::2])
        found = np.where(up <= 0, 0.0, np.where(np.isnan(told), found, told))
    return np.repeat(found, 2, axis=1)


def _sum_by_node(telemetry: Telemetry, values: NDArray[np.float64]) -> NDArray[np.float64]:
    total, known = sum_by_node(telemetry.graph, values)
    return np.where(known > 0, total, np.nan)


def _dark(telemetry: Telemetry) -> NDArray[np.float64]:
    """Whether nothing that a node measures itself arrives; NaN where nothing of it ever did."""
    halves = [_half(telemetry, name) for name in ("rssi", "in_packet_rate")]
    told = np.any(
        [np.isfinite(_node(telemetry, name)) for name in ("cpu", "memory")]
        + [np.isfinite(_sum_by_node(telemetry, values)) for values in halves],
        axis=0,
    )
    return np.where(told.any(axis=0), (~told).astype(np.float64), np.nan)


@dataclass(frozen=True, slots=True)
class _Watched:
    """How one series is drawn from telemetry.

    Attributes:
        values: draws its values.
        needs: metrics without any of which nothing is known of it.
        floor: as of `MeshSeries`.
        scaled: brings values on the scale on which they are compared.
    """

    values: Callable[[Telemetry], NDArray[np.float64]]
    needs: tuple[str, ...]
    floor: float
    scaled: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda values: values

    def of(self, telemetry: Telemetry, place: Place) -> MeshSeries:
        """The series, which has this place."""
        if not any(name in telemetry.metrics for name in self.needs):
            nothing = _column(telemetry, "", place)
            return MeshSeries(place, nothing, nothing, self.floor, measured=False)
        values = self.values(telemetry)
        return MeshSeries(place, values, self.scaled(values), self.floor)


_OF_HALF_LINKS: Final = {
    "rssi": _Watched(partial(_half, name="rssi"), ("rssi",), 1.5),
    "snr": _Watched(partial(_half, name="snr"), ("snr",), 1.5),
    "loss_rate": _Watched(_loss, (QUALITY, LINK_UP), 0.02),
    "link_age": _Watched(_link_age, ("link_age", LINK_UP), 1.0),
    "latency": _Watched(
        partial(_half, name="latency"),
        ("latency",),
        0.2,
        lambda latency: np.log(np.maximum(latency, 1e-6)),
    ),
    "frame_loss": _Watched(_frame_loss, _RATES, 0.05),
    "link_down": _Watched(lambda telemetry: 1 - link_up(telemetry), (LINK_UP,), 0.1),
}
_OF_NODES: Final = {
    "throughput": _Watched(_throughput, _RATES, 0.15, lambda rate: np.log(rate + LEAST_RATE)),
    "cpu": _Watched(partial(_node, name="cpu"), ("cpu",), 0.03),
    "memory": _Watched(partial(_node, name="memory"), ("memory",), 0.02),
    "dark": _Watched(_dark, ("cpu", "memory", "rssi", "in_packet_rate"), 0.1),
}
_PLACES: Final = dict.fromkeys(_OF_HALF_LINKS, Place.HALF_LINK) | dict.fromkeys(
    _OF_NODES, Place.NODE
)
_WATCHED: Final = _OF_HALF_LINKS | _OF_NODES
