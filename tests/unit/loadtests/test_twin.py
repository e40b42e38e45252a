"""The twin's benchmark: its mesh, its figures, and that a disagreement stops it."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from actors.runtime.errors import Unavailable
from actors.topology.cuts import Cuts
from actors.twin.results import DoubleFailures, RankedDouble
from loadtests import twin


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "LARGE", (200, 210))
    monkeypatch.setattr(twin, "DOUBLE", (60, 70))
    monkeypatch.setattr(twin, "GATEWAYS", ("n0", "n9"))


def small() -> dict[str, object]:
    return twin.measure(lambda _: None, nodes=150, sets=10, runs=1).as_dict()


def test_the_mesh_is_random_connected_and_repeatable() -> None:
    """As many nodes and links as asked for, in one component, equal for equal seeds."""
    mesh = twin.mesh(200, 500, 3)
    assert (mesh.n_nodes, mesh.n_links) == (200, 500)
    assert nx.is_connected(nx.Graph(mesh.ends.tolist()))
    assert twin.mesh(200, 500, 3) == mesh != twin.mesh(200, 500, 4)
    for links in (198, 200 * 199 // 2):
        with pytest.raises(ValueError, match="cannot have"):
            twin.mesh(200, links, 1)


def test_the_figures() -> None:
    """Every figure is there and positive; the comparators gave the same answers."""
    found = small()
    for name in (
        "all_single_ms",
        "all_single_vs_scipy",
        "all_single_vs_networkx",
        "k_failures_ms",
        "k_failures_vs_scipy",
        "k_failures_vs_networkx",
        "large_all_single_ms",
        "all_double_s",
        "all_double_vs_scipy",
    ):
        assert found[name] > 0
    assert (found["nodes"], found["links"]) == (150, 600)


def test_a_wrong_answer_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the twin counted otherwise than the comparators, there would be no result."""
    monkeypatch.setattr(
        twin,
        "single_failures",
        lambda mesh: Cuts(np.ones(mesh.n_nodes, np.int64), np.ones(mesh.n_links, np.int64)),
    )
    with pytest.raises(Unavailable, match="different pairs"):
        small()


def test_a_wrong_double_failure_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the twin missed pairs that must not fail together, there would be no result."""
    found = DoubleFailures("pairs", [RankedDouble("n0", "n1", 999, None)], [], [], 1, 0, 0)
    monkeypatch.setattr(twin, "double_failures", lambda *_: found)
    with pytest.raises(Unavailable, match="of a double failure"):
        small()
