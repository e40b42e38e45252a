"""The shipped root-cause model, on simulated meshes that it has not seen."""

from dataclasses import replace

import numpy as np
import pytest

from serve_apps.inference import incident_features
from serve_apps.inference.learning import VertexGraph
from serve_apps.inference.model_file import Model, Purpose, load
from serve_apps.inference.root_cause import judge
from serve_apps.inference.settings import SHIPPED
from serve_apps.inference.simulation.examples import SPARSE
from serve_apps.inference.simulation.root_cause_scores import score_root_causes
from serve_apps.inference.simulation.runs import Run
from serve_apps.inference.simulation.unseen_meshes import unseen_runs
from serve_apps.inference.telemetry import Telemetry
from tests.unit.inference.shuffled import shuffled

SEED = 77


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """Cascades of 1, 2, 3 and 4 hops, with 5 noise events each, in random meshes."""
    return unseen_runs(SEED, 30)


@pytest.fixture(scope="module")
def model() -> Model:
    return load(
        SHIPPED / "root-cause", purpose=Purpose.ROOT_CAUSE, features=incident_features.FEATURES
    )


def bare(telemetry: Telemetry) -> Telemetry:
    """What any mesh tells: qualities, and which links are up."""
    return replace(telemetry, metrics={name: telemetry.metrics[name] for name in SPARSE})


def test_the_root_is_named_first_through_cascades_and_noise(model: Model, runs: list[Run]) -> None:
    scores = score_root_causes(model, runs)
    assert len(scores) == 4 * len(runs)
    assert np.mean([one.rank == 1 for one in scores]) >= 0.90


def test_who_is_told_less_is_less_sure_and_still_right_of_links(
    model: Model, runs: list[Run]
) -> None:
    whole = score_root_causes(model, runs)
    less = score_root_causes(model, runs, bare)
    assert np.mean([one.confidence for one in less]) < np.mean([one.confidence for one in whole])
    links = [one for one in less if one.kind in {"link-down", "node-down", "link-flap"}]
    others = [one for one in less if one.kind in {"cpu-exhaustion", "memory-exhaustion"}]
    assert np.mean([one.rank == 1 for one in links]) > 0.6
    assert np.mean([one.confidence for one in links]) > np.mean([one.confidence for one in others])


def test_names_and_order_change_no_answer(model: Model, runs: list[Run]) -> None:
    run = runs[0]
    planned = run.plans[1]
    other = shuffled(run.telemetry, np.random.default_rng(SEED))
    nodes = []
    for telemetry in (run.telemetry, other.telemetry):
        x = incident_features.incident_features(telemetry, planned.start + 1, planned.end - 1).x
        said = judge(model, VertexGraph.of_nodes(telemetry.graph), x)
        nodes.append(said.nodes)
    np.testing.assert_allclose(nodes[1][other.node], nodes[0], atol=1e-4)


def test_it_is_small_and_says_what_it_is(model: Model) -> None:
    files = [SHIPPED / f"root-cause{suffix}" for suffix in (".json", ".safetensors")]
    assert sum(path.stat().st_size for path in files) < 2**19
    assert model.card.metrics["top1"] >= 0.9
    assert "simulated" in model.card.trained_on
