"""Why a node has its score: by its features, and by its neighbours, in words that people read.

Two games are played about the same score. In one the features of the node are the players, with the
graph and all other nodes as they are. In the other the nodes are: the node itself, its neighbours
that change the score most, and all others together. Who does not take part is normal: it has the
median of what the model was trained on, and nothing missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.receptive_field import Player, ReceptiveField, Surroundings
from serve_apps.inference.shapley import shapley

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.model_file import Model
    from serve_apps.inference.node_graph import NodeGraph
    from serve_apps.inference.shapley import Shapley

MOST_NEIGHBOURS: Final = 6  # that are players of their own: with two more, 256 coalitions
_CANDIDATES: Final = 24
_DIGITS: Final = 3  # significant, of measured values
_LEAST: Final = 0.005  # a contribution below is not worth a sentence


@dataclass(frozen=True, slots=True)
class FeaturePart:
    """What one feature of the node adds to its score.

    Attributes:
        feature: name.
        contribution: Shapley value, in units of the score.
        value: what was measured; None: that is not known.
        normal: what is normal there; None: the same.
        deviation: how far above normal it is, in robust standard deviations; None: not measured.
    """

    feature: str
    contribution: float
    value: float | None
    normal: float | None
    deviation: float | None

    def __str__(self) -> str:
        """Such as "loss_rate 0.31 above its normal, +2.4"."""
        return f"{self.feature} {self._how()}, {self.contribution:+.2g}"

    def _how(self) -> str:
        if self.deviation is None:
            return "is not measured"
        side = "above" if self.deviation > 0 else "below"
        if self.value is None or self.normal is None:
            return f"{abs(self.deviation):.2g} deviations {side} its normal"
        apart = self.value - self.normal
        if not apart:
            return f"{self.value:.{_DIGITS}g}, as normal"
        return f"{abs(apart):.{_DIGITS}g} {'above' if apart > 0 else 'below'} its normal"


@dataclass(frozen=True, slots=True)
class NodePart:
    """What one node adds, or some together.

    Attributes:
        nodes: ids.
        contribution: Shapley value, in units of the score.
        itself: it is the node that is asked about.
    """

    nodes: tuple[str, ...]
    contribution: float
    itself: bool = False

    def __str__(self) -> str:
        """Such as "node n0007, +0.4"."""
        who = "the node itself" if self.itself else f"node {self.nodes[0]}"
        if len(self.nodes) != 1:
            who = f"{len(self.nodes)} other nodes together"
        return f"{who}, {self.contribution:+.2g}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a node has its score.

    Attributes:
        node: id.
        score: of the node, as the model gives it (a logit).
        base: score of the same node were its features normal.
        features: what each feature adds; with `base` they add up to `score`. What adds most
            stands first, whichever way.
        nodes_base: score of the node were all nodes normal.
        nodes: what each node adds to that, in the same order.
    """

    node: str
    score: float
    base: float
    features: tuple[FeaturePart, ...]
    nodes_base: float
    nodes: tuple[NodePart, ...]

    def sentences(self) -> tuple[str, ...]:
        """In reading order: what is measured of the node, what is not, and other nodes.

        Nothing is said about what adds next to nothing.
        """
        measured = [part for part in self.features if part.deviation is not None]
        missing = [part for part in self.features if part.deviation is None]
        others = [part for part in self.nodes if not part.itself]
        return (
            *(str(part) for part in measured if abs(part.contribution) >= _LEAST),
            *_of_missing(missing),
            *(str(part) for part in others if abs(part.contribution) >= _LEAST),
        )


def _of_missing(parts: Sequence[FeaturePart]) -> tuple[str, ...]:
    """One sentence about all that is not measured: the players of a group add what they add up to.

    Each of them stands in `features`.
    """
    total = sum(part.contribution for part in parts)
    if abs(total) < _LEAST:
        return ()
    if len(parts) == 1:
        return (str(parts[0]),)
    return (f"{len(parts)} features are not measured, {total:+.2g} together",)


