"""No message circles, at any instant, whatever fails and heals."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mesh import batch as messages
from actors.mesh.simulator import Simulation
from tests.examples import share
from tests.unit.mesh.oracle import LoopWatch, trail_nodes
from tests.unit.mesh.worlds import Fault, World, faults, meshes

if TYPE_CHECKING:
    from actors.topology.model import Topology

gaps = st.sampled_from((0.05, 0.3, 1.0, 4.5))


@given(
    mesh=meshes(),
    story=st.lists(st.tuples(faults, gaps), min_size=1, max_size=6),
    feedback=st.booleans(),
    failover=st.booleans(),
    seed=st.integers(0, 999),
)
@settings(max_examples=share(1 / 2))
def test_no_loop_at_any_instant(
    mesh: Topology, story: list[tuple[Fault, float]], *, feedback: bool, failover: bool, seed: int
) -> None:
    """With all tables as they are at any instant, no node would forward a message twice."""
    watch = LoopWatch(failover=failover)
    sim = Simulation(mesh, feedback=feedback, failover=failover, seed=seed, watch=watch)
    for host in sim.hosts:
        host.router.want(range(mesh.n_nodes))
    sim.run(2.5)
    world = World(mesh)
    for fault, gap in story:
        world.befall(sim, fault)
        sim.run(sim.now + gap)
    assert watch.checks > mesh.n_nodes


@given(
    mesh=meshes(),
    story=st.lists(st.tuples(faults, gaps), min_size=1, max_size=5),
    failover=st.booleans(),
    seed=st.integers(0, 999),
)
@settings(max_examples=share(1 / 5))
def test_no_trail_repeats_itself(
    mesh: Topology, story: list[tuple[Fault, float]], *, failover: bool, seed: int
) -> None:
    """No delivered message was forwarded twice by one node under one version of its database.

    Every accepted message is delivered or returned by then, so that none escapes the look."""
    sim = Simulation(mesh, hello_s=0.5, failover=failover, seed=seed)
    world = World(mesh)
    sim.run(1.5)
    n = mesh.n_nodes
    accepted = 0
    for request, (fault, gap) in enumerate(story):
        world.befall(sim, fault)
        for node, host in enumerate(sim.hosts):
            everyone = [other for other in range(n) if other != node]
            batch = messages.build([node] * (n - 1), everyone, [b"x"] * (n - 1), record_route=True)
            accepted += np.count_nonzero(host.send(node, 1, request, batch).ids)
            sim.wake(host)
        sim.run(sim.now + gap)
    world.heal(sim)
    sim.run(sim.now + 20.0)
    seen = returned = 0
    for node, host in enumerate(sim.hosts):
        _, arrived = host.read(node, 0, None, 10_000)
        notice = (arrived.head["flags"] & messages.UNREACHABLE) > 0
        returned += np.count_nonzero(notice)
        delivered = arrived.take(~notice)
        for row, trail in enumerate(delivered.trail if delivered.trail is not None else ()):
            recorded = trail[: delivered.head["hops"][row]]
            assert (recorded >= 0).all()
            assert len(np.unique(recorded)) == len(recorded)
            nodes = [*trail_nodes(recorded).tolist(), node]
            assert nodes[0] == delivered.head["source"][row]
            hops = pairwise(nodes)
            assert all(mesh.directed_link(a, b) is not None for a, b in hops)
            seen += 1
    assert seen + returned == accepted
