"""The series of a mesh that are watched, drawn from whatever its telemetry has.

Sources differ: a simulated mesh reports all, a running one only which links are up and their
qualities. What a source lacks stays NaN all the way. Rules:

- A link that is down delivers nothing: its loss is 1 at both ends, whoever says that it is down.
- Where one end does not report whether a link is up, the other end's word counts.
- Latencies and rates are compared by their logarithms: they vary by ratios.

How far a value lies from normal is told in robust standard deviations of its own recent past, but
never in less than `floor`, the least deviation that matters: a series that has never moved would
make every tremor an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph, Telemetry

TO_DEVIATION: Final = 1.4826  # of the median absolute deviation, for a normal distribution
FEWEST: Final = 4  # rows without which nothing is known of what is normal
MOST: Final = 30.0  # deviations that are told apart
LEAST_RATE: Final = 0.5  # frames/s that count as hardly any
QUALITY: Final = "quality"
LINK_UP: Final = "link_up"


@dataclass(frozen=True, slots=True, eq=False)
class MeshSeries:
    """One quantity, at every node or half-link.

    Attributes:
        place: nodes or half-links.
        values: float64 [n_times, n], in its own unit; NaN where it is not known.
        scaled: the same on the scale on which it is compared.
        floor: least deviation that matters, on that scale.
    """

    place: Place
    values: NDArray[np.float64]
    scaled: NDArray[np.float64]
    floor: float


def series_of(telemetry: Telemetry) -> dict[str, MeshSeries]:
    """All series that are watched, by name; those of which nothing is known are NaN throughout.

    Of half-links: `loss_rate` (fraction lost on the way to this end), `frame_loss` (logarithm of
    what arrived here per frame that the peer sent), `latency` (s), `rssi` (dBm), `snr` (dB),
    `link_age` (s) and `link_down` (0 or 1). Of nodes: `cpu`, `memory` (fractions), `throughput`
    (frames/s in and out) and `dark` (1 where a node of which telemetry came before sends none).
    """
    up = _link_up(telemetry)
    received, sent = (_half(telemetry, f"{way}_packet_rate") for way in ("in", "out"))
    age = _link_age(telemetry, up)
    half, node = Place.HALF_LINK, Place.NODE
    throughput = _sum_by_node(telemetry, received) + _sum_by_node(telemetry, sent)
    frames = np.log((received + LEAST_RATE) / (_swapped(sent) + LEAST_RATE))
    loss, latency = _loss(telemetry, up), _half(telemetry, "latency")
    cpu, memory = _node(telemetry, "cpu"), _node(telemetry, "memory")
    rssi, snr, dark, down = (
        _half(telemetry, "rssi"),
        _half(telemetry, "snr"),
        _dark(telemetry),
        1 - up,
    )
    return {
        "rssi": MeshSeries(half, rssi, rssi, 1.5),
        "snr": MeshSeries(half, snr, snr, 1.5),
        "loss_rate": MeshSeries(half, loss, loss, 0.02),
        "link_age": MeshSeries(half, age, age, 1.0),
        "latency": MeshSeries(half, latency, np.log(np.maximum(latency, 1e-6)), 0.2),
        "frame_loss": MeshSeries(half, frames, frames, 0.05),
        "link_down": MeshSeries(half, down, down, 0.1),
        "throughput": MeshSeries(node, throughput, np.log(throughput + LEAST_RATE), 0.15),
        "cpu": MeshSeries(node, cpu, cpu, 0.03),
        "memory": MeshSeries(node, memory, memory, 0.02),
        "dark": MeshSeries(node, dark, dark, 0.1),
    }


def deviations(
    series: MeshSeries, normal: slice, rows: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far `rows` lie from what was normal in the rows `normal`.

    Returns:
        Deviations [n_rows, n], positive above normal, within `MOST`; and what is normal, [n], in
        the unit of the scale. Both are NaN where too little is known.
    """
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


def _column(telemetry: Telemetry, name: str, place: Place, size: int) -> NDArray[np.float64]:
    found = np.full((len(telemetry.times), size), np.nan)
    metric = telemetry.metrics.get(name)
    if metric is not None and metric.place is place:
        found[:, metric.at] = metric.values
        found[~np.isfinite(found)] = np.nan
    return found


def _half(telemetry: Telemetry, name: str) -> NDArray[np.float64]:
    return _column(telemetry, name, Place.HALF_LINK, 2 * len(telemetry.graph.links))


def _node(telemetry: Telemetry, name: str) -> NDArray[np.float64]:
    return _column(telemetry, name, Place.NODE, len(telemetry.graph.nodes))


def _swapped(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the other end of each half-link says."""
    return values.reshape(len(values), -1, 2)[:, :, ::-1].reshape(values.shape)


def _link_up(telemetry: Telemetry) -> NDArray[np.float64]:
    own = _half(telemetry, LINK_UP)
    return np.fmin(own, _swapped(own))


def _loss(telemetry: Telemetry, up: NDArray[np.float64]) -> NDArray[np.float64]:
    quality = _half(telemetry, QUALITY)
    return np.where(up <= 0, 1.0, 1.0 - np.clip(quality, 0.0, 1.0))


def _link_age(telemetry: Telemetry, up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time since each link came up, s; counted from the first row where nobody tells it."""
    told = _half(telemetry, "link_age")
    told = np.fmin(told, _swapped(told))
    counted = np.full(up.shape, np.nan)
    age = np.zeros(up.shape[1])
    steps = np.diff(telemetry.times, prepend=telemetry.times[:1])
    for row, step in enumerate(steps):
        age = np.where(up[row] > 0, age + step, 0.0)
        counted[row] = np.where(np.isnan(up[row]), np.nan, age)
    return np.where(up <= 0, 0.0, np.where(np.isnan(told), counted, told))


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
