"""GraphSAGE in numpy and scipy: evaluates trained weights, without torch.

A layer is `h' = h W_own + sum_r mean_r(h) W_r + b`, with ReLU between layers and none after the
last: one `SAGEConv` of torch-geometric for each relation r, those of a layer summed, whose parts
for the vertex itself are `W_own`. The weights are the same for all vertices, so that renaming or
reordering vertices changes no answer. Hamilton, Ying, Leskovec: "Inductive Representation Learning
on Large Graphs", NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """The weights of one layer.

    Attributes:
        own: float32 [f_in, f_out], for the vertex itself.
        of_relation: float32 [f_in, f_out] for each relation, for the mean over its neighbours.
        bias: float32 [f_out].
    """

    own: NDArray[np.float32]
    of_relation: tuple[NDArray[np.float32], ...]
    bias: NDArray[np.float32]

    def __call__(
        self, h: NDArray[np.float32], operators: Sequence[sparse.csr_array]
    ) -> NDArray[np.float32]:
        """The layer before its activation: [v, f_in] to [v, f_out]."""
        out = h @ self.own
        out += self.bias
        narrows = self.own.shape[1] < self.own.shape[0]
        for operator, weights in zip(operators, self.of_relation, strict=True):
            # Both are the same; the mean costs by the number of columns that it is of.
            out += operator @ (h @ weights) if narrows else (operator @ h) @ weights
        return out


@dataclass(frozen=True, slots=True, eq=False)
class GraphSage:
    """A network of layers.

    Attributes:
        layers: from the inputs to the outputs, at least one.
    """

    layers: tuple[Layer, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of inputs, then the number of outputs of each layer."""
        return (self.layers[0].own.shape[0], *(layer.own.shape[1] for layer in self.layers))

    def __call__(
        self, x: NDArray[np.float32], operators: Sequence[sparse.csr_array]
    ) -> NDArray[np.float32]:
        """Evaluate all vertices.

        Args:
            x: float32 [v, inputs].
            operators: float32 [v, v] for each relation, made by `mean_operator`.

        Returns:
            float32 [v, outputs].
        """
        h = x
        for layer in self.layers[:-1]:
            h = layer(h, operators)
            np.maximum(h, 0, out=h)
        return self.layers[-1](h, operators)


def mean_operator(
    n_vertices: int, source: NDArray[np.integer], target: NDArray[np.integer]
) -> sparse.csr_array:
    """What takes the mean over the sources of the edges into each vertex.

    An edge that is given twice counts twice; a vertex without edges gets 0.

    Args:
        n_vertices: v.
        source: [n_edges], index of the vertex that each edge leaves.
        target: [n_edges], index of the vertex that each edge enters.

    Returns:
        float32 [v, v].
    """
    degree = np.bincount(target, minlength=n_vertices)
    share = (1.0 / degree[target]).astype(np.float32)
    return sparse.csr_array((share, (target, source)), shape=(n_vertices, n_vertices))
