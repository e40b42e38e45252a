"""Every field of an impact, against taking the failed set out of the graph with networkx."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from actors.topology.bound import convergence_bound_s, detection_bound_s
from actors.topology.errors import TopologyError, UnknownNode
from actors.topology.model import Topology
from actors.twin import intact as intact_module
from actors.twin.conditions import Conditions, Traffic, capacities
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from tests.unit.twin import oracle
from tests.unit.twin.meshes import (
    World,
    bridges_of,
    connected_before,
    connected_pairs,
    failures,
    worlds,
)

if TYPE_CHECKING:
    from actors.twin.loss import Routes
    from actors.twin.results import PairImpact

RETRIES = 2


def names(world: World, nodes: object) -> set[str]:
    return {world.topology.ids[node] for node in nodes}


def line(n: int, quality: float = 1.0) -> Topology:
    return Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)], quality)


@given(st.data())
def test_counts_and_members(data: st.DataObject) -> None:
    """Links, pairs, components with members, isolated and cut nodes are those of the graph."""
    world = data.draw(worlds())
    failure = data.draw(failures(world.topology))
    after = world.failed(failure)
    found = impact(Intact(world.topology), failure)
    before = connected_before(world, after)
    assert (found.nodes, found.links) == (len(world.graph), world.graph.number_of_edges())
    assert found.links_affected == world.graph.number_of_edges() - after.number_of_edges()
    assert found.surviving_nodes == len(after)
    assert found.pairs == len(after) * (len(after) - 1) // 2
    assert found.pairs_connected_before == before
    assert found.pairs_connected_after == connected_pairs(after)
    assert found.pairs_lost == before - connected_pairs(after)
    kept = all(
        nx.has_path(after, a, b)
        for a, b in permutations(after, 2)
        if nx.has_path(world.graph, a, b)
    )
    assert found.connectivity_maintained == kept
    assert {frozenset(part.nodes) for part in found.components} == {
        frozenset(names(world, part)) for part in nx.connected_components(after)
    }
    sizes = [part.size for part in found.components]
    assert sizes == sorted((len(part.nodes) for part in found.components), reverse=True)
    assert found.components_before == nx.number_connected_components(world.graph)
    isolated = set(nx.isolates(after))
    assert set(found.isolated_nodes) == names(world, isolated)
    assert set(found.newly_isolated_nodes) == names(world, isolated - set(nx.isolates(world.graph)))
    assert set(found.spof_nodes) == names(world, nx.articulation_points(after))
    bridges = {frozenset(names(world, ends)) for ends in bridges_of(world.topology, after)}
    assert {frozenset(link.split("--")) for link in found.bridges} == bridges
    assert set(found.failed_nodes) == names(world, failure.nodes.tolist())
    assert len(found.failed_links) == len(failure.links)
    parallel = world.topology.parallel
    assert found.parallel_links == {
        world.topology.link_name(e): parallel[e] for e in failure.links if parallel[e] > 1
    }


@given(st.data())
def test_who_loses_every_gateway(data: st.DataObject) -> None:
    """Survivors cut off from the internet, their clients, and which parts have a gateway."""
    world = data.draw(worlds())
    topology = world.topology
    failure = data.draw(failures(topology))
    internet = Internet.of(topology)
    found = impact(Intact(topology), failure, internet=internet)
    known = world.clients(failure.nodes.tolist())
    assert (found.failing.nodes, found.failing.clients_known) == (len(failure.nodes), len(known))
    assert (found.failing.clients or 0) == sum(known)
    if internet is None:
        assert found.cut_off is None
        assert {part.reaches_gateway for part in found.components} <= {None}
        return
    after = world.failed(failure)
    offline = world.offline(after)
    assert found.cut_off is not None
    assert found.cut_off.nodes == len(offline)
    assert found.cut_off.clients_known == len(world.clients(offline))
    assert (found.cut_off.clients or 0) == sum(world.clients(offline))
    assert (found.cut_off.clients is None) == bool(offline and not world.clients(offline))
    gateways = names(world, np.flatnonzero(topology.nodes.gateway).tolist())
    for part in found.components:
        assert part.reaches_gateway == bool(gateways & set(part.nodes))


@dataclass(frozen=True)
class Routed:
    """A drawn mesh, what fails in it, and its graphs with costs, before and after."""

    world: World
    failure: Failure
    graph: nx.Graph
    after: nx.Graph

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return list(permutations(self.world.topology.ids, 2))

    def ends(self, one: PairImpact) -> tuple[int, int]:
        topology = self.world.topology
        return topology.index_of(one.source), topology.index_of(one.destination)


@st.composite
def routed(draw: st.DrawFn) -> Routed:
    world = draw(worlds())
    failure = draw(failures(world.topology))
    graph, left = oracle.weighted(world), world.failed(failure)
    after = graph.edge_subgraph(left.edges).copy()
    after.add_nodes_from(left)
    return Routed(world, failure, graph, after)


def _connected(paths: list[oracle.Path]) -> set[tuple[bool, int | None]]:
    """Whether there is a path, and of how many hops: what may be said where there are several."""
    return {(True, len(path) - 1) for path in paths} or {(False, None)}


@given(routed())
def test_what_becomes_of_each_pair(case: Routed) -> None:
    """Routes are cheapest paths, and losses those of old, broken and new paths."""
    topology = case.world.topology
    found = impact(Intact(topology, Conditions(retries=RETRIES)), case.failure, case.pairs)
    assert [(one.source, one.destination) for one in found.pair_impacts] == case.pairs
    for one in found.pair_impacts:
        a, b = case.ends(one)
        old, new = oracle.paths(case.graph, a, b), oracle.paths(case.after, a, b)
        assert (one.connected_before, one.hops_before) in _connected(old)
        before = [
            (oracle.loss(topology, path, RETRIES), oracle.loss(topology, path, RETRIES, case.after))
            for path in old
        ] or [(1.0, 1.0)]
        if a not in case.after or b not in case.after:
            fates = one.connected_after, one.loss_during, one.loss_after, one.hops_after
            assert fates == (None, None, None, None)
            assert any(one.loss_before == pytest.approx(loss) for loss, _ in before)
            continue
        losses = one.loss_before, one.loss_during
        assert any(losses == pytest.approx(both) for both in before)
        assert (one.connected_after, one.hops_after) in _connected(new)
        after = [oracle.loss(topology, path, RETRIES) for path in new] or [1.0]
        assert any(one.loss_after == pytest.approx(loss) for loss in after)


@given(st.data())
def test_mean_losses(data: st.DataObject) -> None:
    """Means are over ordered pairs of survivors, weighted by traffic where there is some."""
    case = data.draw(routed())
    topology = case.world.topology
    flows = data.draw(st.none() | flow_lists(topology))
    traffic = None if flows is None else Traffic.named(topology, flows)
    found = impact(Intact(topology, Conditions(traffic=traffic)), case.failure, case.pairs)
    weight = dict.fromkeys(case.pairs, 1.0 if flows is None else 0.0)
    for a, b, rate in flows or ():
        weight[a, b] += rate
    counted = [
        (weight[one.source, one.destination], one.loss_before, one.loss_during, one.loss_after)
        for one in found.pair_impacts
        if weight[one.source, one.destination] and one.loss_after is not None
    ]
    if not counted:
        assert found.loss is None
        return
    assert found.loss is not None
    weights, *losses = np.array(counted).T
    means = [np.average(each, weights=weights) for each in losses]
    assert [found.loss.before, found.loss.during, found.loss.after] == pytest.approx(means)
    assert found.loss.traffic_weighted == (traffic is not None)
    assert (found.loss.pairs, found.loss.sampled) == (len(counted), False)


@given(st.data())
def test_what_nobody_measured_is_not_known(data: st.DataObject) -> None:
    """A loss is told just when the route is measured throughout; the others are counted."""
    case = data.draw(routed())
    topology = case.world.topology
    flags = st.lists(st.booleans(), min_size=2 * topology.n_links, max_size=2 * topology.n_links)
    measured = np.array(data.draw(flags)).reshape(-1, 2)
    assumed = replace(topology, measured=measured)
    intact = Intact(assumed)
    found = impact(intact, case.failure, case.pairs)
    before = impact(Intact(topology), case.failure, case.pairs)
    routes = intact.routes, intact.routes.after(case.failure.survivors(assumed))
    known = []
    for one, told in zip(found.pair_impacts, before.pair_impacts, strict=True):
        old, new = (rests_on_an_assumption(each, *case.ends(one)) for each in routes)
        alive = told.loss_after is not None
        losses = told.loss_before, told.loss_during, told.loss_after
        hidden = [
            None if each else loss for each, loss in zip((old, old, new), losses, strict=True)
        ]
        assert [one.loss_before, one.loss_during, one.loss_after] == hidden
        connected = one.connected_before, one.connected_after
        assert connected == (told.connected_before, told.connected_after)
        assert one.loss_unknown == (old or (alive and new))
        known += [not one.loss_unknown] if alive else []
    assert found.loss_unknown_pairs == known.count(False)
    # Of so few pairs, one is more than may be left out of a mean.
    assert found.loss == (before.loss if all(known) else None)


def rests_on_an_assumption(routes: Routes, a: int, b: int) -> bool:
    """Whether the route leads over a direction that nobody measured, by walking it."""
    topology = routes.topology
    row = int(np.flatnonzero(routes.trees.destinations == b)[0])
    while (link := int(routes.trees.next_link[row, a])) >= 0:
        if not topology.measured[link >> 1, link & 1]:
            return True
        a = int(topology.link_target[link])
    return False


@given(routed())
def test_stretch(case: Routed) -> None:
    """Ratios of cost and hops are over ordered pairs connected before and after."""
    found = impact(Intact(case.world.topology), case.failure, case.pairs)
    cost, hops = [], []
    for one in found.pair_impacts:
        if not (one.connected_before and one.connected_after):
            continue
        lengths = [
            nx.shortest_path_length(graph, *case.ends(one), "cost")
            for graph in (case.graph, case.after)
        ]
        cost.append(lengths[1] / lengths[0])
        hops.append(one.hops_after / one.hops_before)
    figures = found.stretch.cost_mean, found.stretch.cost_max
    figures += found.stretch.hops_mean, found.stretch.hops_max
    if not cost:
        assert figures == (None, None, None, None)
        return
    assert figures == pytest.approx((np.mean(cost), max(cost), np.mean(hops), max(hops)))
    assert found.stretch.longer_pairs == sum(ratio > 1 for ratio in cost)


@st.composite
def flow_lists(draw: st.DrawFn, topology: Topology) -> list[tuple[str, str, float]]:
    names = st.sampled_from(topology.ids)
    ends = st.tuples(names, names).filter(lambda pair: pair[0] != pair[1])
    rates = st.floats(0.1, 10)
    return [
        (a, b, draw(rates)) for a, b in draw(st.lists(ends, min_size=1, max_size=6, unique=True))
    ]


@given(st.data())
def test_newly_overloaded_links(data: st.DataObject) -> None:
    """Links are overloaded just when the flows routed over them say so, and were not before."""
    world = data.draw(worlds())
    topology = world.topology
    failure = data.draw(failures(topology))
    flows = data.draw(flow_lists(topology))
    traffic = Traffic.named(topology, flows)
    capacity = np.array(
        data.draw(
            st.lists(st.floats(0.5, 20), min_size=topology.n_links, max_size=topology.n_links)
        )
    )
    intact = Intact(topology, Conditions(traffic=traffic, capacity=capacity))
    found = impact(intact, failure)
    alive = world.failed(failure)
    left = failure.survivors(topology)

    def loads(routes: Routes, graph: nx.Graph) -> np.ndarray:
        load = np.zeros(topology.n_links)
        for a, b, rate in flows:
            source, destination = topology.index_of(a), topology.index_of(b)
            if source not in graph or destination not in graph:
                continue
            row = int(np.flatnonzero(routes.trees.destinations == destination)[0])
            if not routes.routed[row, source]:
                continue
            while source != destination:
                link = int(routes.trees.next_link[row, source])
                load[link >> 1] += rate
                source = int(topology.link_target[link])
        return load

    before = loads(intact.routes, world.graph)
    after = loads(intact.routes.after(left), alive)
    assert intact.load == pytest.approx(before)
    expected = {
        topology.link_name(link): (before[link], after[link], capacity[link])
        for link in np.flatnonzero((after > capacity) & (before <= capacity)).tolist()
    }
    assert found.newly_overloaded is not None
    assert {
        one.link: pytest.approx((one.before, one.after, one.capacity))
        for one in found.newly_overloaded
    } == expected


@given(st.data())
def test_recovery_follows_the_routers_bound(data: st.DataObject) -> None:
    """Times grow from Hello and the survivors' diameter, and are none when nobody can notice."""
    world = data.draw(worlds())
    failure = data.draw(failures(world.topology))
    hello_s = data.draw(st.floats(0.05, 60))
    after = world.failed(failure)
    found = impact(Intact(world.topology, Conditions(hello_s=hello_s)), failure).recovery
    diameter = max(
        (nx.diameter(after.subgraph(part)) for part in nx.connected_components(after)), default=0
    )
    assert found.diameter_after == diameter
    lost = set(map(frozenset, world.graph.edges)) - set(map(frozenset, after.edges))
    if any(node in after for ends in lost for node in ends):
        assert found.detection_bound_s == detection_bound_s(hello_s)
        assert found.convergence_bound_s == convergence_bound_s(hello_s, diameter)
        assert 2.5 * hello_s < found.mttd_s < found.detection_bound_s
        assert found.mttd_s < found.mttr_s < found.convergence_bound_s
    else:
        assert found.mttd_s is found.mttr_s is None
        assert found.detection_bound_s is found.convergence_bound_s is None


