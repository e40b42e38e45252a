"""Names beside nodes, each placed where it covers least."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.patheffects import withStroke

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

FONT: Final = 9.0  # size of the font, points
_COLOUR: Final = "#222222"
_CHARACTER: Final = 0.62  # width of a character, in font sizes
_LINE: Final = 1.2  # height of a line, in font sizes
_BESIDE: Final = 8.0  # points between a node and its name
# Positions of a name beside its node, in half sizes of the name, the preferred ones first.
_OFFSETS: Final = [
    distance * np.array(way, np.float64)
    for distance in (1.0, 2.0, 3.5)
    for way in ((1, 0.6), (-1, 0.6), (1, -0.6), (-1, -0.6), (0, 1), (0, -1), (1.2, 0), (-1.2, 0))
]
# Costs of covering a name, a mark and a node, and of a less preferred position.
_NAME, _MARK, _NODE, _PLACE = 10.0, 5.0, 1.0, 0.1


def label(
    axes: Axes,
    names: Mapping[int, str],
    places: NDArray[np.float64],
    marked: NDArray[np.bool_],
) -> None:
    """Write names beside nodes.

    Args:
        axes: axes with their final limits, so that places do not move.
        names: name of each node.
        places: float64 [n_nodes, 2], place of each node.
        marked: bool [n_nodes], nodes with a mark that should stay visible.
    """
    dots = axes.transData.transform(places)
    scale = axes.figure.dpi / 72  # dots to a point
    taken = np.empty((0, 2, 2))  # lower left and upper right corners of the names so far
    for node, name in names.items():
        size = np.array([_CHARACTER * len(name), _LINE]) * FONT * scale
        centres = dots[node] + np.array(_OFFSETS) * (size / 2 + _BESIDE * scale)
        costs = [
            _PLACE * rank + _hidden(centre - size / 2, centre + size / 2, dots, marked, taken)
            for rank, centre in enumerate(centres)
        ]
        centre = centres[int(np.argmin(costs))]
        taken = np.concatenate([taken, [[centre - size / 2, centre + size / 2]]])
        axes.annotate(
            name,
            (float(places[node, 0]), float(places[node, 1])),
            xytext=tuple((centre - dots[node]) / scale),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=FONT,
            parse_math=False,  # a name may have dollar signs
            color=_COLOUR,
            zorder=6,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            arrowprops={"arrowstyle": "-", "color": _COLOUR, "linewidth": 0.6, "shrinkB": 4},
        )


def _hidden(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    dots: NDArray[np.float64],
    marked: NDArray[np.bool_],
    taken: NDArray[np.float64],
) -> float:
    """The cost of what a name from `low` to `high` would cover."""
    names = ((taken[:, 0] < high) & (taken[:, 1] > low)).all(axis=1).sum()
    near = ((dots > low - 6) & (dots < high + 6)).all(axis=1)
    under = ((dots > low) & (dots < high)).all(axis=1)
    return float(_NAME * names + _MARK * (near & marked).sum() + _NODE * under.sum())
