"""Neighbours are lost when they are gone, soon, and never otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest

from actors.mesh import batch as messages
from actors.mesh.simulator import Simulation
from tests.unit.mesh.worlds import grid, of_graph

if TYPE_CHECKING:
    from actors.topology.model import Topology

HELLO_S = 1.0


def random_mesh(quality: float) -> Topology:
    graph = nx.connected_watts_strogatz_graph(8, 4, 0.5, seed=2)
    return of_graph(graph, quality)


def losses(sim: Simulation, since: float = 0.0) -> list[tuple[float, int, int]]:
    """(when, who, whom) of every neighbour lost."""
    return sorted(
        (event.at, event.node, event.neighbour)
        for host in sim.hosts
        for event in host.events
        if event.kind == "neighbour-lost" and event.at >= since
    )


def chatter(sim: Simulation, every_s: float, until: float) -> None:
    """From now on every node sends to every other, time and again."""
    n = sim.topology.n_nodes
    request = 0
    when = sim.now

    def talk() -> None:
        nonlocal request
        request += 1
        for node, host in enumerate(sim.hosts):
            others = [other for other in range(n) if other != node]
            host.send(node, 1, request, messages.build([node] * (n - 1), others, [b""] * (n - 1)))
            sim.wake(host)

    while when < until:
        sim.at(when, talk)
        when += every_s


@pytest.mark.parametrize("quality", [1.0, 0.95, 0.8])
@pytest.mark.parametrize("mesh", [lambda q: grid(3, 3, q), random_mesh], ids=["grid", "random"])
def test_no_false_loss_when_idle(mesh: object, quality: float) -> None:
    """In two minutes of Hellos alone no living neighbour is lost, at 0, 5 and 20 % loss."""
    sim = Simulation(mesh(quality), hello_s=HELLO_S, seed=11)  # type: ignore[operator]
    sim.run(120.0 * HELLO_S)
    assert losses(sim) == []


@pytest.mark.parametrize("quality", [0.95, 0.8])
def test_no_false_loss_by_feedback(quality: float) -> None:
    """Under traffic no living neighbour is given up for unacknowledged frames, even at 20 %."""
    sim = Simulation(grid(3, 3, quality), hello_s=HELLO_S, feedback=True, seed=12)
    sim.run(4.0)
    chatter(sim, 0.25, 20.0)
    sim.run(20.0)
    assert losses(sim) == []
    assert sum(host.hop_count for host in sim.hosts) > 9 * 8 * 60


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize("stall_s", [2.0, 8.0])
def test_a_stalled_host_accuses_nobody(stall_s: float, *, feedback: bool) -> None:
    """A host that stood still declares no neighbour lost for what it slept through."""
    sim = Simulation(grid(3, 2), hello_s=HELLO_S, feedback=feedback, seed=13)
    chatter(sim, 0.5, 25.0)
    accused = []
    table = sim.hosts[1].neighbours
    expire, acknowledge = table.expire, table.acknowledge

    def watched_expire(now: float) -> object:
        change = expire(now)
        accused.extend(change.down.tolist())
        return change

    def watched_acknowledge(*arguments: object) -> object:
        change = acknowledge(*arguments)  # type: ignore[arg-type]
        accused.extend(change.down.tolist())
        return change

    table.expire, table.acknowledge = watched_expire, watched_acknowledge  # type: ignore[assignment, method-assign]
    sim.run(10.0)
    sim.stall(1, 10.0 + stall_s)
    sim.run(25.0)
    assert accused == []
    others = {(who, whom) for _, who, whom in losses(sim) if who != 1}
    if stall_s < 2.5 * HELLO_S:
        assert losses(sim) == []
    else:  # to the others it was as good as dead, and only it
        assert others == {(node, 1) for node in (0, 2, 4)}
    assert sim.hosts[1].neighbours.up.all()


def detection_times(sim: Simulation, victim: int, at: float, wait_s: float) -> list[float]:
    """How long after `at`, when the victim falls silent, each of its neighbours misses it, s."""
    sim.run(at)
    sim.silence(victim)
    sim.run(at + wait_s)
    neighbours = sorted(whom for whom in range(9) if sim.topology.directed_link(victim, whom))
    found = [(when - at, who) for when, who, whom in losses(sim, at) if whom == victim]
    assert sorted(who for _, who in found) == neighbours
    assert losses(sim) == losses(sim, at)
    assert all(whom == victim for _, _, whom in losses(sim))
    return [when for when, _ in found]


@pytest.mark.parametrize("quality", [1.0, 0.95, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_hellos_detect_within_the_hold_time(quality: float, seed: int) -> None:
    """Without feedback every neighbour misses a silent node within 3.5 Hello + 0.5 s."""
    sim = Simulation(grid(3, 3, quality), hello_s=HELLO_S, feedback=False, seed=seed)
    times = detection_times(sim, 4, 6.0 + seed / 4, 3.5 * HELLO_S + 1.0)
    assert max(times) <= 3.5 * HELLO_S + 0.5
    assert min(times) > 2.5 * HELLO_S - 0.25  # the hold time less the age of the last Hello


@pytest.mark.parametrize("quality", [1.0, 0.95, 0.8])
@pytest.mark.parametrize("seed", range(2))
def test_feedback_detects_in_a_fraction_of_a_hello(quality: float, seed: int) -> None:
    """Under traffic all neighbours miss a silent node well before its next Hello is due."""
    sim = Simulation(grid(3, 3, quality), hello_s=HELLO_S, feedback=True, seed=seed)
    start = 5.0 + seed / 2
    sim.at(start - 0.5, lambda: chatter(sim, 0.1, start + HELLO_S))
    times = detection_times(sim, 4, start, HELLO_S)
    assert max(times) <= 0.7 * HELLO_S


def test_the_same_seed_is_the_same_run() -> None:
    """Two simulations with one seed are event for event alike, and another seed is not."""

    def story(seed: int) -> list[object]:
        sim = Simulation(grid(3, 2, 0.8), seed=seed)
        chatter(sim, 0.5, 5.0)
        sim.at(3.0, lambda: sim.silence(1))
        sim.run(9.0)
        return [list(host.events) for host in sim.hosts]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_an_isolated_node_can_be_asked_to_send() -> None:
    """A node without any link accepts a message and returns it as unreachable."""
    mesh = of_graph(nx.Graph([(0, 1)]))
    mesh = type(mesh).of(("a", "b", "c"), mesh.ends)
    sim = Simulation(mesh, hello_s=0.2, failover=True)
    sim.hosts[2].send(2, 1, 1, messages.build([2], [0], [b"x"], port=4))
    sim.wake(sim.hosts[2])
    sim.run(5.0)
    _, notices = sim.hosts[2].read(2, 4, None, 10)
    assert notices.head["flags"].tolist() == [messages.UNREACHABLE]
    assert len(sim.hosts[2].partitions[2].outbox) == 0
    hops = sim.hosts[2].router.next_hops(np.array([0], np.int32))
    assert hops.tolist() == [[-1, 0, -1]] or hops.tolist() == [[-1, -1, -1]]