def test_self_loops_are_refused() -> None:
    """A node is no neighbour of itself: the topology says so before the twin is asked."""
    with pytest.raises(TopologyError, match="to itself"):
        Topology.of(["a", "b"], [(0, 1), (1, 1)])


def test_nothing_fails() -> None:
    """The empty set costs nothing."""
    found = impact(Intact(line(4, 0.9)), Failure.at())
    assert (found.links_affected, found.pairs_lost, found.connectivity_maintained) == (0, 0, True)
    assert found.loss is not None
    assert found.loss.before == found.loss.during == found.loss.after > 0
    assert found.recovery.mttd_s is None
    assert found.stretch.cost_max == 1.0


def test_everything_fails() -> None:
    """When nothing survives there is nobody left to lose anybody."""
    found = impact(Intact(line(4)), Failure.at(range(4), range(3)), [("n0", "n3")])
    assert (found.links_affected, found.surviving_nodes, found.pairs, found.pairs_lost) == (
        3,
        0,
        0,
        0,
    )
    assert (found.components, found.loss, found.connectivity_maintained) == ([], None, True)
    assert found.pair_impacts[0].loss_after is None


def test_a_mesh_without_nodes() -> None:
    """Even that has an answer."""
    found = impact(Intact(Topology.of([])), Failure.at())
    assert (found.nodes, found.pairs_lost, found.components, found.loss) == (0, 0, [], None)


