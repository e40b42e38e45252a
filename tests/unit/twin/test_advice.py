"""Advised links against trying every one, with networkx."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from actors.topology import radio
from actors.topology.model import Topology
from actors.twin.advice import advise, reconnect, separated_pairs
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from actors.twin.limits import MAX_LINKS
from actors.twin.spans import Spans
from tests.unit.twin.meshes import World, connected_pairs, failures, worlds

if TYPE_CHECKING:
    from actors.twin.results import NodesAndClients


def apart(graph: nx.Graph) -> int:
    n = len(graph)
    return n * (n - 1) // 2 - connected_pairs(graph)


def summed(graph: nx.Graph, world: World) -> int:
    """Pairs apart as it is and under every failure of one of its nodes and of the world's links.

    Where several links join a pair, the failure of one of them takes nothing out.
    """
    parallel = world.topology.parallel
    total = apart(graph) * (1 + int((parallel > 1).sum()))
    for node in graph:
        after = graph.copy()
        after.remove_node(node)
        total += apart(after)
    for ends in world.topology.ends[parallel == 1].tolist():
        after = graph.copy()
        after.remove_edge(*ends)
        total += apart(after)
    return total


def with_link(graph: nx.Graph, a: int, b: int) -> nx.Graph:
    after = graph.copy()
    after.add_edge(a, b)
    return after


def summed_offline(graph: nx.Graph, world: World) -> NodesAndClients:
    """Who has no gateway, over the mesh as it is and all single failures of what it was."""
    cases = [graph]
    for node in graph:
        cases.append(after := graph.copy())
        after.remove_node(node)
    for a, b in world.graph.edges:
        cases.append(after := graph.copy())
        if frozenset((a, b)) in world.single_pairs:
            after.remove_edge(a, b)
    return world.people(node for case in cases for node in world.without_gateway(case))


@given(world=worlds(max_nodes=8), k=st.integers(1, 3))
def test_no_link_is_better(world: World, k: int) -> None:
    """Each advised link spares just what trying it spares, and no other would spare more."""
    topology = world.topology
    graph = world.graph
    internet = Internet.of(topology)
    found = advise(Intact(topology), k, internet=internet)
    assert found.offline == (summed_offline(graph, world) if internet is not None else None)
    now = summed(graph, world)
    assert found.separated_pairs == separated_pairs(Intact(topology)) == now
    for number in range(k):
        tried = {
            (a, b): now - summed(with_link(graph, a, b), world) for a, b in nx.non_edges(graph)
        }
        best = max(tried.values(), default=0)
        if number == len(found.links):
            assert best <= 0
            assert found.reason
            return
        link = found.links[number]
        a, b = topology.index_of(link.a), topology.index_of(link.b)
        assert link.removes == best == tried.get((a, b), tried.get((b, a)))
        connected = nx.has_path(graph, a, b)
        assert link.hops == (nx.shortest_path_length(graph, a, b) if connected else None)
        assert 1 <= link.alternatives <= sum(gain == best for gain in tried.values())
        graph = with_link(graph, a, b)
        now -= best
        assert link.remaining == now
        assert link.offline == (summed_offline(graph, world) if internet is not None else None)
        assert link.spof_nodes_after == len(set(nx.articulation_points(graph)))
        several = {frozenset(ends) for ends in topology.ends[topology.parallel > 1].tolist()}
        assert link.bridges_after == len({*map(frozenset, nx.bridges(graph))} - several)
    assert not found.reason


@given(st.data())
def test_reconnecting_after_a_failure(data: st.DataObject) -> None:
    """The link for one failure gives back as many of its lost pairs as any would."""
    world = data.draw(worlds(max_nodes=8))
    failure = data.draw(failures(world.topology))
    after = world.failed(failure)
    internet = Internet.of(world.topology)
    found = reconnect(Intact(world.topology), failure, internet=internet)
    if internet is not None:
        assert found.offline == world.people(world.offline(after))
    assert found.separated_pairs == impact(Intact(world.topology), failure).pairs_lost
    before = {frozenset(pair) for pair in combinations(after, 2) if nx.has_path(world.graph, *pair)}

    def lost(graph: nx.Graph) -> int:
        return sum(not nx.has_path(graph, *pair) for pair in before)

    now = lost(after)
    tried = {frozenset(ends): now - lost(with_link(after, *ends)) for ends in nx.non_edges(after)}
    if not found.links:
        assert now == 0
        assert found.reason
        return
    (link,) = found.links
    ends = frozenset((world.topology.index_of(link.a), world.topology.index_of(link.b)))
    assert link.removes == tried[ends] == max(tried.values())
    assert link.remaining == now - link.removes
    if internet is not None:
        assert link.offline == world.people(world.offline(with_link(after, *ends)))


def test_all_parts_can_be_reconnected() -> None:
    """A hub's leaves are joined one after the other until nothing is lost."""
    star = Topology.of([f"n{i}" for i in range(5)], [(0, i) for i in range(1, 5)])
    found = reconnect(Intact(star), Failure.at([0]), 10)
    assert [link.removes for link in found.links] == [1, 2, 3]
    assert found.links[-1].remaining == 0
    assert found.reason


