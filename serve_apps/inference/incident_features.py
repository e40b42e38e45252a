"""What the cause of an incident in a mesh is judged by: features of its nodes.

Of each series (see `mesh_series`) over the window of the incident there are these aspects: how far
it deviates at present; the farthest that it did, and the logarithm of that; how many rows after the
first deviation anywhere it began; how steadily it has stayed away. A node has the aspects of its
own series, those of the half-link of its own where each series of links is worst, and those of the
half-link where it is worst that a neighbour has towards it. Besides, it has the means of the
farthest over these half-links, which tell a node's fault from a link's, and what `propagation` says
of it. What is not known is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.mesh_series import (
    MeshSeries,
    deviations,
    series_of,
    sum_by_node,
)
from serve_apps.inference.propagation import NEVER, Propagation, began, spread, steadiness
from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph, Telemetry

HALF_LINK_SERIES: Final = ("loss_rate", "frame_loss", "latency", "rssi", "snr", "link_down")
NODE_SERIES: Final = (
    "cpu",
    "memory",
    "throughput",
    "dark",
    "links_down",
    "latency_from_others",
    "latency_to_others",
)
ASPECTS: Final = ("present", "peak", "magnitude", "lag", "steadiness")
OF_SPREAD: Final = (
    "lag",
    "age",
    "strength",
    "present",
    "explained",
    "preceded",
    "unpreceded",
    "chain",
    "chain_lead",
    "explained_directly",
    "preceded_directly",
    "chain_directly",
    "chain_lead_directly",
)
SIDES: Final = ("own", "neighbours")  # who measures: the node, or its neighbours of it
FEATURES: Final = (
    *(f"node.{name}.{aspect}" for name in NODE_SERIES for aspect in ASPECTS),
    *(
        f"{side}.{name}.{aspect}"
        for side in SIDES
        for name in HALF_LINK_SERIES
        for aspect in (*ASPECTS, "mean")
    ),
    *(f"spread.{name}" for name in OF_SPREAD),
)
NORMAL: Final = 24  # rows of what is normal, before the window
LEAD: Final = 6  # rows of the window before the incident was noticed
PRESENT: Final = 2  # rows that are the present


@dataclass(frozen=True, slots=True, eq=False)
class IncidentFeatures:
    """What is known of an incident at one moment.

    Attributes:
        x: float64 [n_nodes, len(FEATURES)]; NaN where not known.
        first: row of the telemetry at which the window begins.
        deviations: float64 [n_rows, n] of each series in the window.
        began: row within the window at which each series began to deviate, or `NEVER`.
        node_began: the same of nodes, with their half-links.
        spread: what can have come from where.
    """

    x: NDArray[np.float64]
    first: int
    deviations: Mapping[str, NDArray[np.float64]]
    began: Mapping[str, NDArray[np.intp]]
    node_began: NDArray[np.intp]
    spread: Propagation


def incident_features(
    telemetry: Telemetry,
    noticed: int,
    now: int | None = None,
    series: Mapping[str, MeshSeries] | None = None,
) -> IncidentFeatures:
    """The features of an incident.

    Args:
        telemetry: what was measured; rows after `now` are not looked at.
        noticed: row at which the incident was noticed.
        now: last row that is known; the last of the telemetry if None.
        series: `series_of(telemetry)`, where it is at hand.
    """
    now = len(telemetry.times) - 1 if now is None else now
    first = max(min(noticed, now) - LEAD, min(noticed, NORMAL // 3), 0)
    window, normal = slice(first, now + 1), slice(max(0, first - NORMAL), first)
    graph = telemetry.graph
    series = {**(series or series_of(telemetry))}
    series["links_down"] = _links_down(graph, series["link_down"])
    names = (*HALF_LINK_SERIES, *NODE_SERIES)
    moved = {name: _moved(series[name], normal, window) for name in names if name in series}
    moved["latency_from_others"] = _of_all_links(graph, moved["latency"])
    moved["latency_to_others"] = _of_all_links(graph, _swapped(moved["latency"]))
    starts = {name: began(moved[name]) for name in names}
    node_began, strength, present = _of_nodes(
        graph, moved, _all_links_down(graph, series["link_down"].values[window])
    )
    known = node_began[node_began != NEVER]
    earliest = int(known.min()) if len(known) else 0
    found = spread(graph, node_began, strength)
    direct = spread(graph, node_began, strength, 1)
    aspects = {name: _aspects(moved[name], starts[name], earliest) for name in names}
    x = np.concatenate(
        [
            *(aspects[name] for name in NODE_SERIES),
            *(_of_links(graph, side, aspects[name]) for side in SIDES for name in HALF_LINK_SERIES),
            _of_spread((found, direct), node_began, (strength, present), earliest, now + 1 - first),
        ],
        axis=1,
    )
    return IncidentFeatures(x, first, moved, starts, node_began, found)


def _moved(one: MeshSeries, normal: slice, window: slice) -> NDArray[np.float64]:
    """Deviations in the window; of what nobody measures, at no cost."""
    now = one.scaled[window]
    return (
        deviations(one, normal, window)[0] if np.isfinite(now).any() else np.full_like(now, np.nan)
    )


def _of_links(graph: NetworkGraph, side: str, aspects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Aspects of the half-link of each node that is worst, and the mean of the farthest."""
    owner = graph.ends.reshape(-1)
    if side == "neighbours":
        aspects = aspects.reshape(-1, 2, len(ASPECTS))[:, ::-1].reshape(-1, len(ASPECTS))
    found = np.full((len(graph.nodes), len(ASPECTS) + 1), np.nan)
    peak = aspects[:, ASPECTS.index("peak")]
    if np.isnan(peak).all():
        return found
    known = np.flatnonzero((owner >= 0) & np.isfinite(peak))
    # Equal ones are told apart by their other aspects, not by where they stand.
    keys = (*np.nan_to_num(aspects[known]).T, np.abs(peak[known]))
    worst = known[np.lexsort(keys)]
    found[owner[worst], : len(ASPECTS)] = aspects[worst]  # the last one written is the worst
    total, number = sum_by_node(graph, peak[None])
    np.divide(total[0], number[0], out=found[:, -1], where=number[0] > 0)
    return found


