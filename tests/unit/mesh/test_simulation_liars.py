"""What f lying nodes cannot do to the others, whatever they do."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.byzantine.suspicion import SUSPICION_S
from actors.mesh import batch as messages
from actors.mesh.lying_host import OFTEN, Deed, LyingHost
from actors.mesh.simulator import Simulation
from actors.topology.bound import convergence_bound_s, flood_bound_s
from tests.examples import share
from tests.unit.mesh.distrust import paths_between, protected, vouch
from tests.unit.mesh.worlds import grid, meshes, of_graph

if TYPE_CHECKING:
    from actors.topology.model import Topology

HELLO_S = 0.5
PORT = 7
deeds = st.sets(st.sampled_from(sorted(Deed)), min_size=1, max_size=5)


def true_graph(mesh: Topology, phantoms: set[tuple[int, int]] = frozenset()) -> nx.Graph:
    """The links that there are."""
    graph = nx.Graph(tuple(pair) for pair in mesh.ends.tolist() if tuple(pair) not in phantoms)
    graph.add_nodes_from(range(mesh.n_nodes))
    return graph


def honest_pairs(mesh: Topology, liars: set[int], faults: int) -> list[tuple[int, int]]:
    """Pairs of honest nodes that have f + 1 disjoint paths once liars hide what they like."""
    graph = true_graph(mesh)
    honest = sorted(set(graph) - liars)
    return [
        (a, b) for a in honest for b in honest if a != b and paths_between(graph, a, b) > faults
    ]


def send(sim: Simulation, pairs: list[tuple[int, int]], request: int) -> dict[int, tuple[int, int]]:
    """One message for each pair; the pairs by message id."""
    sent: dict[int, tuple[int, int]] = {}
    for source in sorted({source for source, _ in pairs}):
        to = [destination for one, destination in pairs if one == source]
        batch = messages.build([source] * len(to), to, [b"x"] * len(to), port=PORT)
        answer = sim.hosts[source].send(source, 1, request, batch)
        sent.update(zip(answer.ids.tolist(), [(source, other) for other in to], strict=True))
        sim.wake(sim.hosts[source])
    return sent


def arrived(sim: Simulation, honest: set[int]) -> list[int]:
    """Ids of the messages that applications of honest nodes have got, with repetitions."""
    ids: list[int] = []
    for node in honest:
        _, batch = sim.hosts[node].read(node, PORT, None, 1_000_000)
        notice = (batch.head["flags"] & messages.UNREACHABLE) > 0
        assert not notice.any()
        ids += batch.head["id"].tolist()
    return ids


def drain(sim: Simulation, honest: set[int], wanted: int, limit_s: float) -> list[int]:
    """Let time pass until the messages are there, and then some; their ids."""
    end = sim.now + limit_s
    while sim.now < end and len(arrived(sim, honest)) < wanted:
        sim.run(sim.now + HELLO_S)
    sim.run(sim.now + 2 * HELLO_S)  # for copies too many
    return arrived(sim, honest)


@st.composite
def liars_in(draw: st.DrawFn) -> tuple[Topology, dict[int, set[Deed]]]:
    """A small mesh, and one or two of its nodes that lie."""
    mesh = draw(meshes(max_nodes=6, qualities=(1.0, 0.95)))
    chosen = draw(st.sets(st.integers(0, mesh.n_nodes - 1), min_size=1, max_size=2))
    return mesh, {node: draw(deeds) for node in sorted(chosen)}


@given(case=liars_in(), failover=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=share(1 / 8))
def test_pairs_with_enough_paths_get_every_message_once(
    case: tuple[Topology, dict[int, set[Deed]]], *, failover: bool, seed: int
) -> None:
    """Honest pairs that have f + 1 disjoint paths get all, once, whatever f liars do; and no
    honest node forwards for ever what liars send back to it."""
    mesh, lying = case
    liars, faults = set(lying), len(lying)
    honest = set(range(mesh.n_nodes)) - liars
    pairs = honest_pairs(mesh, liars, faults)
    sim = Simulation(
        mesh,
        hello_s=HELLO_S,
        failover=failover,
        seed=seed,
        distrust=protected(faults, lying, hello_s=HELLO_S),
    )
    sim.run(3.0)
    sent = send(sim, pairs, 1)
    ids = drain(sim, honest, len(sent), 40.0)
    assert sorted(ids) == sorted(sent)
    for node in honest:
        assert not vouch(sim, node).suspicions.confirmed & honest
        assert not vouch(sim, node).proven & honest


def test_what_is_thrown_back_comes_in_once() -> None:
    """A liar that returns messages with their stamps erased is sent each copy a few times."""
    mesh = of_graph(nx.path_graph(3))
    sim = Simulation(mesh, hello_s=HELLO_S, distrust=protected(1, {1: {Deed.BOUNCE}}))
    sim.run(3.0)
    send(sim, [(0, 2)], 1)
    sim.run(30.0)
    attempts = sim.hosts[0].partitions[0].outbox
    assert len(attempts) == 1, "there is no other way, so it stays with its sender"
    assert sim.hosts[0].hop_count <= 12, "one return of each copy under each database"


def test_swallowed_messages_take_the_other_way() -> None:
    """Round a square, what one corner swallows arrives over the other; unprotected it does not."""
    mesh = of_graph(nx.cycle_graph(4))
    for faults, delivered in ((1, 2), (0, 0)):
        lying = (
            {1: {Deed.SWALLOW, Deed.PRAISE}, 3: {Deed.SWALLOW}}
            if not faults
            else {1: {Deed.SWALLOW, Deed.PRAISE, Deed.SETTLE}}
        )
        distrust = protected(faults, lying)
        sim = Simulation(mesh, hello_s=HELLO_S, distrust=distrust)
        sim.run(3.0)
        send(sim, [(0, 2), (2, 0)], 1)
        sim.run(25.0)
        assert len(arrived(sim, {0, 2})) == delivered


@given(
    mesh=meshes(max_nodes=7, qualities=(1.0,)),
    picks=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
@settings(max_examples=share(1 / 8))
def test_liars_attract_no_more_than_their_place_gives(
    mesh: Topology, picks: tuple[int, int]
) -> None:
    """Two liars with a link that does not exist, praised as all of theirs: the routes through them
    cost no less than the links with an honest end say, the others' costs being the truth."""
    n = mesh.n_nodes
    one = picks[0] % n
    other = (one + 1 + picks[1] % (n - 1)) % n
    liars, tunnel = {one, other}, (min(one, other), max(one, other))
    real = {(a, b) for a, b in mesh.ends.tolist()}
    dug = of_graph(nx.Graph(sorted(real | {tunnel})))
    distrust = protected(2, {node: {Deed.PRAISE} for node in liars})
    sim = Simulation(dug, hello_s=HELLO_S, distrust=distrust)
    if tunnel not in real:
        sim.cut(tunnel)
    for host in sim.hosts:
        host.router.want(range(n))
    sim.run(6.0)
    honest = set(range(n)) - liars
    bound = bounding_graph(sim, honest, tunnel)
    clean = bound.subgraph(honest)
    for source, destination in permutations(sorted(honest), 2):
        route = sim.hosts[source].router.route(source, destination)
        if route is not None:
            least = nx.dijkstra_path_length(bound, source, destination, "cost")
            assert route[1] >= least
        if nx.has_path(clean, source, destination):
            assert route is not None
            assert route[1] <= nx.dijkstra_path_length(clean, source, destination, "cost")


