"""The mesh drawn, with the effects of a failure marked.

Only this module and `labels` import matplotlib.

Colours are those of Okabe and Ito, which people with any common colour blindness tell apart; what
matters most also differs in shape. Of each component of the intact mesh, the largest part that
remains keeps the plain colour, and the others are lost from it; the largest lost parts have a
colour each.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from actors.runtime.errors import InvalidInput
from actors.twin.failure import link_called
from actors.twin.labels import label
from actors.twin.layout import layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from actors.twin.failure import Failure
    from actors.twin.results import Impact

Format = Literal["png", "svg", "pdf"]

PLAIN: Final = "#56B4E9"
LOST: Final = ("#E69F00", "#009E73", "#CC79A7", "#F0E442")  # largest parts first
OTHER_LOST: Final = "#A6761D"
FAILED: Final = "#D55E00"
OVERLOADED: Final = "#7B3294"
LINK: Final = "#B8B8B8"
INK: Final = "#222222"
MAX_LABELS: Final = 12  # most failed nodes that are named
_ALL_LABELS: Final = 40  # nodes of the largest mesh in which every node is named


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The state of each node and link after the failure."""

    failed: NDArray[np.bool_]  # [n_nodes]
    isolated: NDArray[np.bool_]  # [n_nodes]
    lost: list[NDArray[np.intp]]  # nodes of each part that is lost, largest first
    dead: NDArray[np.bool_]  # [n_links]
    overloaded: NDArray[np.bool_]  # [n_links]


def draw(
    topology: Topology,
    failure: Failure,
    found: Impact | None = None,
    *,
    positions: Mapping[str, tuple[float, float]] | None = None,
    title: str = "",
    image: Format = "png",
) -> bytes:
    """The mesh as an image file.

    Args:
        topology: the intact mesh.
        failure: the failed nodes and links.
        found: the impact of the failure; adds overloaded links, and figures to the title.
        positions: place of each node, x to the right and y upwards (km, say, as
            `NodeTable.kilometres` gives them); computed if not given.
        title: text above the picture; the names of what fails, if empty.
        image: format of the file.

    Raises:
        InvalidInput: positions are given and one is missing or not finite.
    """
    if topology.n_nodes == 0:
        raise InvalidInput("cannot draw the mesh", "it has no nodes", "Give one that has some.")
    places = layout(topology) if positions is None else _placed(topology, positions)
    parts = _parts(topology, failure, found)
    span = np.ptp(places, axis=0)
    span += 0.05 * float(span.max()) or 1.0
    wide = 12.0
    figure = Figure(figsize=(wide, float(np.clip(wide * span[1] / span[0], 5.0, 14.0)) + 1.2))
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_axis_off()
    _draw_links(axes, topology, places, parts)
    _draw_nodes(axes, topology, places, parts)
    names = failure.labels(topology)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    axes.set_title(
        "\n".join(
            [title or (f"Failure of {shown}" if names else "The intact mesh"), _figures(found)]
        ),
        color=INK,
        parse_math=False,  # a name may have dollar signs
    )
    axes.legend(
        handles=_legend(topology, parts),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=4,
        frameon=False,
    )
    figure.draw_without_rendering()
    named = np.flatnonzero(parts.failed)[:MAX_LABELS]
    if topology.n_nodes <= _ALL_LABELS:
        named = np.arange(topology.n_nodes)
    label(axes, {node: topology.label(node) for node in named.tolist()}, places, parts.failed)
    file = io.BytesIO()
    with rc_context({"svg.fonttype": "none"}):  # keep text searchable
        figure.savefig(file, format=image, dpi=120, bbox_inches="tight", facecolor="white")
    return file.getvalue()


def _placed(
    topology: Topology, positions: Mapping[str, tuple[float, float]]
) -> NDArray[np.float64]:
    missing = [name for name in topology.ids if name not in positions]
    if missing:
        raise InvalidInput(
            "cannot draw the mesh",
            f"{len(missing)} nodes have no position, {missing[0]} among them",
            "Give all of them, or none to have them computed.",
            entry="positions",
        )
    places = np.array([positions[name] for name in topology.ids], np.float64)
    if not np.isfinite(places).all():
        raise InvalidInput(
            "cannot draw the mesh",
            "a position is not finite",
            "Give two numbers a node.",
            entry="positions",
        )
    return places


def _parts(topology: Topology, failure: Failure, found: Impact | None) -> _Parts:
    left = failure.survivors(topology)
    before, after = topology.components(), left.components
    sizes = np.bincount(after[left.node_alive], minlength=left.n_components)
    origin = np.zeros(left.n_components, np.intp)
    origin[after[left.node_alive]] = before[left.node_alive]
    # The first part of each component of the intact mesh, in this order, is its largest.
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    _, first = np.unique(origin[order], return_index=True)
    lost = np.delete(order, first)
    degree = np.bincount(topology.ends[left.link_alive].reshape(-1), minlength=topology.n_nodes)
    overloaded = np.zeros(topology.n_links, np.bool_)
    for one in (found.newly_overloaded or []) if found else []:
        overloaded[link_called(topology, one.link)] = True
    return _Parts(
        failed=~left.node_alive,
        isolated=left.node_alive & (degree == 0) & (topology.degree > 0),
        lost=[np.flatnonzero(after == part) for part in lost.tolist()],
        dead=~left.link_alive,
        overloaded=overloaded,
    )


