"""The route between two nodes, hop by hop."""

from __future__ import annotations

import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import route
from actors.topology.etx import etx_costs
from actors.topology.model import Topology

# a - b - c over a tunnel and a radio link, and a direct radio link that is bad one way.
WORLD = Topology.of(
    "abcd", [(0, 1), (1, 2), (0, 2)], [[1.0, 1.0], [0.5, 0.8], [0.9, 0.1]], [1, 0, 0]
)


def test_a_route_says_hops_etx_loss_and_vpn() -> None:
    """Loss is that of datagrams in the direction of travel, four tries a hop."""
    there = route.best(WORLD, 0, 2)
    assert there is not None
    assert there.path == ("a", "b", "c")
    assert [(hop.a, hop.b, hop.kind) for hop in there.hops] == [
        ("a", "b", "vpn"),
        ("b", "c", "wifi"),
    ]
    assert there.etx == pytest.approx(1.0 + 2.5)
    assert there.loss == pytest.approx(0.5**4)
    assert (there.vpn, there.unmeasured) == (True, 0)
    back = route.best(WORLD, 2, 0)
    assert back is not None
    assert back.loss == pytest.approx(0.2**4)


def test_what_rests_on_an_unmeasured_link_is_not_told() -> None:
    """Loss needs the direction of travel, ETX both; the way itself is found all the same."""
    measured = np.array([[True, True], [True, False], [True, True]])
    world = replace(WORLD, measured=measured)
    there, back = route.best(world, 0, 2), route.best(world, 2, 0)
    assert there is not None
    assert back is not None
    assert (there.loss, there.etx, there.unmeasured) == (pytest.approx(0.5**4), None, 0)
    assert (back.loss, back.etx, back.unmeasured) == (None, None, 1)
    assert back.hops[0].quality is None


def test_no_way_and_no_distance() -> None:
    """None where no path leads; a node reaches itself over no hop, without loss."""
    assert route.best(WORLD, 0, 3) is None
    here = route.best(WORLD, 3, 3)
    assert here is not None
    assert (here.path, here.hops, here.etx, here.loss, here.vpn) == (("d",), (), 0.0, 0.0, False)
    with pytest.raises(ValueError, match="no path"):
        route.along(WORLD, [0, 3])


@st.composite
def worlds(draw: st.DrawFn) -> Topology:
    n = draw(st.integers(2, 7))
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    links = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    quality = draw(
        st.lists(st.tuples(*[st.sampled_from([1.0, 0.8, 0.5])] * 2), min_size=len(links))
    )
    return Topology.of([f"n{i}" for i in range(n)], links, quality[: len(links)])


@given(worlds(), st.data())
def test_the_best_route_is_the_cheapest(world: Topology, data: st.DataObject) -> None:
    """As networkx finds it, over the mesh's own costs."""
    graph = nx.Graph()
    graph.add_nodes_from(range(world.n_nodes))
    for (a, b), cost in zip(world.ends.tolist(), etx_costs(world)[::2].tolist(), strict=True):
        graph.add_edge(a, b, weight=cost)
    a, b = (data.draw(st.integers(0, world.n_nodes - 1)) for _ in "ab")
    found = route.best(world, a, b)
    if not nx.has_path(graph, a, b):
        assert found is None
        return
    assert found is not None
    path = [world.index_of(node) for node in found.path]
    assert (path[0], path[-1]) == (a, b)
    cheapest = nx.shortest_path_length(graph, a, b, weight="weight")
    assert nx.path_weight(graph, path, "weight") == cheapest
    assert found.etx is not None
    assert math.isclose(found.etx * 256, cheapest, abs_tol=len(path))
