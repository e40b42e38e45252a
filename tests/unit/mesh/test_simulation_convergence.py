"""After the bound, everybody agrees, every pair that can talk does, and the others are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mesh.simulator import Simulation
from tests.examples import share
from tests.unit.mesh.oracle import arrives, reported_reachable
from tests.unit.mesh.worlds import Fault, World, faults, grid, meshes, settle

if TYPE_CHECKING:
    from actors.topology.model import Topology

# Often shorter than the bound, so that faults hit a mesh that has not healed from the last.
gaps = st.sampled_from((0.1, 0.7, 2.0, None))


def check_agreement(sim: Simulation, world: World) -> None:
    """Hosts of one component have equal digests exactly if equal databases, and they are equal."""
    for part in nx.connected_components(world.graph()):
        first, *others = (sim.hosts[node].database for node in sorted(part))
        for other in others:
            assert other.digest == first.digest
            assert other == first
            assert other.version == first.version


def check_routes(sim: Simulation, world: World) -> None:
    """Walk every ordered pair of nodes that are not silent."""
    graph = world.graph()
    component = {
        node: number for number, part in enumerate(nx.connected_components(graph)) for node in part
    }
    pairs = [(a, b) for a in graph for b in range(world.topology.n_nodes) if a != b]
    for source, destination in pairs:
        connected = component[source] == component.get(destination, -1)
        where = f"{source} -> {destination} at {sim.now:.3f} s; {world.silent=} {world.cut=}"
        assert reported_reachable(sim, source, destination) == connected, where
        assert arrives(sim, source, destination) == connected, where


@given(
    mesh=meshes(),
    story=st.lists(st.tuples(faults, gaps), min_size=1, max_size=6),
    hello_s=st.sampled_from((0.2, 1.0)),
    feedback=st.booleans(),
    failover=st.booleans(),
    seed=st.integers(0, 999),
)
@settings(max_examples=share(1 / 2))
def test_whole_again_within_the_bound(
    mesh: Topology,
    story: list[tuple[Fault, float | None]],
    hello_s: float,
    *,
    feedback: bool,
    failover: bool,
    seed: int,
) -> None:
    """After the bound no connected pair is black-holed and every separated pair is reported."""
    sim = Simulation(mesh, hello_s=hello_s, feedback=feedback, failover=failover, seed=seed)
    world = World(mesh)
    for host in sim.hosts:
        host.router.want(range(mesh.n_nodes))
    settle(sim, world, hello_s)
    check_agreement(sim, world)
    check_routes(sim, world)
    for fault, gap in story:
        world.befall(sim, fault)
        if gap is None:
            settle(sim, world, hello_s)
            check_agreement(sim, world)
            check_routes(sim, world)
        else:
            sim.run(sim.now + gap * hello_s)
    settle(sim, world, hello_s)
    check_agreement(sim, world)
    check_routes(sim, world)
    world.heal(sim)
    settle(sim, world, hello_s)
    check_agreement(sim, world)
    check_routes(sim, world)


def test_nodes_that_speak_again_tell_what_they_had_no_voice_for() -> None:
    """A link that died while both its ends were silent is known to be lost once they speak."""
    mesh = grid(3, 2)
    sim = Simulation(mesh, feedback=False, seed=3)
    world = World(mesh)
    for host in sim.hosts:
        host.router.want(range(mesh.n_nodes))
    settle(sim, world, 1.0)
    pairs = world.pairs
    world.befall(sim, ("cut", pairs.index((0, 1))))
    sim.run(sim.now + 2.4)
    world.befall(sim, ("silence", 0))
    world.befall(sim, ("silence", 1))
    sim.run(sim.now + 1.45)  # only the cut link is lost meanwhile
    world.befall(sim, ("speak", 0))
    world.befall(sim, ("speak", 0))
    settle(sim, world, 1.0)
    check_agreement(sim, world)
    check_routes(sim, world)