def bounding_graph(sim: Simulation, honest: set[int], tunnel: tuple[int, int]) -> nx.Graph:
    """The least costs that liars can have others believe in: what honest ends say, and 1 between
    themselves."""
    graph = nx.Graph()
    graph.add_nodes_from(range(sim.topology.n_nodes))
    graph.add_edge(*tunnel, cost=1)
    for node in honest:
        for neighbour, cost in _advertised(sim, node).items():
            data = graph.get_edge_data(node, neighbour)
            graph.add_edge(node, neighbour, cost=max(cost, data["cost"] if data else 0))
    return graph


def _advertised(sim: Simulation, node: int) -> dict[int, int]:
    lsa = sim.hosts[node].database.get(node)
    assert lsa is not None
    return dict(zip(lsa.neighbours, lsa.costs, strict=True))


@given(mesh=meshes(max_nodes=7, qualities=(1.0,)), pick=st.integers(0, 99), seed=st.integers(0, 99))
@settings(max_examples=share(1 / 8))
def test_an_equivocator_is_quarantined_everywhere_in_time(
    mesh: Topology, pick: int, seed: int
) -> None:
    """Two stories are found out wherever the news of both can meet without the liar, in the bound
    of any news."""
    graph = true_graph(mesh)
    liar = pick % mesh.n_nodes
    rest = nx.Graph(graph)
    rest.remove_node(liar)
    told = sorted(graph[liar])
    sim = Simulation(
        mesh, hello_s=HELLO_S, seed=seed, distrust=protected(1, {liar: {Deed.EQUIVOCATE}})
    )
    sim.run(convergence_bound_s(HELLO_S, mesh.n_nodes))
    sim.hosts[liar]._readvertise(np.array([liar]), sim.now)  # two stories
    sim.wake(sim.hosts[liar])
    sim.run(sim.now + 2 * flood_bound_s(nx.diameter(graph)) + HELLO_S)
    odd = {node for node in told if sim.hosts[liar].peers.index(f"host-{node}") % 2}
    for part in nx.connected_components(rest):
        both = part & odd and part & (set(told) - odd)
        for node in part if both else ():
            assert liar in vouch(sim, node).proven
            assert sim.hosts[node].router.route(node, liar) is None or node == liar
        assert all(vouch(sim, node).proven <= {liar} for node in part)


