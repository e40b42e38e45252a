"""What one output of a network depends on, and its value for many coalitions of players at once.

A player is a part of the inputs that is either as it was measured or as it is normally: a feature
of a vertex, or all inputs of a neighbour. A coalition is the set of players that are as measured.
Of the whole graph only the vertices are evaluated from which the asked one is reached in as many
steps as there are layers, once; for a coalition only the changes against the empty one are, and
only where players change something. The first layer is linear in the inputs, so the part that each
player has in it is computed once, and added up for each coalition.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.graphsage import GraphSage, Layer

    Numbers = NDArray[np.float64]
    Indices = NDArray[np.intp]  # of vertices: ascending, each once
    Matrix = sparse.csr_array | Numbers

_DENSE: Final = 2**16  # cells of a matrix that is handled as a dense one
_AT_ONCE: Final = 2**20  # numbers of a layer that are held for all coalitions of a batch: 8 MiB


@dataclass(frozen=True, slots=True, eq=False)
class Player:
    """A part of the inputs.

    Attributes:
        vertices: whose inputs they are, each once.
        change: float64 [n_vertices, inputs], the inputs as measured minus the normal ones.
    """

    vertices: NDArray[np.intp]
    change: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """The vertices from which one vertex is reached in so many steps, and how.

    Attributes:
        levels: the vertices whose inputs are needed, then those whose values are after each layer,
            at last the vertex itself.
        own: for each layer which vertex below is the same one, [n, n_below].
        parts: for each layer and relation the means, [n, n_below].
    """

    levels: tuple[Indices, ...]
    own: tuple[Matrix, ...]
    parts: tuple[tuple[Matrix, ...], ...]

    @classmethod
    def of(cls, operators: Sequence[sparse.csr_array], vertex: int, depth: int) -> Self:
        """The surroundings of a vertex.

        Args:
            operators: of the graph, [v, v] for each relation.
            vertex: its index.
            depth: number of layers.
        """
        levels = [np.array([vertex], np.intp)]
        for _ in range(depth):
            into = (operator[levels[0]].indices for operator in operators)
            levels.insert(0, np.unique(np.concatenate([levels[0], *into]).astype(np.intp)))
        pairs = tuple(itertools.pairwise(levels))
        return cls(
            tuple(levels),
            tuple(_same(above, under) for under, above in pairs),
            tuple(
                tuple(_small(each[above][:, under]) for each in operators) for under, above in pairs
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A layer between those vertices that players can change.

    Attributes:
        layer: its weights.
        base: float64 [n, f_out], its values for the empty coalition, before the activation.
        own: [n, n_below], which vertex below is the same one.
        parts: [n, n_below] for each relation.
    """

    layer: Layer
    base: Numbers
    own: Matrix
    parts: tuple[Matrix, ...]

    def change(self, below: Numbers) -> Numbers:
        """What changes of the inputs change: [n_below, coalitions, f_in] to [n, .., f_out]."""
        n_below, coalitions, f_in = below.shape
        flat = below.reshape(n_below, coalitions * f_in)
        operators = (self.own, *self.parts)
        weights = (self.layer.own, *self.layer.of_relation)
        return sum(
            (
                np.asarray(operator @ flat).reshape(operator.shape[0], coalitions, f_in) @ weight
                for operator, weight in zip(operators, weights, strict=True)
            ),
            start=np.zeros((self.base.shape[0], coalitions, self.base.shape[1])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ReceptiveField:
    """One output of one vertex as a function of coalitions.

    Attributes:
        first: float64 [n, players, f_out], what each player adds to the first layer.
        steps: the layers, of which that of the first is not applied again.
        output: index of the output.
    """

    first: Numbers
    steps: tuple[_Step, ...]
    output: int

    @classmethod
    def of(
        cls,
        network: GraphSage,
        around: Surroundings,
        x: NDArray[np.floating],
        players: Sequence[Player],
        output: int = 0,
    ) -> Self:
        """What an output of a vertex depends on.

        Args:
            network: that is evaluated.
            around: the surroundings of the vertex, as deep as the network.
            x: [v, inputs], as measured.
            players: no two of them have an input in common.
            output: index of the output.
        """
        vertices = around.levels[0]
        changes = _changes(vertices, x.shape[1], players)
        values = np.asarray(x[vertices], np.float64) - changes.sum(axis=1)
        varied = np.flatnonzero(changes.any(axis=(1, 2)))
        changes = changes[varied]
        steps: list[_Step] = []
        for layer, own, parts in zip(network.layers, around.own, around.parts, strict=True):
            whole = _Step(layer, np.empty((own.shape[0], layer.bias.size)), own, parts)
            before = whole.change(values[:, None])[:, 0] + layer.bias
            reached = _reached(whole, varied, last=len(steps) + 1 == len(network.layers))
            steps.append(_restricted(whole, before, reached, varied))
            values, varied = np.maximum(before, 0.0), reached
        return cls(steps[0].change(changes), tuple(steps), output)

    def __call__(self, coalitions: NDArray[np.bool_]) -> Numbers:
        """The output for each coalition: [coalitions, players] to float64 [coalitions]."""
        widest = max((step.base.size for step in self.steps), default=1)
        size = max(1, _AT_ONCE // max(1, widest))
        batches = range(0, coalitions.shape[0], size)
        return np.concatenate([self._batch(coalitions[at : at + size]) for at in batches])

    def _batch(self, coalitions: NDArray[np.bool_]) -> Numbers:
        below = self.steps[0]
        before: Numbers = below.base[:, None] + coalitions.astype(np.float64) @ self.first
        for step in self.steps[1:]:
            change = np.maximum(before, 0.0) - np.maximum(below.base, 0.0)[:, None]
            before = step.base[:, None] + step.change(change)
            below = step
        return before[0, :, self.output]


def _changes(vertices: Indices, inputs: int, players: Sequence[Player]) -> Numbers:
    """The inputs as measured minus the normal ones: [n_vertices, players, inputs]."""
    found = np.zeros((vertices.size, len(players), inputs))
    for number, player in enumerate(players):
        slot = np.searchsorted(vertices, player.vertices)
        inside = np.isin(player.vertices, vertices)
        found[slot[inside], number] = player.change[inside]
    return found


def _same(above: Indices, under: Indices) -> Matrix:
    """Which vertex below is the same one; every one of `above` is in `under`."""
    one = np.ones(above.size)
    where = np.arange(above.size), np.searchsorted(under, above)
    return _small(sparse.csr_array((one, where), shape=(above.size, under.size)))


def _small(matrix: sparse.csr_array) -> Matrix:
    """The same matrix, dense if that is quicker: scipy takes long for each call, numpy does not."""
    return matrix.toarray() if matrix.shape[0] * matrix.shape[1] <= _DENSE else matrix


def _reached(step: _Step, varied: Indices, *, last: bool) -> Indices:
    """Rows of a layer that change with these rows of the one below."""
    if last:
        return np.arange(step.base.shape[0])
    changing = np.zeros(step.own.shape[1])
    changing[varied] = 1.0
    hit = sum((operator @ changing for operator in step.parts), start=step.own @ changing)
    return np.flatnonzero(hit)


def _restricted(step: _Step, before: Numbers, rows: Indices, columns: Indices) -> _Step:
    """A layer between these rows of it and of the one below."""
    own, *parts = (operator[rows][:, columns] for operator in (step.own, *step.parts))
    return _Step(step.layer, before[rows], own, tuple(parts))
