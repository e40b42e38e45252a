"""Single failures and pairs of them, ranked, against taking each out of the graph."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from actors.topology import radio
from actors.topology.model import Topology
from actors.twin import single
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from actors.twin.limits import MAX_PAIRS, RANKS
from actors.twin.results import NodesAndClients
from actors.twin.single import node_connectivity, single_failures, worst_pairs
from tests.unit.twin.meshes import World, connected_before, connected_pairs, worlds


def lost(world: World, failure: Failure) -> int:
    after = world.failed(failure)
    return connected_before(world, after) - connected_pairs(after)


def of_graph(graph: nx.Graph) -> Topology:
    numbered = nx.convert_node_labels_to_integers(graph)
    return Topology.of([f"n{i}" for i in numbered], list(numbered.edges))


def offline(world: World, failure: Failure) -> NodesAndClients:
    """Who loses every gateway, by taking the failed set out of the graph."""
    nodes = world.offline(world.failed(failure))
    known = world.clients(nodes)
    return NodesAndClients(len(nodes), sum(known) if known or not nodes else None, len(known))


@given(worlds())
def test_ranking(world: World) -> None:
    """Cut nodes and bridges are networkx's, with what each costs, costliest first."""
    found = single_failures(Intact(world.topology))
    ids = world.topology.ids
    assert {one.node for one in found.spof_nodes} == {
        ids[node] for node in nx.articulation_points(world.graph)
    }
    for one in found.spof_nodes:
        failure = Failure.named(world.topology, [one.node])
        assert one.pairs_lost == lost(world, failure)
        before = connected_before(world, world.failed(failure))
        assert one.share == pytest.approx(one.pairs_lost / before)
        assert one.degree == world.graph.degree[world.topology.index_of(one.node)]
    assert {frozenset(one.link.split("--")) for one in found.bridges} == {
        frozenset(ids[v] for v in ends) for ends in world.single_bridges
    }
    for one in found.bridges:
        a, b = one.link.split("--")
        assert one.pairs_lost == lost(world, Failure.named(world.topology, links=[(a, b)]))
    for ranked in (found.spof_nodes, found.bridges):
        costs = [one.pairs_lost for one in ranked]
        assert costs == sorted(costs, reverse=True)
    assert found.pairs_connected == connected_pairs(world.graph)
    assert found.node_connectivity == nx.node_connectivity(world.graph)


def costs_alone(world: World) -> dict[str, tuple[NodesAndClients, int]]:
    """What each node and each single link costs others, by taking it out of the graph."""
    topology = world.topology
    alone = [Failure.at([v]) for v in range(topology.n_nodes)]
    alone += [Failure.at((), [e]) for e in np.flatnonzero(topology.parallel == 1).tolist()]
    costs = {one.names(topology)[0]: (offline(world, one), lost(world, one)) for one in alone}
    return {name: cost for name, cost in costs.items() if cost != (NodesAndClients(0, 0, 0), 0)}


@given(worlds())
def test_who_loses_every_gateway(world: World) -> None:
    """Every node and link that costs somebody the internet or a pair is there, and no other."""
    topology = world.topology
    internet = Internet.of(topology)
    found = single_failures(Intact(topology), internet)
    both = {one.node: one for one in found.spof_nodes} | {one.link: one for one in found.bridges}
    if internet is None:
        assert {one.cut_off for one in both.values()} <= {None}
    else:
        costs = {name: (one.cut_off, one.pairs_lost) for name, one in both.items()}
        assert costs == costs_alone(world)


@given(worlds(), st.sampled_from(RANKS))
def test_ranked_by_people(world: World, rank_by: str) -> None:
    """The costliest first, by what is asked for; what is not known is not ranked by."""
    topology = world.topology
    internet = Internet.of(topology)
    unknown = {"nodes", "clients"} if internet is None else set()
    if (topology.nodes.clients < 0).all():
        unknown |= {"clients"}
    if rank_by in unknown:
        with pytest.raises(InvalidInput, match=f"cannot rank by {rank_by}"):
            single_failures(Intact(topology), internet, rank_by)
        return
    found = single_failures(Intact(topology), internet, rank_by)
    assert found.ranked_by == rank_by
    figure = {
        "pairs": lambda one: one.pairs_lost,
        "nodes": lambda one: one.cut_off.nodes,
        "clients": lambda one: one.cut_off.clients or 0,
    }[rank_by]
    for ranked in (found.spof_nodes, found.bridges):
        costs = [figure(one) for one in ranked]
        assert costs == sorted(costs, reverse=True)