def test_a_large_star_is_closed_quickly() -> None:
    """20,000 equal leaves are no 200 million pairs to try."""
    n = 20_001
    star = Topology.of([f"n{i}" for i in range(n)], [(0, i) for i in range(1, n)])
    (link,) = advise(Intact(star)).links
    # The two leaves stay together when the hub fails, and either's link may fail.
    assert link.removes == 1 + 2 * (n - 1)
    assert link.alternatives == 1
    assert link.hops == 2


def test_a_ring_needs_nothing() -> None:
    """Where no single failure separates anything there is no advice, and it says so."""
    ring = Topology.of([f"n{i}" for i in range(6)], [(i, (i + 1) % 6) for i in range(6)])
    found = advise(Intact(ring), 2)
    assert (found.separated_pairs, found.links) == (0, [])
    assert found.reason
    assert advise(Intact(Topology.of([]))).links == []


@pytest.mark.parametrize("k", [0, MAX_LINKS + 1])
def test_an_impossible_number_of_links_is_refused(k: int) -> None:
    """Between one link and as many as an answer may hold."""
    mesh = Intact(radio.generate(5))
    with pytest.raises(InvalidInput):
        advise(mesh, k)
    with pytest.raises(InvalidInput):
        reconnect(mesh, Failure.at(), k)


def test_a_shattered_mesh_is_reconnected_quickly() -> None:
    """20,000 lost leaves are no 200 million pairs to look at."""
    n = 20_001
    star = Topology.of([f"n{i}" for i in range(n)], [(0, i) for i in range(1, n)])
    found = reconnect(Intact(star), Failure.at([0]), 2)
    assert found.separated_pairs == (n - 1) * (n - 2) // 2
    assert [link.removes for link in found.links] == [1, 2]


@st.composite
def placed(draw: st.DrawFn) -> World:
    """A mesh on a line of latitude, some nodes without a place, some links tunnels."""
    world = draw(worlds(max_nodes=8))
    topology = world.topology
    n, m = topology.n_nodes, topology.n_links
    degrees = draw(
        st.lists(st.sampled_from([0.0, 0.01, 0.02, 0.05, np.nan]), min_size=n, max_size=n)
    )
    location = np.stack([np.zeros(n), np.array(degrees)], axis=1)
    kind = np.array(draw(st.lists(st.integers(0, 2), min_size=m, max_size=m)), np.int8)
    table = replace(topology.nodes, location=location)
    return World(replace(topology, nodes=table, kind=kind), world.graph)


