"""The forwarding rule, and tables that come and go."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.mesh import router as routers
from actors.mesh.batch import HEAD, NO_POTENTIAL, UNSTAMPED
from actors.mesh.router import BEHIND, CUT_OFF, FORWARD, NO_TREE, UPHILL, MeshRouter
from actors.topology.advertisement import Lsa
from actors.topology.model import Topology
from tests.unit.mesh.oracle import FRESH, decide
from tests.unit.mesh.worlds import meshes, of_graph

if TYPE_CHECKING:
    import pytest

PATH = of_graph(nx.path_graph(4))
TRIANGLE = of_graph(nx.complete_graph(3))


def advertise(mesh: Topology, costs: dict[tuple[int, int], int], version: int) -> list[Lsa]:
    """Advertisements in which every link has the given cost in both directions."""
    both = costs | {(b, a): cost for (a, b), cost in costs.items()}
    lsas = []
    for node in range(mesh.n_nodes):
        listed = sorted(b for a, b in both if a == node)
        lsas.append(
            Lsa(node, 1, version, tuple(listed), tuple(both[node, other] for other in listed))
        )
    return lsas


def routed(
    mesh: Topology, costs: dict[tuple[int, int], int], version: int = 7, *, alternates: bool = False
) -> MeshRouter:
    router = MeshRouter(mesh, alternates=alternates)
    router.start(advertise(mesh, costs, version), version, range(mesh.n_nodes))
    return router


def verdict(router: MeshRouter, at: int, to: int, version: int, potential: int) -> int:
    head = np.zeros(1, HEAD)
    head["at"], head["destination"] = at, to
    head["version"], head["potential"] = version, potential
    decision = router.decide(head)
    assert (decision.link[0] >= 0) == (decision.verdict[0] == FORWARD)
    return int(decision.verdict[0])


LINE = {(0, 1): 10, (1, 2): 10, (2, 3): 10}


def test_the_rule_of_the_same_version() -> None:
    """By the same version a node forwards only from a distance below the message's potential."""
    router = routed(PATH, LINE)
    assert verdict(router, 1, 3, 7, 30) == FORWARD
    assert verdict(router, 1, 3, 7, 21) == FORWARD
    assert verdict(router, 1, 3, 7, 20) == UPHILL
    assert verdict(router, 1, 3, 7, 5) == UPHILL


def test_the_rule_of_other_versions() -> None:
    """By a newer version a node forwards whatever the potential, by an older one never."""
    router = routed(PATH, LINE)
    assert verdict(router, 1, 3, 6, 1) == FORWARD
    assert verdict(router, 1, 3, UNSTAMPED, NO_POTENTIAL) == FORWARD
    assert verdict(router, 1, 3, 8, NO_POTENTIAL) == BEHIND


def test_what_a_message_carries_is_the_distance_of_who_forwards_it() -> None:
    """The stamp is the forwarding node's own version and distance."""
    assert decide(routed(PATH, LINE), 1, 3, FRESH) == (PATH.directed_link(1, 2), (7, 20))


def test_without_a_route_the_message_is_cut_off() -> None:
    """A destination that no link leads to gives CUT_OFF and is reported unreachable."""
    router = routed(PATH, {(0, 1): 10, (2, 3): 10})
    assert verdict(router, 0, 3, UNSTAMPED, NO_POTENTIAL) == CUT_OFF
    ends = np.array([0, 0], np.int32), np.array([3, 1], np.int32)
    assert router.reachable(*ends).tolist() == [False, True]
    assert router.route(0, 3) is None
    assert router.route(0, 1) == ([0, 1], 10)


def test_two_databases_of_one_version_cannot_make_a_node_forward_twice() -> None:
    """A message that an alternate could send round again is refused where it has been.

    Both nodes hold version 7, a sum that two different databases share. Node 0 believes in the
    way over 1, node 1 in the way over 0.
    """
    here = routed(TRIANGLE, {(0, 1): 1, (1, 2): 10, (0, 2): 20}, alternates=True)
    there = routed(TRIANGLE, {(0, 1): 1, (1, 2): 100, (0, 2): 5}, alternates=True)
    first = decide(here, 0, 2, FRESH)
    assert first is not None
    assert first[0] == TRIANGLE.directed_link(0, 1)
    second = decide(there, 1, 2, first[1])
    assert second is not None
    assert second[0] == TRIANGLE.directed_link(1, 0)
    assert decide(here, 0, 2, second[1]) is None
    assert decide(here, 0, 2, second[1], alternate=True) is None


def test_trees_are_computed_when_asked_for() -> None:
    """A destination without a tree gets one with the next job; until then it counts reachable."""
    router = MeshRouter(PATH, alternates=False)
    router.learn(advertise(PATH, LINE, 1), 4)
    assert verdict(router, 0, 3, UNSTAMPED, NO_POTENTIAL) == NO_TREE
    assert router.reachable(np.array([0], np.int32), np.array([3], np.int32)).all()
    assert router.route(0, 3) is None
    assert router.next_hops(np.array([3], np.int32)).tolist() == [[-1] * 4]
    job = router.job()
    assert job is not None
    assert job.wanted.tolist() == [3]
    router.install(job, job.run())
    assert router.job() is None
    assert router.version == 4
    assert router.route(0, 3) == ([0, 1, 2, 3], 30)
    assert router.next_hops(np.array([3], np.int32)).tolist() == [[1, 2, 3, -1]]


def test_a_job_is_a_snapshot() -> None:
    """What is learnt while a job runs does not change its result, and makes the next job due."""
    router = routed(PATH, LINE)
    router.learn([Lsa(3, 1, 8)], 8)
    job = router.job()
    assert job is not None
    router.learn(advertise(PATH, LINE, 9), 9)
    router.install(job, job.run())
    assert router.version == 8
    assert router.route(0, 3) is None
    job = router.job()
    assert job is not None
    router.install(job, job.run())
    assert router.route(0, 3) == ([0, 1, 2, 3], 30)


