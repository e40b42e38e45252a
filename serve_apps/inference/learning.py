"""What a network learns from: examples, in the types that training and its callers share.

Free of torch, so that whoever makes examples needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.node_graph import neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph

RELATIONS: Final = ("node_of", "half_link_of", "opposite", "neighbour")


class Truth(StrEnum):
    """What is true of an example."""

    INSIDE = "inside"  # an incident that began at a vertex of the network
    OUTSIDE = "outside"  # an incident that began elsewhere
    NORMAL = "normal"  # no incident


@dataclass(frozen=True, slots=True, eq=False)
class VertexGraph:
    """The vertices of a network: its nodes, then both half-links of each link.

    Attributes:
        n_nodes: number of the vertices that are nodes.
        owner: int [v], the node that each vertex is, or is an end of a link at; -1 for the end of
            a link outside the network, which is no vertex that anything is known of.
        edges: sources and targets for each relation, by vertex.
    """

    n_nodes: int
    owner: NDArray[np.intp]
    edges: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]

    @classmethod
    def of(cls, graph: NetworkGraph) -> VertexGraph:
        """The vertices of a network, with the edges of each of `RELATIONS`."""
        n_nodes = len(graph.nodes)
        ends = graph.ends.reshape(-1).astype(np.intp)
        halves = np.arange(len(ends), dtype=np.intp)
        inside = ends >= 0
        node, half = ends[inside], n_nodes + halves[inside]
        there = halves[np.repeat((graph.ends >= 0).all(axis=1), 2)]
        back = there ^ 1
        edges = (
            (half, node),
            (node, half),
            (n_nodes + back, n_nodes + there),
            (ends[back], ends[there]),
        )
        return cls(n_nodes, np.concatenate((np.arange(n_nodes, dtype=np.intp), ends)), edges)

    @classmethod
    def of_nodes(cls, graph: NetworkGraph) -> VertexGraph:
        """The nodes alone, with the one relation between neighbours."""
        nodes = np.arange(len(graph.nodes), dtype=np.intp)
        return cls(len(nodes), nodes, (neighbours(graph.ends),))


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An incident, or a while without one.

    Attributes:
        graph: shared by the examples of one network.
        x: float64 [v, n_features], raw features; NaN where not known.
        truth: what is true.
        roots: bool [v], vertices any of which is the right answer; all False unless `INSIDE`.
    """

    graph: VertexGraph
    x: NDArray[np.float64]
    truth: Truth
    roots: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class NodeExample:
    """A network at one moment, with what is known of which of its nodes are anomalous.

    Attributes:
        edges: as of `VertexGraph`, between nodes.
        x: float64 [n, n_features], raw features; NaN where not known.
        anomalous: bool [n].
        told: bool [n], of which nodes that is known; None: of all.
    """

    edges: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    x: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    told: NDArray[np.bool_] | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which nodes it is known whether they are anomalous, bool [n]."""
        return np.ones(len(self.x), bool) if self.told is None else self.told


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a network is trained.

    Attributes:
        hidden: outputs of each layer but the last, of each member.
        layers: number of layers, and so of hops that an answer can depend on.
        members: networks trained from different seeds, whose outputs are averaged.
        epochs: most passes over the examples.
        patience: passes without a better result on the validation examples that end the training.
        batch: examples in a step.
        rate: largest learning rate.
        decay: weight decay.
        seed: of everything that is drawn.
        threads: of torch; the result depends on it in the last digits.
        trees: that name the root beside the network, which then says only whether there is an
            incident and whether it comes from outside; 0: the network says all of it.
    """

    hidden: int = 32
    layers: int = 3
    members: int = 1
    epochs: int = 40
    patience: int = 10
    batch: int = 128
    rate: float = 5e-3
    decay: float = 1e-2
    seed: int = 0
    threads: int = 1
    trees: int = 0