@given(worlds())
def test_who_reaches_the_internet_while_nothing_has_failed(world: World) -> None:
    """The nodes of components with a gateway; those named by the asker replace the map's."""
    topology = world.topology
    named = [topology.ids[0]]
    for internet, gateways in (
        (Internet.of(topology), set(np.flatnonzero(topology.nodes.gateway).tolist())),
        (Internet.of(topology, named), {0}),
    ):
        if internet is None:
            assert not gateways
            continue
        reaching = {
            v for part in nx.connected_components(world.graph) if part & gateways for v in part
        }
        assert internet.access.gateways == [topology.ids[v] for v in sorted(gateways)]
        assert internet.access.reaching.nodes == len(reaching)
        assert internet.access.reaching.clients_known == len(world.clients(reaching))
        assert (internet.access.reaching.clients or 0) == sum(world.clients(reaching))
    assert Internet.of(topology, []) is None


def test_ranks_by_people_where_they_are_known() -> None:
    """By clients before nodes before pairs, whichever is the first that is known."""
    mesh = Topology.of("abc", [(0, 1), (1, 2)])
    assert single_failures(Intact(mesh)).ranked_by == "pairs"
    given = Internet.of(mesh, ["a"])
    found = single_failures(Intact(mesh), given)
    assert found.ranked_by == "nodes"
    assert [(one.node, one.cut_off) for one in found.spof_nodes] == [
        ("a", NodesAndClients(2, None, 0)),
        ("b", NodesAndClients(1, None, 0)),
    ]
    table = replace(mesh.nodes, clients=np.array([0, 0, 4], np.int32))
    people = replace(mesh, nodes=table)
    assert single_failures(Intact(people), Internet.of(people, ["a"])).ranked_by == "clients"


def test_a_pair_of_links_is_no_bridge() -> None:
    """Cable and radio between the same two: neither parts them, both together do."""
    line = Topology.of("abc", [(0, 1), (1, 2)])
    mesh = replace(line, parallel=np.array([2, 1], np.int16))
    assert [one.link for one in single_failures(Intact(mesh)).bridges] == ["b--c"]
    assert impact(Intact(mesh), Failure.named(mesh, links=[("a", "b")])).parallel_links == {
        "a--b": 2
    }


@given(world=worlds(), k=st.integers(1, 50))
def test_worst_pairs(world: World, k: int) -> None:
    """The k worst pairs cost what the k costliest of all pairs cost."""
    found = worst_pairs(Intact(world.topology), k)
    ids = world.topology.ids
    truth = {
        (ids[a], ids[b]): lost(world, Failure.at([a, b]))
        for a, b in combinations(range(len(ids)), 2)
    }
    dear = sorted((cost for cost in truth.values() if cost), reverse=True)
    assert [one.pairs_lost for one in found.pairs] == dear[:k]
    assert len({(one.a, one.b) for one in found.pairs}) == len(found.pairs)
    for one in found.pairs:
        assert one.pairs_lost == truth[one.a, one.b]
        alone = tuple(lost(world, Failure.named(world.topology, [name])) for name in (one.a, one.b))
        assert one.pairs_lost_alone == alone
    assert found.exhaustive


def test_a_search_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a mesh too large, pairs have one of the costliest nodes, and are not called all."""
    topology = radio.generate(60)
    everything = worst_pairs(Intact(topology), 5)
    monkeypatch.setattr(single, "MAX_PAIR_WORK", 3 * (60 + topology.n_links))
    some = worst_pairs(Intact(topology), 5)
    assert (some.exhaustive, some.partners) == (False, 3)
    assert some.pairs[0].pairs_lost <= everything.pairs[0].pairs_lost
    costliest = {one.node for one in single_failures(Intact(topology)).spof_nodes[:3]}
    assert all({one.a, one.b} & costliest for one in some.pairs)


@pytest.mark.parametrize(
    "graph",
    [
        nx.complete_graph(2),
        nx.complete_graph(6),
        nx.cycle_graph(7),
        nx.petersen_graph(),
        nx.hypercube_graph(4),
        nx.grid_2d_graph(4, 4),
        nx.complete_bipartite_graph(3, 5),
        nx.disjoint_union(nx.complete_graph(4), nx.complete_graph(4)),
        nx.circulant_graph(12, [1, 2, 3]),
    ],
)
def test_node_connectivity_of_known_graphs(graph: nx.Graph) -> None:
    """As networkx says, from split graphs to complete ones."""
    assert node_connectivity(Intact(of_graph(graph))) == nx.node_connectivity(graph)


def test_high_connectivity_of_large_meshes_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it would take too many flows there is no figure; 2 and below need none."""
    monkeypatch.setattr(single, "MAX_FLOW_NODES", 5)
    assert node_connectivity(Intact(of_graph(nx.petersen_graph()))) is None
    assert node_connectivity(Intact(of_graph(nx.cycle_graph(9)))) == 2


@pytest.mark.parametrize("k", [0, -1, MAX_PAIRS + 1])
def test_an_impossible_number_of_pairs_is_refused(k: int) -> None:
    """Between one pair and as many as an answer may hold."""
    with pytest.raises(InvalidInput):
        worst_pairs(Intact(radio.generate(5)), k)
