"""The generator: exact size, one component, determinism, and its match to measured figures."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.topology import radio, radio_spec
from actors.topology.errors import TopologyError
from tests.examples import share


@settings(max_examples=share(1 / 2), deadline=None)
@given(st.integers(2, 400), st.integers(0, radio_spec.MAX_SEED))
def test_any_size_and_seed_is_one_mesh(n_nodes: int, seed: int) -> None:
    """Every size and seed gives that many nodes in one component, the same each time."""
    topology = radio.generate(n_nodes, seed)
    assert topology.n_nodes == n_nodes
    assert topology.components().max() == 0
    complete = n_nodes * (n_nodes - 1) // 2
    assert topology.n_links == min(complete, round(n_nodes * radio.LINKS_PER_NODE))
    assert {topology.kinds[kind] for kind in topology.kind} == {"wifi"}
    assert radio.generate(n_nodes, seed) == topology


def test_seeds_differ() -> None:
    """Two seeds give two meshes."""
    assert radio.generate(50, 1) != radio.generate(50, 2)


def test_ids_are_padded_and_ordered() -> None:
    """Node ids are the index with at least four digits."""
    assert radio.generate(3).ids == ("n0000", "n0001", "n0002")
    assert radio.generate(10_001).ids[-1] == "n10000"


def test_worse_direction_has_the_measured_quantiles() -> None:
    """The worse direction of links is distributed as in the measured mesh."""
    worse = radio.generate(5000).quality.min(axis=1)
    levels = [0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 0.75]
    measured = [0.059, 0.117, 0.217, 0.408, 0.686, 0.984, 1.0]
    assert np.quantile(worse, levels) == pytest.approx(measured, abs=0.01)


def test_directions_are_alike_and_not_equal() -> None:
    """The two directions correlate as in the measured mesh (0.50), neither side preferred."""
    quality = radio.generate(5000).quality
    assert np.corrcoef(quality.T)[0, 1] == pytest.approx(0.5, abs=0.1)
    assert quality.mean(axis=0) == pytest.approx(quality.mean(), abs=0.01)
    assert (quality.max(axis=1) == 1).mean() == pytest.approx(0.645, abs=0.05)


def test_quality_falls_with_length() -> None:
    """Longer radio links deliver less."""
    rng = np.random.default_rng(3)
    length = rng.random(2000)
    worse = radio._qualities(length, rng).min(axis=1)
    halves = worse[length < 0.5].mean(), worse[length >= 0.5].mean()
    assert halves[0] > halves[1] + 0.15


def test_shape_is_near_the_measured_mesh() -> None:
    """At 144 nodes, cut nodes, bridges, leaves and hubs are those of Leipzig within 20-30 %."""
    seen = []
    for seed in range(20):
        topology = radio.generate(144, seed)
        graph = nx.Graph(topology.ends.tolist())
        cuts, bridges = nx.articulation_points(graph), nx.bridges(graph)
        degree = topology.degree
        seen.append([len(set(cuts)), len(list(bridges)), (degree == 1).sum(), degree.max()])
    measured = np.array([40, 44, 26, 13])
    assert np.mean(seen, axis=0) == pytest.approx(measured, rel=0.3)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("radio:144", (144, 1)), ("radio:2:0", (2, 0)), ("radio:50000:7", (50_000, 7))],
)
def test_specs_are_read(spec: str, expected: tuple[int, int]) -> None:
    """radio:N has seed 1, radio:N:SEED its own."""
    assert radio_spec.parse(spec) == expected


@pytest.mark.parametrize(
    "spec",
    [
        "radio:", "radio:x", "radio:-5", "radio:1", "radio:0", "radio:50001", "radio:9" * 30,
        "radio:10:", "radio:10:x", "radio:10:-1", "radio:10:1:2", "radio: 10", "radio:1_0",
        "radio:10.0", f"radio:10:{2**63}", "radio:\N{FULLWIDTH DIGIT ONE}0",
    ],
)  # fmt: skip
def test_bad_specs_are_refused(spec: str) -> None:
    """Anything else is refused with the spec and an example or the range."""
    with pytest.raises(TopologyError) as caught:
        radio_spec.parse(spec)
    assert caught.value.source == spec[:80]
    assert "radio:144" in caught.value.remedy or "to" in caught.value.remedy
