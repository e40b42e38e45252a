"""Messages that are sent again take disjoint paths, and never the same node twice."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mesh import batch as messages
from actors.mesh.batch import ATTEMPT_SHIFT, HEAD, NO_POTENTIAL, UNSTAMPED
from actors.mesh.multipath import MultipathRouter, Passage
from actors.mesh.router import CUT_OFF, FORWARD, NO_TREE
from actors.mesh.simulator import Simulation
from actors.topology.advertisement import Lsa
from tests.examples import share
from tests.unit.mesh.distrust import protected
from tests.unit.mesh.worlds import Fault, World, faults, grid, meshes, of_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

gaps = st.sampled_from((0.05, 0.3, 1.0, 2.5))


def head_of(
    source: int, destination: int, attempt: int, at: int, stamp: tuple[int, int]
) -> NDArray[np.void]:
    """One message under way."""
    head = np.zeros(1, HEAD)
    head["source"], head["destination"], head["at"] = source, destination, at
    head["version"], head["potential"] = stamp
    head["flags"] = attempt << ATTEMPT_SHIFT
    return head


def forwarders(sim: Simulation, source: int, destination: int, attempt: int) -> list[int]:
    """The nodes that forward one copy, all tables standing still."""
    at, stamp = source, (UNSTAMPED, int(NO_POTENTIAL))
    nodes: list[int] = []
    while at != destination and len(nodes) <= 2 * len(sim.hosts):
        router = sim.hosts[at].router
        found = router.decide(head_of(source, destination, attempt, at, stamp))
        if found.verdict[0] != FORWARD:
            break
        nodes.append(at)
        stamp = router.version, int(found.potential[0])
        at = int(sim.topology.link_target[found.link[0]])
    return nodes


@given(
    mesh=meshes(max_nodes=6),
    story=st.lists(st.tuples(faults, gaps), min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
@settings(max_examples=share(1 / 8))
def test_no_copy_visits_a_node_twice_at_any_instant(
    mesh: Topology, story: list[tuple[Fault, float]], seed: int
) -> None:
    """Whatever fails: each copy, of each pair, by the tables of any instant."""
    sim = Simulation(mesh, hello_s=0.5, seed=seed, distrust=protected(1))
    pairs = set(permutations(range(mesh.n_nodes), 2))
    world = World(mesh)
    sim.run(2.0)
    looked = 0
    for fault, gap in story:
        world.befall(sim, fault)
        end = sim.now + gap
        while sim.now < end:
            for host in sim.hosts:
                assert isinstance(host.router, MultipathRouter)
                host.router.want(range(mesh.n_nodes))
                host.router.want_paths(pairs)
                sim.wake(host)
            sim.run(sim.now + 0.05)
            for source, destination in pairs:
                for attempt in (0, 1, 2):
                    nodes = forwarders(sim, source, destination, attempt)
                    assert len(set(nodes)) == len(nodes)
                    looked += len(nodes)
    assert looked


def whole(mesh: Topology, liars: int, cost: int = 256) -> MultipathRouter:
    """A router that knows every link of a map, each at one cost."""
    router = MultipathRouter(mesh, alternates=False, liars=liars)
    lsas = []
    for node in range(mesh.n_nodes):
        indptr, links = mesh.out_links
        around = mesh.link_target[links[indptr[node] : indptr[node + 1]]]
        lsas.append(Lsa(node, 1, 1, tuple(np.sort(around).tolist()), (cost,) * len(around)))
    router.start(lsas, 7, range(mesh.n_nodes))
    return router


def compute(router: MultipathRouter) -> None:
    """Run what is due."""
    while (job := router.job()) is not None:
        router.install(job, job.run())


def test_attempts_go_round_the_disjoint_paths() -> None:
    """The first copy takes the tree, the next ones each path in turn, and then from the start."""
    router = whole(grid(3, 3), liars=1)
    fresh = (UNSTAMPED, int(NO_POTENTIAL))
    asked = [head_of(0, 8, attempt, 0, fresh) for attempt in range(5)]
    assert [router.decide(head).verdict[0] for head in asked] == [FORWARD] + 4 * [NO_TREE]
    compute(router)
    hops = [int(router.decide(head).link[0]) for head in asked]
    assert hops[1] != hops[2]
    assert hops[3:] == hops[1:3]
    paths = router.disjoint(0, 8)
    assert paths is not None
    assert [path[0] for path in paths] == [0, 0]
    assert {path[-1] for path in paths} == {8}
    assert not set(paths[0][1:-1]) & set(paths[1][1:-1])
    off = next(node for node in range(9) if node not in paths[0])
    assert router.decide(head_of(0, 8, 1, off, fresh)).verdict[0] == CUT_OFF


def test_where_there_is_one_path_every_copy_takes_it() -> None:
    """And where there is none, none moves; the count is reported as it is."""
    router = whole(of_graph(nx.path_graph(3)), liars=2)
    fresh = (UNSTAMPED, int(NO_POTENTIAL))
    router.want_paths({(0, 2), (2, 0)})
    compute(router)
    assert router.disjoint(0, 2) == [[0, 1, 2]]
    links = {int(router.decide(head_of(0, 2, k, 0, fresh)).link[0]) for k in range(6)}
    assert len(links) == 1
    router.learn([Lsa(1, 1, 2)], 8)
    router.want_paths({(0, 2)})
    compute(router)
    router.want_paths({(0, 2)})
    compute(router)
    assert router.disjoint(0, 2) == []
    assert router.decide(head_of(0, 2, 1, 0, fresh)).verdict[0] == CUT_OFF


def test_a_link_costs_what_its_dearer_end_says() -> None:
    """No end makes a link cheaper, and both must say that it is there."""
    mesh = of_graph(nx.cycle_graph(3))
    router = MultipathRouter(mesh, alternates=False, liars=1)
    said = [
        Lsa(0, 1, 1, (1, 2), (900, 300)),
        Lsa(1, 1, 1, (0, 2), (1, 1)),
        Lsa(2, 1, 1, (0, 1), (300, 300)),
    ]
    router.start(said, 3, [1])
    assert router.route(0, 1) == ([0, 2, 1], 600)
    router.learn([Lsa(2, 1, 2, (0,), (300,))], 4)
    compute(router)
    assert router.route(0, 1) == ([0, 1], 900)


def test_a_copy_comes_in_over_a_link_once() -> None:
    """Under one version; another copy, another link or another version is another matter."""
    passage = Passage()
    batch = messages.build([0, 0], [2, 2], [b"a", b"b"])
    head = batch.head
    head["id"] = [11, 12]
    link = np.array([4, 4], np.int32)
    assert passage.admit(head, link, 1).tolist() == [True, True]
    assert passage.admit(head, link, 1).tolist() == [False, False]
    twice = np.concatenate([head[:1], head[:1]])
    twice["flags"] = 1 << ATTEMPT_SHIFT
    assert passage.admit(twice, link, 1).tolist() == [True, False]
    assert passage.admit(head, np.array([5, 4], np.int32), 1).tolist() == [True, False]
    assert passage.admit(head, link, 2).tolist() == [True, True]
