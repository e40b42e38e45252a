"""What was measured of a network over time, in columns: what features are computed from.

Data sets, simulations and watched networks all come as this. Unknown is NaN, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Place(StrEnum):
    """What each series of a metric is measured at."""

    NODE = "node"
    HALF_LINK = "half_link"  # one end of a link, as the node there measures it
    INTERFACE = "interface"  # of a node; it is not known which link leads over it


@dataclass(frozen=True, slots=True, eq=False)
class NetworkGraph:
    """The nodes and links of a network.

    A link has two half-links, 2 * link and 2 * link + 1, at its first and second end; the opposite
    of half-link h is h ^ 1.

    Attributes:
        nodes: ids.
        links: ids.
        ends: int32 [n_links, 2], node indices of the ends; the second is -1 where the link leaves
            the network.
        directed: bool [n_links], whether the first end depends on the second, and not the reverse.
    """

    nodes: tuple[str, ...]
    links: tuple[str, ...]
    ends: NDArray[np.int32]
    directed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric of a network, a series for each place where it is measured.

    Attributes:
        place: what the series are of.
        at: int32 [n_series], indices of nodes, of half-links, or of the nodes of interfaces.
        values: float64 [n_times, n_series].
        names: names of the interfaces; empty for nodes and half-links.
    """

    place: Place
    at: NDArray[np.int32]
    values: NDArray[np.float64]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Telemetry:
    """What was measured of one network.

    Attributes:
        graph: the network.
        times: float64 [n_times], Unix time, s, ascending; gaps where nothing was measured.
        metrics: by name.
    """

    graph: NetworkGraph
    times: NDArray[np.float64]
    metrics: Mapping[str, Metric]


@dataclass(frozen=True, slots=True)
class LabelledIncident:
    """An incident of which the cause is known.

    Attributes:
        name: unique within its data set.
        start, end: times of its first and last sample, Unix time, s.
        kind: `node-down`, `link-loss`, ...
        node: id of the node that caused it; None where that lies outside the network.
        interface: name of the interface concerned, or id of the link; "" if there is none.
    """

    name: str
    start: float
    end: float
    kind: str
    node: str | None
    interface: str = ""