def allowed(world: World, max_km: float, *, anywhere: bool) -> set[frozenset[int]]:
    """The pairs that a link may join, by trying each."""
    topology = world.topology
    place = topology.nodes.location[:, 1].tolist()
    somewhere = any(not math.isnan(one) for one in place)
    tunnels = {
        v
        for v in world.graph
        if world.graph.degree[v]
        and all(topology.kind[topology.directed_link(v, w) >> 1] == 1 for w in world.graph[v])
    }

    def may(v: int) -> bool:
        return anywhere or (v not in tunnels and not (somewhere and math.isnan(place[v])))

    return {
        frozenset((a, b))
        for a, b in combinations(range(topology.n_nodes), 2)
        if may(a) and may(b) and not abs(place[a] - place[b]) * math.radians(1) * 6371.0088 > max_km
    }


@given(placed(), st.sampled_from([1.0, 1.2, 3.0, 100.0]), st.booleans())
def test_no_link_within_reach_is_better(world: World, max_km: float, anywhere: bool) -> None:  # noqa: FBT001 - drawn
    """Of the links that may be added, the best is found, with its length, and no other."""
    topology, graph = world.topology, world.graph
    spans = Spans.of(topology, max_km, anywhere=anywhere)
    found = advise(Intact(topology), 1, spans)
    now = summed(graph, world)
    tried = {
        ends: now - summed(with_link(graph, *ends), world)
        for ends in allowed(world, max_km, anywhere=anywhere)
        if not graph.has_edge(*ends)
    }
    best = max(tried.values(), default=0)
    if not found.links:
        assert best == 0
        assert found.reason
        return
    (link,) = found.links
    ends = frozenset((topology.index_of(link.a), topology.index_of(link.b)))
    assert link.removes == best == tried[ends]
    assert link.alternatives == sum(gain == best for gain in tried.values())
    a, b = (topology.nodes.location[v, 1] for v in ends)
    km = abs(a - b) * math.radians(1) * 6371.0088
    assert link.km == (None if math.isnan(km) else pytest.approx(km, abs=0.001))


@given(st.data())
def test_rejoining_within_reach(data: st.DataObject) -> None:
    """For one failure, too, only links that may be added are, and the best of them."""
    world = data.draw(placed())
    topology = world.topology
    failure = data.draw(failures(topology))
    found = reconnect(Intact(topology), failure, 1, Spans.of(topology, 1.2))
    after = world.failed(failure)
    before = {frozenset(pair) for pair in combinations(after, 2) if nx.has_path(world.graph, *pair)}

    def lost(graph: nx.Graph) -> int:
        return sum(not nx.has_path(graph, *pair) for pair in before)

    now = lost(after)
    tried = {
        ends: now - lost(with_link(after, *ends))
        for ends in allowed(world, 1.2, anywhere=False)
        if ends in before
    }
    best = max(tried.values(), default=0)
    assert [link.removes for link in found.links] == ([best] if best else [])


def test_who_is_left_out_is_said() -> None:
    """A server that only tunnels lead to and a node without a place; asked for, both are in."""
    star = Topology.of(
        "abcdes", [(0, 5), (1, 5), (2, 5), (0, 2), (1, 3), (2, 4)], 1.0, [1, 1, 1, 0, 0, 0]
    )
    location = np.array([[0, 0], [0, 0.02], [0, 0.04], [0, 1.9], [np.nan, np.nan], [0, 0.01]])
    mesh = replace(star, nodes=replace(star.nodes, location=location))
    found = advise(Intact(mesh), 9, Spans.of(mesh, 10.0))
    assert (found.tunnel_ends, found.unplaced, found.placed, found.max_km) == (1, 1, 5, 10.0)
    assert {(one.a, one.b) for one in found.links} <= {("a", "b"), ("b", "c"), ("a", "c")}
    assert all(one.km is not None and one.km < 10 for one in found.links)
    everybody = advise(Intact(mesh), 9, Spans.of(mesh, 1000.0, anywhere=True))
    assert (everybody.tunnel_ends, everybody.unplaced) == (0, 0)
    assert {"d", "e"} <= {end for one in everybody.links for end in (one.a, one.b)}