def test_only_trees_that_a_change_touches_are_redone() -> None:
    """A link that got dearer leaves alone the trees that do not use it."""
    ring = of_graph(nx.cycle_graph(5))
    costs = {(0, 1): 1, (1, 2): 1, (2, 3): 1, (3, 4): 1, (0, 4): 100}
    router = routed(ring, costs)
    router.learn(advertise(ring, costs | {(0, 4): 200}, 9), 9)
    job = router.job()
    assert job is not None
    result = job.run()
    assert result.destinations.tolist() == []
    router.install(job, result)
    assert router.version == 9
    assert router.route(0, 4) == ([0, 1, 2, 3, 4], 4)


def test_an_advertisement_of_unknown_neighbours_is_harmless() -> None:
    """Neighbours to whom the topology has no link are passed over."""
    router = MeshRouter(PATH, alternates=False)
    lsas = advertise(PATH, LINE, 1)
    lsas[0] = Lsa(0, 1, 2, (1, 3), (10, 1))
    router.start(lsas, 2, [3])
    assert router.route(0, 3) == ([0, 1, 2, 3], 30)


@given(meshes(), st.data())
def test_ways_are_the_route_and_those_over_other_neighbours(
    mesh: Topology, data: st.DataObject
) -> None:
    """Each neighbour whose own route does not come back offers one; the cheapest are told."""
    pairs = [(int(a), int(b)) for a, b in mesh.ends]
    prices = st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))
    costs = {pair: c for pair, c in zip(pairs, data.draw(prices), strict=True) if c}  # 0 is down
    both = costs | {(b, a): cost for (a, b), cost in costs.items()}
    router = routed(mesh, costs)
    most = data.draw(st.integers(1, 4))
    for source, destination in product(range(mesh.n_nodes), repeat=2):
        route = router.route(source, destination)
        found = router.paths(source, destination, most)
        if route is None or source == destination:
            assert found == ([] if route is None else [([source], 0)])
            continue
        assert found[0] == route
        beyond = {b: router.route(b, destination) for a, b in both if a == source}
        offered = _offered(source, route[0][1], beyond, both)
        assert [cost for _, cost in found[1:]] == offered[: most - 1]
        _check_paths(found, both, (source, destination))


def _offered(
    source: int,
    taken: int,
    beyond: dict[int, tuple[list[int], int] | None],
    costs: dict[tuple[int, int], int],
) -> list[int]:
    """Costs over each neighbour but `taken` whose own route does not come back, the least first."""
    return sorted(
        costs[source, first] + way[1]
        for first, way in beyond.items()
        if way is not None and source not in way[0] and first != taken
    )


def _check_paths(
    found: list[tuple[list[int], int]], costs: dict[tuple[int, int], int], ends: tuple[int, int]
) -> None:
    """Each leads from end to end without a circle, by a first hop of its own, at its true cost."""
    assert len({path[1] for path, _ in found}) == len(found)
    for path, cost in found:
        assert (path[0], path[-1]) == ends
        assert len(set(path)) == len(path)
        assert cost == sum(costs[hop] for hop in pairwise(path))


def test_ways_to_a_destination_without_a_tree_are_found_after_the_next_job() -> None:
    """As its route: nothing is told meanwhile, and a tree is asked for."""
    router = MeshRouter(TRIANGLE, alternates=False)
    router.learn(advertise(TRIANGLE, {(0, 1): 1, (1, 2): 1, (0, 2): 3}, 1), 4)
    assert router.paths(0, 2, 2) == []
    job = router.job()
    assert job is not None
    router.install(job, job.run())
    assert router.paths(0, 2, 2) == [([0, 1, 2], 2), ([0, 2], 3)]


def test_the_least_recently_used_tree_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full tables evict what was not used lately, also trees that the same job computed anew."""
    monkeypatch.setattr(routers, "TABLE_BYTES", 0)  # the least: 64 trees
    n = 80
    ring = of_graph(nx.cycle_graph(n))
    costs = {(k, k + 1): 1 for k in range(n - 1)} | {(0, n - 1): 1}
    router = MeshRouter(ring, alternates=False)
    router.start(advertise(ring, costs, 1), 1, range(64))
    head = np.zeros(60, HEAD)
    head["at"], head["destination"], head["version"] = 70, np.arange(4, 64), UNSTAMPED
    router.decide(head)
    assert sorted(router.destinations.tolist()) == list(range(64))
    router.want([70, 71])
    router.learn(advertise(ring, dict.fromkeys(costs, 2), 2), 2)
    job = router.job()
    assert job is not None
    router.install(job, job.run())
    held = router.destinations.tolist()
    assert len(held) == 64
    assert set(range(4, 64)) | {70, 71} <= set(held)
    for destination in held:
        away = min((70 - destination) % n, (destination - 70) % n)
        found = router.route(70, destination)
        assert found is not None
        assert found[1] == 2 * away
    gone = sorted(set(range(n)) - set(held))
    assert router.route(70, gone[0]) is None


def test_a_mesh_without_links_has_no_routes() -> None:
    """Everything works where nobody has a neighbour."""
    lonely = Topology.of(["a", "b"])
    router = MeshRouter(lonely, alternates=True)
    router.start([Lsa(0, 1, 1), Lsa(1, 1, 1)], 2, [0, 1])
    assert verdict(router, 0, 1, UNSTAMPED, NO_POTENTIAL) == CUT_OFF
    assert router.next_hops(np.array([1], np.int32)).tolist() == [[-1, -1]]
