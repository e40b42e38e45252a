"""Features of a window of time: how far everything is from its own normal.

Normal is the median of each series over a long reference, and a deviation is told in robust
standard deviations (1.4826 times the median absolute deviation) from it. Medians of many hours do
not move when minutes are odd, and do not depend on the order of the rows: neither on when incidents
were, nor on what the minutes between them were like.

What goes in and what comes out of a link is compared: of a metric `in_N` there is `out_N`, of
`rx_N` `tx_N`, of `received_N` `sent_N`. Such metrics are rates per second and are taken as
logarithms. A half-link then also has `loss.N`, what it received of what its opposite sent;
`excess.N`, the same as a count against Poisson noise, which is what speaks on links with little
traffic; and `level.N`, the logarithm of what it normally receives. Every other metric counts as it
is: at nodes, at half-links, or at the interface of a node that is farthest from its normal.

Each series gives its mean, least and greatest deviation over the rows of the window. Deviations
are squeezed by asinh, so that a total loss and a small one both have their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import Metric, Telemetry

ASPECTS: Final = ("mean", "least", "greatest")
DIRECTIONS: Final = (("in_", "out_"), ("rx_", "tx_"), ("received_", "sent_"))
_TO_DEVIATION: Final = 1.4826
_ONE: Final = 1.0  # packet/s: rates below it are hardly told apart
_LEAST_SPREAD: Final = 0.005  # of a logarithm of a rate
_LEAST_SHARE: Final = 1e-4  # least spread of another metric, as a share of its normal
_LEAST: Final = 1e-9
_BLOCK_S: Final = 3600.0  # rows that share one reference
_FEWEST: Final = 30  # rows of a reference; before there are so many, the first ones serve


@dataclass(frozen=True, slots=True, eq=False)
class Deviations:
    """How far everything that was measured is from normal, at each time.

    Attributes:
        features: names of the columns of `window`.
        moved: float64 [n_times, v, n_series], robust standard deviations; NaN where not known.
            Vertices are nodes, then half-links.
        counts: float64 [n_times, v, 2 n_pairs], packets received, and sent by the opposite, for
            each pair of metrics.
        level: float64 [n_times, v, n_pairs].
    """

    features: tuple[str, ...]
    moved: NDArray[np.float64]
    counts: NDArray[np.float64]
    level: NDArray[np.float64]

    def window(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """Raw features of all vertices over some rows, [v, n_features]; NaN where not known."""
        moved = self.moved[rows]
        known = np.isfinite(moved)
        some = known.any(axis=0)
        total = np.where(known, moved, 0.0).sum(axis=0)
        mean = total / np.maximum(known.sum(axis=0), 1)
        least = np.where(known, moved, np.inf).min(axis=0, initial=np.inf)
        greatest = np.where(known, moved, -np.inf).max(axis=0, initial=-np.inf)
        aspects = np.arcsinh(np.where(some, (mean, least, greatest), np.nan))
        received, sent = np.split(np.nansum(self.counts[rows], axis=0), 2, axis=-1)
        excess = np.arcsinh((received - sent) / np.sqrt(received + sent + 1.0))
        either = np.isfinite(self.counts[rows]).any(axis=0)
        both = np.logical_and(*np.split(either, 2, axis=-1))
        level = self.level[rows][-1]
        return np.concatenate((*aspects, np.where(both, excess, np.nan), level), axis=-1)


def deviations(telemetry: Telemetry, reference_s: float | None = None) -> Deviations:
    """Compare everything that was measured with its normal.

    Args:
        telemetry: with at least one row and one metric.
        reference_s: normal is what was measured in so many seconds before the hour of each row, or
            in the first so many for the rows among them; None: in all of the telemetry.
    """
    of_pairs = sorted(pairs(telemetry.metrics))
    paired = {name for pair in of_pairs for name in pair[:2]}
    series = [
        *(each for pair in of_pairs for each in _of_pair(telemetry.metrics, pair)),
        *(_of_metric(name, telemetry.metrics[name]) for name in sorted(telemetry.metrics)
          if name not in paired),
    ]  # fmt: skip
    blocks = _blocks(telemetry.times, reference_s)
    shape = (len(telemetry.times), len(telemetry.graph.nodes) + 2 * len(telemetry.graph.links))
    n_nodes, step = len(telemetry.graph.nodes), _step(telemetry.times)
    moved = np.full((*shape, len(series)), np.nan)
    for at, each in enumerate(series):
        _put(moved[..., at], n_nodes, each, _moved(each, blocks))
    counts = np.full((*shape, 2 * len(of_pairs)), np.nan)
    level = np.full((*shape, len(of_pairs)), np.nan)
    for at, (received, sent, _) in enumerate(of_pairs):
        incoming, opposite = telemetry.metrics[received], _opposite(telemetry.metrics[sent])
        _put(counts[..., at], n_nodes, incoming, incoming.values * step)
        _put(counts[..., len(of_pairs) + at], n_nodes, opposite, opposite.values * step)
        logs = _log(incoming.values)
        usual = np.concatenate(
            [np.broadcast_to(_median(logs[past]), logs[rows].shape) for rows, past in blocks]
        )
        _put(level[..., at], n_nodes, incoming, usual)
    names = [each.name for each in series]
    features = (
        *(f"{name}.{aspect}" for aspect in ASPECTS for name in names),
        *(f"excess.{pair[2]}" for pair in of_pairs),
        *(f"level.{pair[2]}" for pair in of_pairs),
    )
    return Deviations(features, moved, counts, level)


def pairs(metrics: Mapping[str, Metric]) -> Iterator[tuple[str, str, str]]:
    """Names of the metrics of what half-links receive and send, and what they have in common."""
    for name, metric in metrics.items():
        for received, sent in DIRECTIONS:
            common = name.removeprefix(received)
            if (
                name.startswith(received)
                and sent + common in metrics
                and metric.place is metrics[sent + common].place is Place.HALF_LINK
            ):
                yield name, sent + common, common


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """One quantity over time: `at` as of `Metric`, `values` with the least spread that counts."""

    name: str
    place: Place
    at: NDArray[np.int32]
    values: NDArray[np.float64]
    least_spread: float | None = None  # None: a share of what is normal


def _of_pair(metrics: Mapping[str, Metric], pair: tuple[str, str, str]) -> Iterator[_Series]:
    received, sent, common = pair
    for name in (received, sent):
        one = metrics[name]
        yield _Series(name, one.place, one.at, _log(one.values), _LEAST_SPREAD)
    incoming, opposite = metrics[received], _opposite(metrics[sent])
    _, here, there = np.intersect1d(incoming.at, opposite.at, return_indices=True)
    loss = _log(incoming.values[:, here]) - _log(opposite.values[:, there])
    yield _Series(f"loss.{common}", Place.HALF_LINK, incoming.at[here], loss, _LEAST_SPREAD)


def _of_metric(name: str, metric: Metric) -> _Series:
    return _Series(name, metric.place, metric.at, metric.values)


def _opposite(metric: Metric) -> Metric:
    """The same series, of the half-links that they arrive at."""
    return replace(metric, at=metric.at ^ 1)


def _log(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(rates, 0.0) + _ONE)


def _step(times: NDArray[np.float64]) -> float:
    """Time between two rows that follow each other, s."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def _blocks(times: NDArray[np.float64], reference_s: float | None) -> list[tuple[slice, slice]]:
    """Rows that share a reference, and the rows of that reference."""
    n = len(times)
    if reference_s is None or times[-1] - times[0] <= reference_s:
        return [(slice(0, n), slice(0, n))]
    first = max(int(np.searchsorted(times, times[0] + reference_s)), min(_FEWEST, n))
    blocks = [(slice(0, first), slice(0, first))]
    while blocks[-1][0].stop < n:
        start = blocks[-1][0].stop
        stop = max(int(np.searchsorted(times, times[start] + _BLOCK_S)), start + 1)
        past = min(int(np.searchsorted(times, times[start] - reference_s)), start - _FEWEST)
        blocks.append((slice(start, stop), slice(max(past, 0), start)))
    return blocks


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each column; NaN where nothing is known."""
    known = np.isfinite(values).any(axis=0)
    found = np.full(values.shape[1], np.nan)
    found[known] = np.nanmedian(values[:, known], axis=0)
    return found


def _moved(series: _Series, blocks: Sequence[tuple[slice, slice]]) -> NDArray[np.float64]:
    parts = []
    for rows, past in blocks:
        centre = _median(series.values[past])
        spread = _TO_DEVIATION * _median(np.abs(series.values[past] - centre))
        least = series.least_spread
        floor = np.abs(centre) * _LEAST_SHARE + _LEAST if least is None else least
        parts.append((series.values[rows] - centre) / np.maximum(spread, floor))
    return np.concatenate(parts)


def _put(
    into: NDArray[np.float64],
    n_nodes: int,
    of: _Series | Metric,
    values: NDArray[np.float64],
) -> None:
    """Write the columns of a series to the vertices that they are of."""
    if of.place is not Place.INTERFACE:
        into[:, of.at + (n_nodes if of.place is Place.HALF_LINK else 0)] = values
        return
    for node in np.unique(of.at):
        part = values[:, of.at == node]
        farthest = np.where(np.isfinite(part), np.abs(part), -1.0).argmax(axis=1)
        into[:, node] = part[np.arange(len(part)), farthest]