def _colours(topology: Topology, parts: _Parts) -> list[str]:
    colour = [PLAIN] * topology.n_nodes
    for number, nodes in enumerate(parts.lost):
        for node in nodes.tolist():
            colour[node] = LOST[number] if number < len(LOST) else OTHER_LOST
    return colour


def _draw_links(axes: Axes, topology: Topology, places: NDArray[np.float64], parts: _Parts) -> None:
    lines = places[topology.ends]
    thin = _scale(topology.n_nodes, 1.2, 0.45)
    plain = ~(parts.dead | parts.overloaded)
    axes.add_collection(LineCollection(list(lines[plain]), colors=LINK, linewidths=thin, zorder=1))
    axes.add_collection(
        LineCollection(
            list(lines[parts.dead]),
            colors=FAILED,
            linewidths=1.3 * thin,
            linestyles="dashed",
            zorder=2,
        )
    )
    axes.add_collection(
        LineCollection(
            list(lines[parts.overloaded]), colors=OVERLOADED, linewidths=3.0 * thin, zorder=2
        )
    )
    axes.autoscale_view()


def _draw_nodes(axes: Axes, topology: Topology, places: NDArray[np.float64], parts: _Parts) -> None:
    size = _scale(topology.n_nodes, 70.0, 9.0)
    colour = np.array(_colours(topology, parts))
    whole = ~(parts.failed | parts.isolated)
    edge = _scale(topology.n_nodes, 0.6, 0.0)
    axes.scatter(
        places[whole, 0],
        places[whole, 1],
        s=size,
        c=list(colour[whole]),
        edgecolors=INK,
        linewidths=edge,
        zorder=3,
    )
    axes.scatter(
        places[parts.isolated, 0],
        places[parts.isolated, 1],
        s=max(1.6 * size, 36.0),
        facecolors="white",
        edgecolors=INK,
        linewidths=_scale(topology.n_nodes, 2.0, 1.1),
        zorder=6,
    )
    axes.scatter(
        places[parts.failed, 0],
        places[parts.failed, 1],
        s=max(2.5 * size, 60.0),
        c=FAILED,
        marker="X",
        edgecolors="white",
        linewidths=0.8,
        zorder=5,
    )


def _scale(n_nodes: int, few: float, many: float) -> float:
    """From `few` at 100 nodes and less to `many` at 2,000 and more, evenly in the logarithm."""
    share = np.clip(np.log(n_nodes / 100) / np.log(20), 0.0, 1.0)
    return float(few + share * (many - few))


def _figures(found: Impact | None) -> str:
    if found is None:
        return ""
    share = found.pairs_lost / found.pairs_connected_before if found.pairs_connected_before else 0.0
    said = [
        f"{found.pairs_lost:,} of {found.pairs_connected_before:,} pairs lost ({share:.1%})",
        f"{found.links_affected} links affected",
        f"{len(found.components)} components",
    ]
    if found.loss is not None:
        said.append(f"mean loss {found.loss.before:.3f} → {found.loss.after:.3f}")
    return ", ".join(said)


def _legend(topology: Topology, parts: _Parts) -> list[Line2D]:
    def dot(label: str, **style: object) -> Line2D:
        given = {"marker": "o", "linestyle": "none", "markersize": 8, **style}
        return Line2D([], [], label=label, **given)  # type: ignore[arg-type]  # any style

    def line(label: str, **style: object) -> Line2D:
        return Line2D([], [], label=label, **style)  # type: ignore[arg-type]  # the same

    kept = topology.n_nodes - int(parts.failed.sum()) - sum(map(len, parts.lost))
    handles = [dot(f"connected as before ({kept})", color=PLAIN)]
    larger = [part for part in parts.lost if len(part) > 1]
    for number, part in enumerate(parts.lost[: len(LOST)]):
        if len(part) > 1:
            handles.append(dot(f"lost part of {len(part)}", color=LOST[number]))
    if len(larger) > len(LOST):
        rest = larger[len(LOST) :]
        handles.append(
            dot(f"{len(rest)} smaller lost parts ({sum(map(len, rest))})", color=OTHER_LOST)
        )
    if parts.isolated.any():
        handles.append(
            dot(
                f"newly isolated ({int(parts.isolated.sum())})",
                markerfacecolor="white",
                markeredgecolor=INK,
                markeredgewidth=1.5,
            )
        )
    if parts.failed.any():
        handles.append(dot(f"failed ({int(parts.failed.sum())})", color=FAILED, marker="X"))
    if parts.dead.any():
        handles.append(
            line(f"link gone ({int(parts.dead.sum())})", color=FAILED, linestyle="dashed")
        )
    if parts.overloaded.any():
        handles.append(
            line(
                f"newly overloaded ({int(parts.overloaded.sum())})", color=OVERLOADED, linewidth=3.0
            )
        )
    return handles
