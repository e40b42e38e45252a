"""Measures of answers, and answers that do not depend on names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.inference.baselines import boosting, extra_trees, farthest, majority
from serve_apps.inference.calibration import calibration_error, logistic_curve
from serve_apps.inference.evaluation import Answer, scores, wilson
from serve_apps.inference.labelled_windows import labelled_windows
from serve_apps.inference.learning import RELATIONS, Truth, VertexGraph
from serve_apps.inference.normalisation import Normalisation
from serve_apps.inference.root_cause import judge
from tests.unit.inference.drawn import drawn_model, drawn_network, drawn_trees
from tests.unit.inference.made_data_set import made_data_set

if TYPE_CHECKING:
    from serve_apps.inference.labelled_windows import LabelledWindow

WINDOWS = labelled_windows(made_data_set())


def _right(one: LabelledWindow) -> Answer:
    """The label itself, as an answer."""
    graph, roots = one.example.graph, one.example.roots
    nodes = np.zeros(graph.n_nodes)
    nodes[graph.owner[roots]] = 1.0
    outside = one.example.truth is Truth.OUTSIDE
    return Answer(nodes, roots[graph.n_nodes :].astype(float), 1.0, outside=outside)


def test_the_right_answers_have_the_best_scores() -> None:
    """Counts are those of the data set."""
    answers = [_right(one) for one in WINDOWS.incidents]
    quiet = [Answer(np.ones(4), np.ones(8), 0.25, alarm=False) for _ in WINDOWS.quiet]
    found = scores(WINDOWS, answers, quiet)
    assert (found.incidents, found.located, found.visible, found.quiet) == (24, 18, 12, 120)
    best = (found.top1, found.top3, found.visible_top1, found.endpoint_top1, found.exact_link)
    assert best == (1, 1, 1, 1, 1)
    assert (found.outside_precision, found.outside_recall, found.detected) == (1, 1, 1)
    assert (found.false_alarms, found.false_alarms_per_day, found.calibration_error) == (0, 0, 0)
    assert found.per_kind["bgp-hijack"].top1 is None
    assert found.per_kind["bgp-hijack"].outside == 1
    assert found.per_kind["link-loss"].incidents == 6


def test_answers_that_do_not_decide_have_none() -> None:
    """A tie is no answer: whoever says the same of all nodes names nobody first."""
    answers = [Answer(np.ones(4), np.ones(8)) for _ in WINDOWS.incidents]
    quiet = [Answer(np.ones(4), np.ones(8), outside=True) for _ in WINDOWS.quiet]
    found = scores(WINDOWS, answers, quiet)
    assert found.top1 == found.top3 == 0
    assert found.calibration_error is None
    assert (found.outside_precision, found.outside_recall) == (0, 0)
    assert found.false_alarms == 1
    assert found.false_alarms_per_day == pytest.approx(720, rel=0.05)


def test_the_other_end_of_the_faulty_link_is_an_endpoint_and_a_third_node_is_none() -> None:
    """And the link is the right one from whichever end it is named."""
    losses = [one for one in WINDOWS.incidents if 0 <= one.half_link < 4]
    answers = []
    for one in losses:
        graph = one.example.graph
        nodes, half_links = np.zeros(4), np.zeros(8)
        nodes[graph.owner[graph.n_nodes + (one.half_link ^ 1)]] = 1
        half_links[one.half_link ^ 1] = 1
        answers.append(Answer(nodes, half_links))
    found = scores(type(WINDOWS)(WINDOWS.features, tuple(losses), ()), answers, [])
    assert (found.top1, found.endpoint_top1, found.exact_link) == (0, 1, 1)


def test_nothing_has_no_scores() -> None:
    """None, not zero and not perfect."""
    found = scores(type(WINDOWS)(WINDOWS.features, (), ()), [], [])
    assert found.top1 is found.top1_interval is found.false_alarms is found.detected is None


@given(n=st.integers(1, 2000), share=st.floats(0, 1))
def test_the_interval_holds_the_share(n: int, share: float) -> None:
    """And stays within 0 and 1."""
    right = round(n * share)
    low, high = wilson(right, n) or (1, 0)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    assert wilson(0, 0) is None


def test_the_baselines_answer_and_the_better_ones_are_better() -> None:
    """On a data set where the loss is seen at one end: trees see it, the majority does not."""
    half = len(WINDOWS.incidents) // 2
    before, after = WINDOWS.incidents[:half], WINDOWS.incidents[half:]
    only = type(WINDOWS)(WINDOWS.features, after, ())
    found = {
        name: scores(only, answers, []).visible_top1 or 0.0
        for name, answers in {
            "majority": majority(before, after),
            "farthest": farthest(WINDOWS.features, after),
            "trees": extra_trees(before, after, 0),
            "boosting": boosting(before, after, 0),
        }.items()
    }
    assert found["farthest"] > found["majority"]
    # It names one node also where several have been the root equally often.
    every = majority(WINDOWS.incidents, WINDOWS.incidents)
    assert (
        scores(type(WINDOWS)(WINDOWS.features, WINDOWS.incidents, ()), every, []).top1 or 0
    ) > 0.25
    assert found["trees"] > found["majority"]
    assert 0 <= found["boosting"] <= 1


@given(seed=st.integers(0, 2**32 - 1))
def test_confidence_after_calibration_is_nearer_to_the_truth(seed: int) -> None:
    """Of confidences that are too high by far; the curve never falls."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.1, 0.9, 3000)
    right = rng.random(3000) < truth
    told = truth**0.25
    curve = logistic_curve(told, right, of_probability=True)
    places, chances = np.array(curve).T
    assert (np.diff(chances) >= 0).all()
    calibrated = np.interp(told, places, chances)
    assert calibration_error(calibrated, right) < calibration_error(told, right) / 2
    assert np.isnan(calibration_error(np.empty(0), np.empty(0, np.bool_)))


