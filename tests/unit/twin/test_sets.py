"""Random sets are drawn as promised, groups fail together, and cascades follow the load."""

from __future__ import annotations

from collections import Counter
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
from actors.twin import intact as intact_module
from actors.twin import partitions
from actors.twin.conditions import Conditions, Traffic
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet, counted
from actors.twin.partitions import FailedSets
from actors.twin.sets import Draws, cascade, random_cascades, random_failures
from tests.unit.twin.meshes import connected_before, connected_pairs, failures, worlds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.twin.results import RandomFailures
    from tests.unit.twin.meshes import World

SURE = 0.99999  # confidence of intervals that must hold in every run


def line(n: int) -> Topology:
    return Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)])


def share_lost(world: World, failure: Failure) -> float:
    after = world.failed(failure)
    before = connected_before(world, after)
    return (before - connected_pairs(after)) / before if before else 0.0


@given(world=worlds(3, 7), k=st.integers(0, 3), of=st.sampled_from(("nodes", "links", "elements")))
def test_means_lie_in_their_intervals(world: World, k: int, of: str) -> None:
    """The mean over all sets of k, by enumeration, lies in the interval of the drawn ones.

    Each of the links that join a pair is drawn by itself.
    """
    nodes = [("node", v) for v in range(world.topology.n_nodes)]
    links = [("link", e) for e, many in enumerate(world.topology.parallel) for _ in range(many)]
    population = {"nodes": nodes, "links": links, "elements": nodes + links}[of]
    draws = Draws(k, of, samples=400, seed=7, confidence=SURE)
    if k > len(population):
        with pytest.raises(InvalidInput, match=f"there are {len(population)}"):
            random_failures(Intact(world.topology), draws)
        return
    internet = Internet.of(world.topology)
    found = random_failures(Intact(world.topology), draws, internet)
    all_sets = [_all_of(world, chosen) for chosen in combinations(population, k)]
    shares = [share_lost(world, failure) for failure in all_sets]
    assert found.share_lost.low - 1e-12 <= np.mean(shares) <= found.share_lost.high + 1e-12
    kept = np.mean([share == 0 for share in shares])
    assert found.connectivity_maintained.low <= kept <= found.connectivity_maintained.high
    isolated = [nx.number_of_isolates(world.failed(failure)) for failure in all_sets]
    assert found.isolated_nodes.low - 1e-12 <= np.mean(isolated)
    assert found.isolated_nodes.high + 1e-12 >= np.mean(isolated)
    failed = [len(failure.nodes) for failure in all_sets]
    assert found.failed_nodes.low - 1e-12 <= np.mean(failed) <= found.failed_nodes.high + 1e-12
    if of == "nodes":
        assert found.failed_nodes.mean == k
    worst = _named(world.topology, found.worst_failed)
    assert impact(Intact(world.topology), worst).pairs_lost == found.worst_pairs_lost
    _check_people(world, all_sets, found, internet)


def _check_people(
    world: World, all_sets: list[Failure], found: RandomFailures, internet: Internet | None
) -> None:
    """Who loses every gateway: the chance that nobody does, and the set that takes it from most."""
    if internet is None:
        assert found.cut_off is None
        return
    assert found.cut_off is not None
    offline = [world.people(world.offline(world.failed(failure))) for failure in all_sets]
    nobody = np.mean([one.nodes == 0 for one in offline])
    assert found.cut_off.nobody.low - 1e-12 <= nobody <= found.cut_off.nobody.high + 1e-12
    most = _named(world.topology, found.cut_off.most_failed)
    assert found.cut_off.most == impact(Intact(world.topology), most, (), internet).cut_off
    if len(all_sets) <= 20:  # all of them are among 400 draws, but for a chance of 1e-8
        costs = [(one.clients or 0, one.nodes) for one in offline]
        assert (found.cut_off.most.clients or 0, found.cut_off.most.nodes) == max(costs)


@given(st.data())
def test_whom_each_of_many_sets_cuts_off(data: st.DataObject) -> None:
    """Sums over nodes, clients and nodes with known clients, for many sets at once."""
    world = data.draw(worlds())
    sets = data.draw(st.lists(failures(world.topology), min_size=1, max_size=6))
    internet = Internet.of(world.topology)
    if internet is None:
        return
    parts = list(Intact(world.topology).partitioner.parts(FailedSets.of(sets)))
    cut_off = np.concatenate([internet.cut_off_in(part) for part in parts], axis=1)
    failed = np.concatenate([internet.failed_in(part) for part in parts], axis=1)
    having = set(world.graph) - world.without_gateway(world.graph)
    for row, failure in enumerate(sets):
        assert counted(cut_off[:, row]) == world.people(world.offline(world.failed(failure)))
        assert counted(failed[:, row]) == world.people(having & set(failure.nodes.tolist()))


