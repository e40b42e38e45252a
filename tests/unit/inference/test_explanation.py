"""Shapley values of scores, and what is said about them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_apps.inference.explanation import MOST_NEIGHBOURS, FeaturePart, NodePart, explain
from serve_apps.inference.node_graph import NodeGraph
from serve_apps.inference.receptive_field import Player, ReceptiveField, Surroundings
from serve_apps.inference.shapley import MOST_PLAYERS, shapley
from tests.unit.inference.drawn import FEATURES, drawn_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_apps.inference.model_file import Model

SEEDS = st.integers(0, 2**32 - 1)
NAMES = tuple(f"feature{number}" for number in range(12))


def _graph(rng: np.random.Generator, n: int, features: int, missing: float = 0.2) -> NodeGraph:
    """A random network; nodes without a link are likely."""
    deviations = rng.normal(size=(n, features)) * 4
    deviations[rng.random(deviations.shape) < missing] = np.nan
    links = rng.integers(n, size=(n, 2))
    normal = rng.normal(size=(n, features))
    return NodeGraph(
        tuple(f"n{each}" for each in range(n)), links, deviations, normal + deviations, normal
    )


def _brute_force(worth: Callable[[frozenset[int]], float], players: int) -> np.ndarray:
    """The definition: over all coalitions, by the number of orders in which each comes about."""
    found = np.zeros(players)
    for player in range(players):
        others = [each for each in range(players) if each != player]
        for size in range(players):
            share = 1 / (players * math.comb(players - 1, size))
            for coalition in map(frozenset, itertools.combinations(others, size)):
                found[player] += share * (worth(coalition | {player}) - worth(coalition))
    return found


def _scored(model: Model, graph: NodeGraph, inputs: np.ndarray, node: int) -> float:
    """By the whole network, at the whole graph, as scores are made."""
    return float(model.network(inputs, graph.operators(model.card.relations))[node, 0])


@pytest.mark.parametrize(("players", "seed"), [(8, 0), (10, 1), (12, 2)])
def test_values_equal_brute_force_over_all_coalitions(players: int, seed: int) -> None:
    """Within 1e-6, of a node with that many features; coalitions are scored by the whole network.

    The brute force evaluates each coalition on the whole graph: nothing of the receptive field.
    """
    rng = np.random.default_rng(seed)
    model, graph = drawn_model(seed, NAMES[:players]), _graph(rng, 12, players)
    inputs = model.normalisation(graph.deviations).astype(np.float64)
    kept: dict[frozenset[int], float] = {}

    def worth(coalition: frozenset[int]) -> float:
        if coalition not in kept:
            x = inputs.copy()
            for each in set(range(players)) - coalition:
                x[0, [each, players + each]] = 0.0
            kept[coalition] = _scored(model, graph, x, 0)
        return kept[coalition]

    expected = _brute_force(worth, players)
    found = {part.feature: part.contribution for part in explain(model, graph, 0).features}
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose([found[name] for name in NAMES[:players]], expected, atol=1e-6)


@given(seed=SEEDS)
def test_coalitions_are_worth_what_the_whole_network_says(seed: int) -> None:
    """Of any players, wherever they are."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 15))
    model, graph = drawn_model(seed), _graph(rng, n, len(FEATURES))
    inputs = model.normalisation(graph.deviations).astype(np.float64)
    owner = rng.integers(-1, 4, size=n)  # -1: of no player
    groups = [np.flatnonzero(owner == each) for each in range(4)]
    field = ReceptiveField.of(
        model.network,
        Surroundings.of(graph.operators(model.card.relations), 0, len(model.network.layers)),
        inputs,
        [Player(group, inputs[group]) for group in groups],
    )
    coalitions = rng.random((9, 4)) < 0.5
    expected = []
    for coalition in coalitions:
        x = inputs.copy()
        for group, present in zip(groups, coalition, strict=True):
            x[group] *= present
        expected.append(_scored(model, graph, x, 0))
    np.testing.assert_allclose(field(coalitions), expected, atol=1e-6)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_what_is_explained_adds_up_to_the_score(seed: int) -> None:
    """Additivity, of both games, to the score that the network gives."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 15))
    model, graph = drawn_model(seed), _graph(rng, n, len(FEATURES))
    node = int(rng.integers(n))
    found = explain(model, graph, node)
    scored = float(
        model.network(model.normalisation(graph.deviations), graph.operators(model.card.relations))[
            node, 0
        ]
    )
    assert found.score == pytest.approx(scored, abs=1e-5)
    by_features = found.base + sum(part.contribution for part in found.features)
    by_nodes = found.nodes_base + sum(part.contribution for part in found.nodes)
    assert by_features == pytest.approx(found.score, abs=1e-9)
    assert by_nodes == pytest.approx(found.score, abs=1e-9)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_a_normal_feature_adds_nothing(seed: int) -> None:
    """Missingness: who is the same in and out of a coalition has the value 0, exactly."""
    rng = np.random.default_rng(seed)
    model, graph = drawn_model(seed), _graph(rng, 6, len(FEATURES))
    graph.deviations[0, 3] = model.normalisation.centre[3]
    found = {part.feature: part.contribution for part in explain(model, graph, 0).features}
    assert found[FEATURES[3]] == 0.0


@given(seed=SEEDS)
@settings(max_examples=25)
def test_a_feature_without_weight_adds_nothing(seed: int) -> None:
    """Dummy: however far from normal it is."""
    rng = np.random.default_rng(seed)
    model, graph = drawn_model(seed), _graph(rng, 6, len(FEATURES), missing=0.0)
    first = model.network.layers[0]
    for weights in (first.own, *first.of_relation):
        weights[[2, 2 + len(FEATURES)]] = 0.0
    found = {part.feature: part.contribution for part in explain(model, graph, 0).features}
    assert found[FEATURES[2]] == pytest.approx(0.0, abs=1e-12)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_features_of_the_same_effect_add_the_same(seed: int) -> None:
    """Symmetry: two with the same weights and inputs cannot be told apart."""
    rng = np.random.default_rng(seed)
    model, graph = drawn_model(seed), _graph(rng, 6, len(FEATURES), missing=0.0)
    first, scaling = model.network.layers[0], model.normalisation
    for weights in (first.own, *first.of_relation):
        weights[1] = weights[5]
    graph.deviations[0, 1] = scaling.centre[1] + scaling.scale[1] * 2.5
    graph.deviations[0, 5] = scaling.centre[5] + scaling.scale[5] * 2.5
    found = {part.feature: part.contribution for part in explain(model, graph, 0).features}
    assert found[FEATURES[1]] == pytest.approx(found[FEATURES[5]], abs=1e-9)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_nodes_beyond_the_receptive_field_add_nothing(seed: int) -> None:
    """On a line, what is further away than there are layers is not looked at."""
    rng = np.random.default_rng(seed)
    model, n = drawn_model(seed), 9
    graph = _graph(rng, n, len(FEATURES))
    graph.links[:] = np.column_stack([np.arange(n), np.minimum(np.arange(n) + 1, n - 1)])
    depth = len(model.network.layers)
    inputs = model.normalisation(graph.deviations).astype(np.float64)
    players = [Player(np.array([each]), inputs[[each]]) for each in range(n)]
    around = Surroundings.of(graph.operators(model.card.relations), 0, depth)
    values = shapley(ReceptiveField.of(model.network, around, inputs, players), n).values
    assert around.levels[0].tolist() == list(range(depth + 1))
    assert values[depth + 1 :] == pytest.approx(0.0, abs=1e-12)
    assert np.abs(values[: depth + 1]).max() > 0
    told = {node for part in explain(model, graph, 0).nodes for node in part.nodes}
    assert told <= {f"n{each}" for each in range(depth + 1)}


def test_of_many_neighbours_those_that_matter_stand_alone() -> None:
    """The others are one player, so that the game stays exact."""
    rng = np.random.default_rng(4)
    model, n = drawn_model(4), 40
    graph = _graph(rng, n, len(FEATURES))
    graph.links[:] = np.column_stack([np.zeros(n, int), np.arange(n)])
    found = explain(model, graph, 0)
    alone = [part for part in found.nodes if len(part.nodes) == 1 and not part.itself]
    (rest,) = [part for part in found.nodes if len(part.nodes) > 1]
    assert len(alone) == MOST_NEIGHBOURS
    assert len(rest.nodes) == n - 1 - MOST_NEIGHBOURS
    assert sum(part.itself for part in found.nodes) == 1


def test_a_node_of_which_all_is_normal_has_nothing_to_explain() -> None:
    model = drawn_model()
    normal = model.normalisation.centre[None]
    graph = NodeGraph(("a",), np.empty((0, 2), int), normal, normal, normal)
    found = explain(model, graph, 0)
    assert {part.contribution for part in found.features} == {0.0}
    assert found.nodes == ()
    assert found.sentences() == ()
    assert found.score == found.base == found.nodes_base


def test_more_players_than_can_be_counted_out_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        shapley(lambda coalitions: coalitions.sum(axis=1, dtype=float), MOST_PLAYERS + 1)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (FeaturePart("loss_rate", 2.41, 0.33, 0.02, 7.0), "loss_rate 0.31 above its normal, +2.4"),
        (FeaturePart("rssi", 0.6, -82.0, -61.5, -5.0), "rssi 20.5 below its normal, +0.6"),
        (FeaturePart("cpu", -0.25, 0.1, 0.1, 0.0), "cpu 0.1, as normal, -0.25"),
        (FeaturePart("snr", 1.0, None, None, -3.5), "snr 3.5 deviations below its normal, +1"),
        (FeaturePart("memory", -0.1, None, None, None), "memory is not measured, -0.1"),
        (NodePart(("n0007",), 0.4), "node n0007, +0.4"),
        (NodePart(("n1", "n2"), -0.1), "2 other nodes together, -0.1"),
    ],
)
def test_each_part_is_a_sentence(part: object, said: str) -> None:
    assert str(part) == said


def test_sentences_are_in_reading_order() -> None:
    """What adds most first; what is not measured in one sentence; then other nodes."""
    rng = np.random.default_rng(8)
    found = explain(drawn_model(8), _graph(rng, 10, len(FEATURES)), 3)
    sizes = [abs(part.contribution) for part in found.features]
    assert sizes == sorted(sizes, reverse=True)
    said = found.sentences()
    measured = [
        part
        for part in found.features
        if part.deviation is not None and abs(part.contribution) >= 0.005
    ]
    missing = [part for part in found.features if part.deviation is None]
    assert len(missing) > 1
    assert said[: len(measured)] == tuple(map(str, measured))
    total = sum(part.contribution for part in missing)
    assert said[len(measured)] == f"{len(missing)} features are not measured, {total:+.2g} together"
    assert not any("itself" in sentence for sentence in said)