def explain(model: Model, graph: NodeGraph, node: int, output: int = 0) -> Explanation:
    """Explain the score of a node.

    Args:
        model: that gives the score, of at most `shapley.MOST_PLAYERS` features.
        graph: the network.
        node: index of the node.
        output: index of the output of the model that is the score.
    """
    # Normal inputs are 0: see `Normalisation`.
    inputs = model.normalisation(graph.deviations).astype(np.float64)
    operators = graph.operators(model.card.relations)
    around = Surroundings.of(operators, node, len(model.network.layers))
    score = _Score(model, around, inputs, node, output)
    features_base, features = _by_features(score, model, graph)
    nodes_base, nodes = _by_nodes(score, graph)
    total = features_base + sum(part.contribution for part in features)
    return Explanation(graph.nodes[node], total, features_base, features, nodes_base, nodes)


@dataclass(frozen=True, slots=True, eq=False)
class _Score:
    """The score that is explained, as a function of who takes part."""

    model: Model
    around: Surroundings
    inputs: NDArray[np.float64]
    node: int
    output: int

    def of(self, players: Sequence[Player]) -> ReceptiveField:
        asked = self.around, self.inputs, players, self.output
        return ReceptiveField.of(self.model.network, *asked)

    def shapley(self, players: Sequence[Player]) -> Shapley:
        return shapley(self.of(players), len(players))


def _by_features(
    score: _Score, model: Model, graph: NodeGraph
) -> tuple[float, tuple[FeaturePart, ...]]:
    names, node = model.card.features, score.node
    own = score.inputs[node].reshape(2, len(names))  # scaled, and whether it is missing
    taking_part = np.flatnonzero(own.any(axis=0))
    players = []
    for feature in taking_part:
        change = np.zeros_like(own)
        change[:, feature] = own[:, feature]
        players.append(Player(np.array([node]), change.reshape(1, -1)))
    game = score.shapley(players)
    contributions = np.zeros(len(names))
    contributions[taking_part] = game.values
    parts = [
        FeaturePart(
            name,
            float(contributions[each]),
            _known(graph.values[node, each]),
            _known(graph.normal[node, each]),
            _known(graph.deviations[node, each]),
        )
        for each, name in enumerate(names)
    ]
    parts.sort(key=lambda part: (-abs(part.contribution), part.feature))
    return game.base, tuple(parts)


def _by_nodes(score: _Score, graph: NodeGraph) -> tuple[float, tuple[NodePart, ...]]:
    changed = np.flatnonzero(score.inputs.any(axis=1))
    levels = score.around.levels
    reached = np.intersect1d(levels[0], changed)
    alone = _strongest(score, np.intersect1d(levels[-2], changed))
    itself = np.intersect1d(reached, [score.node])
    rest = np.setdiff1d(reached, np.append(alone, score.node))
    groups = [group for group in (itself, *alone[:, None], rest) if group.size]
    game = score.shapley([Player(group, score.inputs[group]) for group in groups])
    parts = [
        NodePart(tuple(graph.nodes[each] for each in group), float(value), score.node in group)
        for group, value in zip(groups, game.values, strict=True)
    ]
    parts.sort(key=lambda part: (-abs(part.contribution), part.nodes))
    return game.base, tuple(parts)


def _strongest(score: _Score, near: NDArray[np.intp]) -> NDArray[np.intp]:
    """Those neighbours that change the score most, each alone."""
    near = near[near != score.node]
    size = np.abs(score.inputs[near]).sum(axis=1)
    near = near[np.argsort(-size, kind="stable")[:_CANDIDATES]]
    if not near.size:
        return near
    worth = score.of([Player(np.array([each]), score.inputs[[each]]) for each in near])
    alone = worth(np.eye(near.size, dtype=np.bool_)) - worth(np.zeros((1, near.size), np.bool_))
    return near[np.argsort(-np.abs(alone), kind="stable")[:MOST_NEIGHBOURS]]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
