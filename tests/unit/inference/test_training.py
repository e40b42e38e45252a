"""Training: what torch trains is what numpy evaluates, from a seed, for networks of any shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("torch", reason="training's torch is not installed")
import torch

from actors.runtime.errors import ConfigurationError
from serve_apps.inference.graphsage import mean_operator
from serve_apps.inference.learning import (
    RELATIONS,
    Example,
    NodeExample,
    TrainingOptions,
    Truth,
    VertexGraph,
)
from serve_apps.inference.model_file import load, save
from serve_apps.inference.root_cause import NODE_IS_ROOT, judge
from serve_apps.inference.telemetry import NetworkGraph
from serve_apps.inference.torch_graphsage import TorchGraphSage, adjacency, merged
from serve_apps.inference.training import (
    ALARM,
    EPOCH,
    Described,
    made_at,
    train_condition,
    train_root_cause,
)
from serve_apps.inference.tree_training import fitted, taken_out
from serve_apps.inference.trees import LEAF, inputs

if TYPE_CHECKING:
    from pathlib import Path

QUICK = TrainingOptions(hidden=8, layers=2, members=1, epochs=15, batch=16)


def _ring(n: int) -> NetworkGraph:
    """A ring, with one link twice and one that leaves the network."""
    ends = [(at, (at + 1) % n) for at in range(n)]
    ends += [(0, 1), (n - 1, -1)]
    return NetworkGraph(
        tuple(f"n{at}" for at in range(n)),
        tuple(f"l{at}" for at in range(len(ends))),
        np.array(ends, np.int32),
        np.zeros(len(ends), np.bool_),
    )


def _examples(rng: np.random.Generator, count: int) -> list[Example]:
    """Roots lose at one half-link; an opposite that loses likewise is no root; bgp is outside."""
    found = []
    for at in range(count):
        graph = VertexGraph.of(_ring(int(rng.integers(3, 7))))
        v = len(graph.owner)
        x = np.full((v, 2), np.nan)
        x[: graph.n_nodes, 0] = rng.normal(size=graph.n_nodes)
        x[graph.n_nodes :, 1] = rng.normal(size=v - graph.n_nodes)
        roots = np.zeros(v, np.bool_)
        truth = list(Truth)[at % 3]
        if truth is Truth.INSIDE:
            half = rng.choice(np.flatnonzero(graph.owner[graph.n_nodes :] >= 0))
            x[graph.n_nodes + half, 1] -= 9
            roots[graph.n_nodes + half] = True
        elif truth is Truth.OUTSIDE:
            x[rng.integers(graph.n_nodes), 0] += 9
        found.append(Example(graph, x, truth, roots))
    return found


def test_numpy_evaluates_what_torch_trains() -> None:
    """Equal within 1e-6, with parallel edges and vertices without any."""
    rng = np.random.default_rng(4)
    torch.manual_seed(4)
    graph = VertexGraph.of(_ring(5))
    v = len(graph.owner)
    network = TorchGraphSage((6, 16, 8, 2), len(RELATIONS))
    x = rng.normal(size=(v, 6)).astype(np.float32)
    with torch.no_grad():
        expected = network(
            torch.from_numpy(x), [adjacency(v, [edges]) for edges in graph.edges]
        ).numpy()
    found = network.graph_sage()(x, [mean_operator(v, *edges) for edges in graph.edges])
    assert np.abs(found - expected).max() <= 1e-6


def test_merged_networks_say_the_mean_of_what_each_says() -> None:
    """So that several trained from different seeds are one in a model file."""
    torch.manual_seed(1)
    graph = VertexGraph.of(_ring(4))
    using = [mean_operator(len(graph.owner), *edges) for edges in graph.edges]
    each = [TorchGraphSage((4, 5, 5, 2), len(RELATIONS)).graph_sage() for _ in range(3)]
    x = np.random.default_rng(1).normal(size=(len(graph.owner), 4)).astype(np.float32)
    together = merged(each)
    assert together.sizes == (4, 15, 15, 2)
    mean = np.mean([one(x, using) for one in each], axis=0)
    np.testing.assert_allclose(together(x, using), mean, atol=1e-6)


def test_numpy_says_what_trees_of_scikit_learn_say() -> None:
    """Within the last digits of a float32, also of values that are limits of the trees."""
    rng = np.random.default_rng(5)
    forest = fitted(_examples(rng, 60), 20, 5)
    trees = taken_out(forest)
    each = _examples(rng, 1)[0]
    x = inputs(each.graph, each.x)
    limits = rng.choice(trees.limit[trees.column != LEAF], (200, x.shape[1]))
    for rows in (x, limits):
        expected = forest.predict_proba(rows)[:, 1]
        np.testing.assert_allclose(trees(rows), expected, atol=1e-7)
    shares = trees.shares(each.graph, each.x)
    assert shares.sum() == pytest.approx(1)
    assert (shares[each.graph.owner < 0] == 0).all()
    alone = VertexGraph.of(NetworkGraph(("n",), (), np.empty((0, 2), np.int32), np.empty(0, bool)))
    assert trees.shares(alone, np.full((1, 2), np.nan)) == pytest.approx([1.0])


def test_a_root_cause_model_is_learnt_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On networks it never saw; the same files twice from one seed; another from another."""
    monkeypatch.setenv(EPOCH, "1700000000")
    rng = np.random.default_rng(0)
    examples = _examples(rng, 180)
    described = Described(("bgp", "loss"), "drawn")
    models = [
        train_root_cause(examples[:135], examples[135:], described, options)
        for options in (
            replace(QUICK, trees=20),
            replace(QUICK, trees=20),
            replace(QUICK, seed=1, members=2),
        )
    ]
    first, again, other = (model.network.layers[0].own for model in models)
    assert np.array_equal(first, again)
    assert other.shape[1] == 2 * first.shape[1]
    trees, same, none = (model.trees for model in models)
    assert none is None
    assert trees is not None
    assert same is not None
    assert np.array_equal(trees.limit, same.limit)
    assert not np.array_equal(first, other[:, : first.shape[1]])

    for name, made in zip(("model", "again"), models, strict=False):
        save(made, tmp_path / name)
    for suffix in (".safetensors", ".json"):
        files = [(tmp_path / f"{name}{suffix}").read_bytes() for name in ("model", "again")]
        assert files[0] == files[1]
    model = load(tmp_path / "model", relations=RELATIONS)
    right = []
    for each in _examples(rng, 90):
        said = judge(model, each.graph, each.x)
        assert said.nodes.sum() == pytest.approx(1)
        alarm = said.incident >= model.card.thresholds[ALARM]
        if each.truth is Truth.NORMAL:
            right.append(not alarm)
        elif each.truth is Truth.OUTSIDE:
            right.append(alarm and said.outside > 0.5)
        else:
            right.append(alarm and said.outside < 0.5 and each.roots[said.vertices.argmax()])
    assert np.mean(right) > 0.9
    low, high = model.probability(NODE_IS_ROOT, np.array([0.3, 0.99]))
    assert 0 <= low < high <= 1