def _of_spread(
    both: tuple[Propagation, Propagation],
    start: NDArray[np.intp],
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]],
    earliest: int,
    n_rows: int,
) -> NDArray[np.float64]:
    found, direct = both
    began_at = np.where(start == NEVER, np.nan, start)
    return np.stack(
        [
            began_at - earliest,
            n_rows - began_at,
            *(np.log1p(each) for each in sizes),
            found.explained,
            np.log1p(found.preceded),
            np.where(found.preceded > 0, 0.0, found.chain),
            found.chain,
            found.chain - _best_other(found.chain),
            direct.explained,
            np.log1p(direct.preceded),
            direct.chain,
            direct.chain - _best_other(direct.chain),
        ],
        axis=1,
    )


def _aspects(
    moved: NDArray[np.float64], start: NDArray[np.intp], earliest: int
) -> NDArray[np.float64]:
    known = np.isfinite(moved)
    if not known.any():
        return np.full((moved.shape[1], len(ASPECTS)), np.nan)
    lately = known[-PRESENT:].sum(axis=0)
    total = np.nan_to_num(moved[-PRESENT:]).sum(axis=0)
    present = np.divide(total, lately, out=np.full(len(total), np.nan), where=lately > 0)
    size = np.where(known, np.abs(moved), -1.0)
    peak = np.take_along_axis(moved, size.argmax(axis=0)[None], axis=0)[0]
    lag = np.where(start == NEVER, np.nan, start - earliest)
    steady = np.where(known.any(axis=0), steadiness(moved, start), np.nan)
    magnitude = np.log1p(np.abs(peak))  # tells small ones apart, as `peak` does with great ones
    return np.stack([present, peak, magnitude, lag, steady], axis=1)


def _best_other(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest value at any other place; 0 where there is none."""
    if len(values) < 2:
        return np.zeros(len(values))
    first, second = np.partition(values, -2)[-1], np.partition(values, -2)[-2]
    other = np.full(len(values), first)
    other[values.argmax()] = second
    return other


def _links_down(graph: NetworkGraph, down: MeshSeries) -> MeshSeries:
    """Share of each node's links that are down."""
    total, known = sum_by_node(graph, down.values)
    shares = np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0)
    return MeshSeries(Place.NODE, shares, shares, 0.1)


