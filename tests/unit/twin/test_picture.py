"""The picture shows what it should, and layouts keep near what is near."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from actors.runtime.errors import InvalidInput
from actors.topology import radio
from actors.topology.model import Topology
from actors.twin import layout as layout_module
from actors.twin.conditions import Conditions, Traffic
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.layout import layout
from actors.twin.picture import draw


def of_graph(graph: nx.Graph) -> Topology:
    numbered = nx.convert_node_labels_to_integers(graph)
    return Topology.of([f"n{i}" for i in numbered], list(numbered.edges))


def stress(topology: Topology, places: np.ndarray) -> float:
    """Mean relative error of distances against hops."""
    hops = dict(nx.all_pairs_shortest_path_length(nx.Graph(topology.ends.tolist())))
    errors = [
        abs(np.linalg.norm(places[a] - places[b]) - h) / h
        for a, near in hops.items()
        for b, h in near.items()
        if h
    ]
    return float(np.mean(errors))


@pytest.mark.parametrize(
    ("graph", "bound"),
    [
        (nx.path_graph(2), 0.01),
        (nx.path_graph(12), 0.02),
        (nx.grid_2d_graph(6, 6), 0.25),
        (nx.star_graph(12), 0.35),
        (nx.cycle_graph(20), 0.25),
    ],
)
def test_distances_follow_hops(graph: nx.Graph, bound: float) -> None:
    """Distances on paper are those in hops, as far as a plane allows."""
    topology = of_graph(graph)
    assert stress(topology, layout(topology)) < bound


def test_layouts_are_repeatable_and_apart() -> None:
    """Equal seeds give equal places, and no two nodes one place, isolated ones included."""
    graph = nx.disjoint_union_all([nx.star_graph(30), nx.cycle_graph(9), nx.empty_graph(7)])
    topology = of_graph(graph)
    places = layout(topology)
    assert np.array_equal(places, layout(topology))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 10 * np.eye(len(places))
    assert apart.min() > 0.05
    label = topology.components()
    boxes = [
        (places[label == part].min(axis=0), places[label == part].max(axis=0))
        for part in range(label.max() + 1)
    ]
    for number, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:number]:
            assert ((high < other_low) | (other_high < low)).any()


def test_large_components_are_laid_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of all pairs, places still spread as hops do."""
    monkeypatch.setattr(layout_module, "MAX_STRESS", 50)
    topology = radio.generate(200)
    places = layout(topology)
    assert np.isfinite(places).all()
    assert stress(topology, places) < 1.0


def test_no_nodes_have_no_places() -> None:
    """An empty mesh has an empty layout, and no picture."""
    assert layout(Topology.of([])).shape == (0, 2)
    with pytest.raises(InvalidInput, match="no nodes"):
        draw(Topology.of([]), Failure.at())


def drawn(topology: Topology, failure: Failure, conditions: Conditions | None = None) -> str:
    found = impact(Intact(topology, conditions or Conditions()), failure)
    return draw(topology, failure, found, image="svg").decode()


def test_the_picture_says_what_is_lost() -> None:
    """Title and legend count failed, lost and isolated nodes, links gone and overloaded."""
    # A hub with a path of 3, one of 2, a leaf; and a square on the longest.
    graph = nx.Graph([(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (0, 6), (3, 7), (7, 8), (8, 3)])
    topology = of_graph(graph)
    svg = drawn(topology, Failure.at([0]))
    for text in (
        "Failure of n0",
        "17 of 28 pairs lost (60.7%), 3 links affected, 3 components",
        "connected as before (5)",
        "lost part of 2",
        "newly isolated (1)",
        "failed (1)",
        "link gone (3)",
    ):
        assert text in svg
    assert "overloaded" not in svg


def test_overloaded_links_are_marked() -> None:
    """A link that carries too much after the failure is in the legend."""
    ring = of_graph(nx.cycle_graph(5))  # each link carries 6, as a line 8, 12, 12 and 8
    conditions = Conditions(traffic=Traffic(uniform=1.0), capacity=np.full(5, 7.0))
    assert "newly overloaded (4)" in drawn(ring, Failure.at((), [0]), conditions)


def test_the_intact_mesh_is_plain() -> None:
    """Without a failure nothing is marked."""
    topology = radio.generate(30)
    svg = draw(topology, Failure.at(), image="svg").decode()
    assert "The intact mesh" in svg
    assert "connected as before (30)" in svg
    assert all(word not in svg for word in ("lost", "isolated", "failed (", "gone"))


def test_pairs_apart_from_the_start_are_not_lost() -> None:
    """Components of a mesh that starts split are not drawn as lost."""
    topology = of_graph(nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(4)))
    svg = drawn(topology, Failure.at([0]))
    assert "connected as before (8)" in svg
    assert "lost part" not in svg


@pytest.mark.parametrize(
    ("image", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_formats(image: str, magic: bytes) -> None:
    """The file is what was asked for."""
    assert draw(radio.generate(12), Failure.at([1]), image=image).startswith(magic)


def test_everything_failed_is_drawn() -> None:
    """A mesh of which nothing is left has a picture."""
    svg = drawn(radio.generate(10), Failure.at(range(10)))
    assert "failed (10)" in svg


def test_given_positions_are_used() -> None:
    """Places come from the map where it has them; gaps and nonsense are refused."""
    topology = of_graph(nx.path_graph(3))
    places = {"n0": (0.0, 0.0), "n1": (5.0, 1.0), "n2": (9.0, 0.0)}
    assert draw(topology, Failure.at(), positions=places).startswith(b"\x89PNG")
    with pytest.raises(InvalidInput, match="n2 among them"):
        draw(topology, Failure.at(), positions={"n0": (0, 0), "n1": (1, 1)})
    with pytest.raises(InvalidInput, match="not finite"):
        draw(topology, Failure.at(), positions={**places, "n2": (float("nan"), 0)})


def test_ids_with_the_separator_are_told_apart() -> None:
    """Link names of odd ids are still found."""
    ring = [(i, (i + 1) % 5) for i in range(5)]
    topology = Topology.of(["a--b", "a", "b--a", "c", "b"], ring)
    conditions = Conditions(traffic=Traffic(uniform=1.0), capacity=np.full(5, 7.0))
    assert "newly overloaded (4)" in drawn(topology, Failure.at((), [0]), conditions)