def test_both_sides_of_a_split_are_listed() -> None:
    """The middle of a line leaves two sides, with their members."""
    found = impact(Intact(line(5)), Failure.named(line(5), ["n2"]))
    assert [part.nodes for part in found.components] == [["n0", "n1"], ["n3", "n4"]]
    assert found.links_affected == 2
    assert found.pairs_lost == 4


def test_unknown_names_are_explained() -> None:
    """Unknown nodes and links that do not exist are typed errors with a remedy."""
    mesh = line(3)
    with pytest.raises(UnknownNode, match="Did you mean n1"):
        Failure.named(mesh, ["n1x"])
    with pytest.raises(InvalidInput, match="not neighbours"):
        Failure.named(mesh, links=[("n0", "n2")])
    with pytest.raises(UnknownNode):
        impact(Intact(mesh), Failure.at(), [("n0", "nowhere")])


def test_repeated_names_count_once() -> None:
    """Naming a node or link twice, or a link from either end, is naming it once."""
    mesh = line(3)
    failure = Failure.named(mesh, ["n1", "n1"], [("n0", "n1"), ("n1", "n0")])
    assert failure.names(mesh) == ["n1", "n0--n1"]
    assert impact(Intact(mesh), failure).links_affected == 2


def test_results_are_json() -> None:
    """Every value survives JSON unchanged."""
    conditions = Conditions(
        traffic=Traffic(uniform=1.0), capacity=capacities(line(4), 3.5, {("n0", "n1"): 9.0})
    )
    found = impact(Intact(line(4), conditions), Failure.at([1]), [("n0", "n3")]).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_mesh_too_large_for_all_routes_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then losses are over some destinations, and the answer says so."""
    monkeypatch.setattr(intact_module, "MAX_CELLS", 99)
    monkeypatch.setattr(intact_module, "SAMPLE_CELLS", 40)
    conditions = Conditions(traffic=Traffic(uniform=1.0), capacity=np.full(9, 1.0))
    found = impact(Intact(line(10), conditions), Failure.at([0]))
    assert found.loss is not None
    assert found.loss.sampled
    assert found.loss.pairs in {4 * 8, 3 * 8}  # four destinations, of which node 0 may be one
    assert found.newly_overloaded is None


@pytest.mark.parametrize(
    "conditions",
    [
        lambda: Conditions(hello_s=0),
        lambda: Conditions(hello_s=float("nan")),
        lambda: Conditions(retries=-1),
        lambda: Conditions(capacity=np.array([0.0])),
        lambda: Traffic(uniform=-1.0),
        Traffic,
        lambda: Traffic.named(line(2), [("n0", "n0", 1.0)]),
        lambda: Traffic.named(line(2), [("n0", "n1", 0.0)]),
        lambda: Traffic.named(line(2), [("n0", "n1", float("inf"))]),
        lambda: Intact(line(3), Conditions(capacity=np.array([1.0]))),
    ],
)
def test_impossible_conditions_are_refused(conditions: object) -> None:
    """What cannot be is refused before anything is computed."""
    with pytest.raises(InvalidInput):
        conditions()