def _all_links_down(graph: NetworkGraph, down: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether all links of each node that are known are down, be it in part of the interval."""
    owner = graph.ends.reshape(-1)
    inside = owner >= 0
    least = np.full((len(graph.nodes), len(down)), np.inf)
    np.minimum.at(least, owner[inside], np.where(np.isnan(down), np.inf, down).T[inside])
    found: NDArray[np.bool_] = (np.isfinite(least) & (least > 0)).T
    return found


def _of_all_links(graph: NetworkGraph, moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much even the least deviating of a node's links is above normal, at 2 and more."""
    owner = graph.ends.reshape(-1)
    inside = owner >= 0
    least = np.full((len(graph.nodes), len(moved)), np.inf)
    np.minimum.at(least, owner[inside], np.where(np.isnan(moved), np.inf, moved).T[inside])
    several = np.bincount(owner[inside], minlength=len(graph.nodes)) > 1
    known = np.isfinite(least) & several[:, None]
    return np.where(known, np.maximum(least, 0.0), np.nan).T


def _swapped(moved: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the other end of each half-link measures."""
    return moved.reshape(len(moved), -1, 2)[:, :, ::-1].reshape(moved.shape)


def _of_the_link_alone(
    graph: NetworkGraph, late: NDArray[np.float64], of_nodes: tuple[NDArray[np.float64], ...]
) -> NDArray[np.float64]:
    """How far latency deviates beyond what all links of either end have in common.

    Where a node at one end is slow, the link is late at both ends, and so are the node's others:
    that is a deviation of the node, and none of its neighbours'.
    """
    node = np.max([np.abs(np.nan_to_num(each)) for each in of_nodes], axis=0)
    own = node[:, graph.ends.reshape(-1)]
    beyond: NDArray[np.float64] = np.abs(late) - np.maximum(own, _swapped(own))
    return np.maximum(beyond, 0.0)


def _peer_is_down(graph: NetworkGraph, all_down: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether all links of the other end of each half-link are down: it is no fault of this end."""
    peer = graph.ends[:, ::-1].reshape(-1)
    several = np.bincount(graph.ends[graph.ends >= 0], minlength=len(graph.nodes)) > 1
    return (all_down & several)[:, peer] & (peer >= 0)


def _of_nodes(
    graph: NetworkGraph,
    moved: Mapping[str, NDArray[np.float64]],
    all_down: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """When each node began to deviate, how far it has gone since, and how far it is now."""
    n_nodes = len(graph.nodes)
    owner = graph.ends.reshape(-1)
    late = np.iinfo(np.intp).max
    start, strength, present = np.full(n_nodes, late, np.intp), np.zeros(n_nodes), np.zeros(n_nodes)
    alone = _of_the_link_alone(
        graph, moved["latency"], (moved["latency_from_others"], moved["latency_to_others"])
    )
    cut_off = _peer_is_down(graph, all_down)
    for name, moved_by in {**moved, "latency": alone}.items():
        # What is routed elsewhere is no fault where it is missed.
        if name == "throughput" or not np.isfinite(moved_by).any():
            continue
        size = np.nan_to_num(np.abs(moved_by))
        if name in HALF_LINK_SERIES:
            size = np.where(cut_off, 0.0, size)
        begun = began(np.where(size > 0, moved_by, 0.0))
        deviates = begun != NEVER
        if not deviates.any():
            continue
        since = np.arange(len(size))[:, None] >= begun
        # What has passed counts for little: its mean falls with every row in which it is normal.
        mean = (size * since).sum(axis=0) / np.maximum(since.sum(axis=0), 1)
        at = owner if name in HALF_LINK_SERIES else np.arange(n_nodes)
        deviates = deviates & (at >= 0)
        np.minimum.at(start, at[deviates], begun[deviates])
        np.maximum.at(strength, at[deviates], mean[deviates])
        np.maximum.at(present, at[deviates], size[-PRESENT:].mean(axis=0)[deviates])
    return np.where(start == late, NEVER, start), strength, present