def test_a_pardoned_node_is_believed_again() -> None:
    """An operator gives it another key: its links count, and what it said before does not."""
    mesh = of_graph(nx.cycle_graph(4))
    sim = Simulation(mesh, hello_s=HELLO_S, distrust=protected(1, {1: {Deed.EQUIVOCATE}}))
    sim.run(5.0)
    liar = sim.hosts[1]
    assert isinstance(liar, LyingHost)
    assert all(vouch(sim, node).proven == {1} for node in (0, 2, 3))
    assert liar.clear_quarantine([0], sim.now) == [], "not its own"
    versions = [host.database.version for host in sim.hosts]
    liar.deeds = frozenset()
    assert liar.clear_quarantine([1, 0], sim.now) == [1]
    sim.wake(liar)
    sim.run(sim.now + 1.0)
    for node, host in enumerate(sim.hosts):
        assert vouch(sim, node).proven == set()
        assert host.database.version > versions[node]
        lsa = host.database.get(1)
        assert lsa is not None
        assert lsa.neighbours == (0, 2)
    sent = send(sim, [(0, 1), (1, 3)], 1)
    assert sorted(drain(sim, {1, 3}, 2, 20.0)) == sorted(sent)


def test_an_accusation_needs_more_than_the_liars() -> None:
    """f neighbours that accuse a node quarantine it nowhere, f + 1 do, until their word expires."""
    mesh = grid(3, 3)
    for accusers, faults, quarantined in (((1, 3), 2, False), ((1, 3), 1, True)):
        lying = {node: {Deed.ACCUSE} for node in accusers}
        sim = Simulation(mesh, hello_s=HELLO_S, distrust=protected(faults, lying))
        sim.run(4.0)
        others = set(range(9)) - set(accusers)
        for node in others:
            assert (4 in vouch(sim, node).suspicions.confirmed) == quarantined
        if quarantined:
            for node in accusers:
                liar = sim.hosts[node]
                assert isinstance(liar, LyingHost)
                liar.deeds = frozenset()
            sim.silence(*accusers)  # nobody renews it
            sim.run(4.0 + SUSPICION_S + 1.0)
            for node in others:
                assert not vouch(sim, node).suspicions.confirmed


def test_a_flood_of_forgeries_does_not_delay_news() -> None:
    """With 10 times as many forgeries as a host can check, honest news is there in an interval."""
    mesh = of_graph(nx.complete_graph(5))
    flood = 4 * OFTEN  # forgeries that come in one Hello interval
    capacity = flood / 10  # signatures that a host can check in it
    check_s = HELLO_S / capacity
    delays = []
    for deeds_ in ({Deed.FLOOD}, {Deed.DEAF}):
        distrust = protected(1, {0: deeds_}, check_s=check_s, budget=int(capacity / 2))
        sim = Simulation(mesh, hello_s=HELLO_S, distrust=distrust)
        sim.run(20.0)
        before = sim.hosts[2].database.get(1)
        sim.hosts[1]._readvertise(np.array([1]), sim.now)  # news
        sim.wake(sim.hosts[1])
        began = sim.now
        while sim.hosts[2].database.get(1) == before:
            sim.run(sim.now + 0.01)
            assert sim.now < began + 10.0
        delays.append(sim.now - began)
    assert delays[0] - delays[1] <= HELLO_S
