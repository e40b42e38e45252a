"""The nodes of a network with their features at one moment: what a condition model judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.graphsage import mean_operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from serve_apps.inference.received_figures import ReceivedFigure

NEIGHBOUR: Final = "neighbour"  # the relation between the nodes at both ends of a link


@dataclass(frozen=True, slots=True, eq=False)
class NodeGraph:
    """What is known of all nodes of a network at one moment; NaN where nothing is.

    Attributes:
        nodes: ids.
        links: int [n_links, 2], indices of the nodes at the ends.
        deviations: float64 [n_nodes, features] in the order of the model, how far each feature is
            above the node's own normal, in robust standard deviations.
        values: float64, of the same shape, what was measured, each feature in its own unit.
        normal: float64, of the same shape, what is normal there, in the same unit.
        at: when it was measured, Unix time, s; NaN where that is not known.
        received: what hosts count of what nodes receive of neighbours; no model judges by it.
    """

    nodes: tuple[str, ...]
    links: NDArray[np.integer]
    deviations: NDArray[np.float64]
    values: NDArray[np.float64]
    normal: NDArray[np.float64]
    at: float = np.nan
    received: tuple[ReceivedFigure, ...] = ()

    def operators(self, relations: Sequence[str]) -> tuple[sparse.csr_array, ...]:
        """Those of a model of these relations, of which `NEIGHBOUR` is the only one known."""
        return operators(relations, len(self.nodes), self.links)


def operators(
    relations: Sequence[str], n_nodes: int, links: NDArray[np.integer]
) -> tuple[sparse.csr_array, ...]:
    """The operators of a model of these relations.

    Raises:
        ValueError: one is not `NEIGHBOUR`.
    """
    if any(relation != NEIGHBOUR for relation in relations):
        raise ValueError(f"between nodes only {NEIGHBOUR} is known")
    return tuple(neighbour_operator(n_nodes, links) for _ in relations)


def neighbours(links: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The edges between neighbours, sources and targets: both ways, and parallel links as one.

    Args:
        links: [n_links, 2], indices of the nodes at the ends; -1: it leaves the network. Such a
            link, and one to oneself, is no edge.
    """
    a, b = links.T.astype(np.intp)
    apart = (a >= 0) & (b >= 0) & (a != b)
    a, b = a[apart], b[apart]
    pair = np.minimum(a, b) * (links.max(initial=0) + 1) + np.maximum(a, b)
    ordered = np.sort(pair)
    if (ordered[1:] == ordered[:-1]).any():
        first = np.sort(np.unique(pair, return_index=True)[1])
        a, b = a[first], b[first]
    return np.stack((a, b), axis=1).reshape(-1), np.stack((b, a), axis=1).reshape(-1)


def neighbour_operator(n_nodes: int, links: NDArray[np.integer]) -> sparse.csr_array:
    """The mean over neighbours, of which each counts once.

    Args:
        n_nodes: number of nodes.
        links: as of `neighbours`.
    """
    return mean_operator(n_nodes, *neighbours(links))


def together(graphs: Sequence[NodeGraph]) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Deviations and links of graphs as of one graph that falls apart into them."""
    offsets = np.cumsum([0, *(len(graph.nodes) for graph in graphs)])
    links = [graph.links + offset for graph, offset in zip(graphs, offsets, strict=False)]
    return np.concatenate([graph.deviations for graph in graphs]), np.concatenate(links)