def _all_of(world: World, chosen: Iterable[tuple[str, int]]) -> Failure:
    """What fails with these nodes and links: a pair is parted only when all its links fail."""
    count = Counter(chosen)
    parallel = world.topology.parallel.tolist()
    return Failure.at(
        [v for kind, v in count if kind == "node"],
        [e for (kind, e), many in count.items() if kind == "link" and many == parallel[e]],
    )


def _named(topology: Topology, names: Iterable[str]) -> Failure:
    """The failure of nodes `a` and links `a--b`."""
    split = [name.split("--") for name in names]
    return Failure.named(
        topology,
        [one[0] for one in split if len(one) == 1],
        [(one[0], one[1]) for one in split if len(one) == 2],
    )


def test_equal_seeds_draw_equal_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw is repeatable and does not depend on how much is handled in one go."""
    mesh = Intact(radio.generate(80))
    one = random_failures(mesh, Draws(3, samples=200, seed=5))
    assert random_failures(mesh, Draws(3, samples=200, seed=5)) == one
    assert random_failures(mesh, Draws(3, samples=200, seed=6)) != one
    monkeypatch.setattr(partitions, "CELLS", 500)
    assert random_failures(Intact(mesh.topology), Draws(3, samples=200, seed=5)) == one


def test_a_group_fails_as_one() -> None:
    """Drawing one of two groups fails all its members, links too."""
    mesh = Intact(line(6))
    groups = {"mast": Failure.at([1, 2]), "uplink": Failure.at((), [4])}
    found = random_failures(mesh, Draws(1, "groups", samples=50, groups=groups))
    assert (found.worst_failed, found.worst_pairs_lost) == (["n4--n5"], 5)
    assert 3 < found.pairs_lost.mean < 5
    assert 0 < found.failed_nodes.mean < 2
    both = random_failures(mesh, Draws(2, "groups", samples=5, groups=groups))
    assert both.pairs_lost.low == both.pairs_lost.high == 5
    assert both.failed_nodes.mean == 2


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, 1.0), (1.0, 3.0), (0.5, 2.0)])
def test_correlated_members(correlation: float, expected: float) -> None:
    """One failed member takes the other two with it as often as the correlation says."""
    mesh = Intact(line(3))
    groups = {"power": Failure.at([0, 1, 2])}
    draws = Draws(1, samples=2000, groups=groups, correlation=correlation, confidence=SURE)
    found = random_failures(mesh, draws).failed_nodes
    assert found.low <= expected <= found.high
    assert found.high - found.low < 0.25


def test_one_group_does_not_set_off_another() -> None:
    """Groups that share no drawn member stay up, even when a dragged node is theirs."""
    groups = {"first": Failure.at([0, 1]), "second": Failure.at([1, 2])}
    draws = Draws(1, samples=300, groups=groups, correlation=1.0)
    found = random_failures(Intact(line(3)), draws)
    # Node 0 or 2 takes one other; node 1 takes both.
    assert 2.0 < found.failed_nodes.mean < 2.7


@pytest.mark.parametrize(
    "draws",
    [
        lambda: Draws(1, samples=1),
        lambda: Draws(1, confidence=1.0),
        lambda: Draws(1, confidence=float("nan")),
        lambda: Draws(1, correlation=1.5),
        lambda: random_failures(Intact(line(3)), Draws(4)),
        lambda: random_failures(Intact(line(3)), Draws(-1)),
        lambda: random_failures(Intact(line(3)), Draws(1, "groups")),
        lambda: random_cascades(Intact(line(3)), Draws(1, samples=20_000), tolerance=1.0),
    ],
)
def test_impossible_draws_are_refused(draws: object) -> None:
    """Too few samples, no probability, more than there is."""
    with pytest.raises(InvalidInput):
        draws()


# Two ways from 0 to 3: a good one over 1 and a poor one over 2, and a third over 4 and 5.
SQUARE = Topology.of(
    [f"n{i}" for i in range(6)],
    [(0, 1), (1, 3), (0, 2), (2, 3), (0, 4), (4, 5), (5, 3)],
    [[1, 1]] * 2 + [[0.8, 0.8]] * 2 + [[0.7, 0.7]] * 3,
)


def flow(rate: float) -> Traffic:
    return Traffic.named(SQUARE, [("n0", "n3", rate)])


def test_a_cascade_by_hand() -> None:
    """The flow moves from way to way as each breaks under it, and then is lost."""
    conditions = Conditions(traffic=flow(10.0), capacity=np.array([20, 20, 5, 5, 5, 20, 20.0]))
    found = cascade(Intact(SQUARE, conditions), Failure.named(SQUARE, links=[("n0", "n1")]))
    assert [one.overloaded for one in found.rounds] == [["n0--n2", "n2--n3"], ["n0--n4"], []]
    assert [one.pairs_lost for one in found.rounds] == [0, 5, 9]
    assert (found.links_failed, found.settled) == (3, True)
    assert found.pairs_lost == 9  # {0}, {2} and {1, 3, 4, 5} remain: 15 pairs, 6 connected
    assert found.share_lost == pytest.approx(9 / 15)


def test_a_full_link_is_not_overloaded() -> None:
    """A link may carry just its capacity."""
    conditions = Conditions(traffic=flow(5.0), capacity=np.full(7, 5.0))
    found = cascade(Intact(SQUARE, conditions), Failure.named(SQUARE, ["n1"]))
    assert (found.links_failed, len(found.rounds), found.pairs_lost) == (0, 1, 0)


def test_rounds_are_bounded() -> None:
    """A cascade that is cut short says that it has not settled."""
    conditions = Conditions(traffic=flow(10.0), capacity=np.array([20, 20, 5, 5, 5, 20, 20.0]))
    intact, failure = Intact(SQUARE, conditions), Failure.named(SQUARE, links=[("n0", "n1")])
    found = cascade(intact, failure, max_rounds=1)
    assert not found.settled
    assert len(found.rounds) == 2


@given(st.integers(0, 2**16))
def test_tolerance_is_of_the_intact_load(seed: int) -> None:
    """Nothing fails further with boundless tolerance; with none, what carries more than before."""
    topology = radio.generate(20, seed)
    intact = Intact(topology)
    failure = Failure.at([seed % 20])
    calm = cascade(intact, failure, tolerance=1e6)
    assert calm.pairs_lost == impact(intact, failure).pairs_lost
    assert calm.settled
    left = failure.survivors(topology)
    routes = intact.routes.after(left)
    alive = left.node_alive
    load = routes.load(np.where(alive[:, None] & alive, intact.rate, 0.0))
    strict = cascade(intact, failure, tolerance=0.0)
    assert len(strict.rounds[0].overloaded) == int(
        (load > np.maximum(intact.load, intact.load.mean()) * (1 + 1e-9)).sum()
    )
    assert strict.pairs_lost >= calm.pairs_lost
    lost = [one.pairs_lost for one in strict.rounds]
    assert lost == sorted(lost)


@given(st.data())
def test_a_cascade_says_who_loses_the_internet(data: st.DataObject) -> None:
    """In each round, of what has failed by then; in the end, of all that has."""
    world = data.draw(worlds(3, 8))
    failure = data.draw(failures(world.topology))
    internet = Internet.of(world.topology)
    found = cascade(Intact(world.topology), failure, internet, tolerance=0.0)
    gone = failure
    for one in found.rounds:
        offline = world.people(world.offline(world.failed(gone)))
        assert one.cut_off == (offline if internet is not None else None)
        gone |= _named(world.topology, one.overloaded)
    assert found.cut_off == found.rounds[-1].cut_off


def test_random_cascades_have_intervals() -> None:
    """With boundless tolerance they are plain random failures; with little they cost more."""
    intact = Intact(radio.generate(30))
    draws = Draws(2, samples=40, seed=3)
    plain = random_failures(intact, draws)
    calm = random_cascades(intact, draws, tolerance=1e6)
    assert (calm.pairs_lost, calm.share_lost) == (plain.pairs_lost, plain.share_lost)
    assert (calm.links_overloaded.mean, calm.spreads.mean, calm.unsettled) == (0, 0, 0)
    tense = random_cascades(intact, draws, tolerance=0.1)
    assert tense.pairs_lost.mean > calm.pairs_lost.mean
    assert tense.spreads.low > 0
    internet = Internet.of(intact.topology, ["n0000"])
    plain_of_people = random_failures(intact, draws, internet).cut_off
    assert random_cascades(intact, draws, internet, tolerance=1e6).cut_off == plain_of_people
    assert plain_of_people is not None
    assert plain_of_people.clients is None  # nobody knows them


def test_a_cascade_needs_capacities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without capacities or tolerance, or beyond all routes, it is refused with a remedy."""
    with pytest.raises(InvalidInput, match="Give capacities, or a tolerance"):
        cascade(Intact(line(3)), Failure.at())
    with pytest.raises(InvalidInput, match="0 or more"):
        cascade(Intact(line(3)), Failure.at(), tolerance=-0.1)
    monkeypatch.setattr(intact_module, "MAX_CELLS", 40)
    with pytest.raises(InvalidInput, match="fewer destinations"):
        cascade(Intact(line(10)), Failure.at(), tolerance=1.0)