@pytest.mark.parametrize("told", ["", "today", "1e9", str(10**30)])
def test_a_date_that_is_none_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EPOCH, told)
    with pytest.raises(ConfigurationError, match=EPOCH) as refused:
        made_at()
    assert refused.value.variable == EPOCH


def test_a_condition_model_is_learnt() -> None:
    """Nodes that deviate are told from those whose neighbours do; false alarms are bounded."""
    rng = np.random.default_rng(2)

    def draw(n: int) -> NodeExample:
        ring = np.arange(n)
        edges = ((ring, (ring + 1) % n),)
        anomalous = rng.random(n) < 0.2
        x = rng.normal(size=(n, 3)) + 6 * anomalous[:, None]
        x[rng.random((n, 3)) < 0.1] = np.nan
        return NodeExample(edges, x, anomalous)

    examples = [draw(30) for _ in range(60)]
    described = Described(("a", "b", "c"), "drawn", ("neighbour",), false_alarms=0.02)
    model = train_condition(examples[:45], examples[45:], described, replace(QUICK, batch=4))
    scores, truth = [], []
    for each in (draw(40) for _ in range(10)):
        using = [mean_operator(40, *edges) for edges in each.edges]
        scores.append(model.network(model.normalisation(each.x), using)[:, 0])
        truth.append(each.anomalous)
    said = np.concatenate(scores) >= model.card.thresholds["anomalous"]
    true = np.concatenate(truth)
    assert said[true].mean() > 0.9
    assert said[~true].mean() < 0.06
    assert all(a[1] <= b[1] for a, b in pairwise(model.card.calibration["anomalous"]))