@given(seed=st.integers(0, 2**32 - 1))
def test_renaming_nodes_and_links_changes_no_answer(seed: int) -> None:
    """A permutation of nodes and links permutes what is said of them, and does nothing else."""
    rng = np.random.default_rng(seed)
    made = made_data_set().telemetry.graph
    graph = VertexGraph.of(made)
    network = drawn_network(rng, (4, 8, 2), len(RELATIONS))
    scaling = Normalisation(np.zeros(2), np.ones(2))
    trees = drawn_trees(rng, 8)
    x = np.where(rng.random((12, 2)) < 0.2, np.nan, rng.normal(size=(12, 2)))
    nodes, links = rng.permutation(4), rng.permutation(4)
    halves = (2 * links[:, None] + np.arange(2)).reshape(-1)
    ends = made.ends[links]
    inverse = np.argsort(nodes)
    permuted = VertexGraph.of(
        type(made)(
            tuple(made.nodes[at] for at in nodes),
            tuple(made.links[at] for at in links),
            np.where(ends >= 0, inverse[ends], -1).astype(np.int32),
            made.directed[links],
        )
    )
    order = np.concatenate((nodes, 4 + halves))
    for model in (
        replace(drawn_model(), network=network, normalisation=scaling, trees=who)
        for who in (None, trees)
    ):
        said = judge(model, graph, x)
        again = judge(model, permuted, x[order])
        np.testing.assert_allclose(again.nodes, said.nodes[nodes], atol=1e-6)
        np.testing.assert_allclose(again.vertices, said.vertices[order], atol=1e-6)
        assert again.incident == pytest.approx(said.incident, abs=1e-6)
        assert again.outside == pytest.approx(said.outside, abs=1e-6)
        assert said.vertices[4 + 7] == 0  # the end outside the network
        assert said.vertices.sum() == pytest.approx(1)
