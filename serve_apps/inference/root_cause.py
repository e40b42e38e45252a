"""What a root-cause model says of an incident: which node, which link end, outside, or nothing.

Free of torch and of Ray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import logsumexp

from serve_apps.inference.graphsage import mean_operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from serve_apps.inference.learning import VertexGraph
    from serve_apps.inference.model_file import Model

OUTPUTS: Final = ("root", "outside")
NODE_IS_ROOT: Final = "node_is_root"  # calibrated: that the node with this share is the root


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the model says of one window.

    Attributes:
        incident: probability that there is an incident.
        outside: probability that it comes from outside, if there is one.
        vertices: float64 [v], share of each vertex in being the root, if it is in the network.
        nodes: float64 [n_nodes], the same of each node with its half-links; adds up to 1.
    """

    incident: float
    outside: float
    vertices: NDArray[np.float64]
    nodes: NDArray[np.float64]


def operators(graph: VertexGraph) -> tuple[sparse.csr_array, ...]:
    """Of each relation, for `GraphSage`."""
    return tuple(mean_operator(len(graph.owner), *edges) for edges in graph.edges)


def judge(
    model: Model,
    graph: VertexGraph,
    x: NDArray[np.float64],
    using: Sequence[sparse.csr_array] | None = None,
) -> Judgement:
    """Ask a root-cause model.

    The network says whether there is an incident and whether it comes from outside; which vertex it
    is, if it is one, is for the trees to say where the model has any.

    Args:
        model: whose network has `OUTPUTS`.
        graph: the network, with at least one node.
        x: float64 [v, f], raw features; NaN where not known.
        using: `operators(graph)`, where they are at hand.
    """
    using = operators(graph) if using is None else using
    logits = model.network(model.normalisation(x), using).astype(np.float64)
    logits[graph.owner < 0] = -np.inf
    root, outside = logsumexp(logits, axis=0)
    some = np.logaddexp(root, outside)
    vertices = np.exp(logits[:, 0] - root) if model.trees is None else model.trees.shares(graph, x)
    inside = graph.owner >= 0
    nodes = np.zeros(graph.n_nodes)
    np.add.at(nodes, graph.owner[inside], vertices[inside])
    return Judgement(
        float(np.exp(some - np.logaddexp(some, 0.0))),
        float(np.exp(outside - some)),
        vertices,
        nodes,
    )
