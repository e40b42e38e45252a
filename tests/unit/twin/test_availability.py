"""Availability against all states spelled out, and drawn against enumerated."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from actors.topology import radio
from actors.topology.errors import UnknownNode
from actors.topology.model import Topology
from actors.twin import interval
from actors.twin.availability import MAX_ENUMERATED, Outages, availability, unavailability
from actors.twin.failure import Failure
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from tests.unit.twin.meshes import World, connected_before, connected_pairs, failures, worlds

if TYPE_CHECKING:
    from actors.twin.results import InternetAvailability, Interval

SURE = 0.99999  # confidence of intervals that must hold in every run


def line(n: int) -> Topology:
    return Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)])


@st.composite
def outages(draw: st.DrawFn, world: World) -> Outages:
    """At most seven fallible things, so that all states can be spelled out."""
    n, m = world.topology.n_nodes, world.topology.n_links
    down = st.floats(0.01, 0.6)
    nodes, links = np.zeros(n), np.zeros(m)
    for node in draw(st.sets(st.integers(0, n - 1), max_size=3)):
        nodes[node] = draw(down)
    for link in draw(st.sets(st.integers(0, m - 1), max_size=3)):
        links[link] = draw(down)
    groups = [(draw(failures(world.topology)), draw(down))] if draw(st.booleans()) else []
    return Outages(nodes, links, groups)


def states(world: World, outages: Outages) -> list[tuple[float, nx.Graph]]:
    """Probability and surviving graph of every state."""
    things = [(Failure.at([v]), u) for v, u in enumerate(outages.nodes) if u]
    things += [(Failure.at((), [e]), u) for e, u in enumerate(outages.links) if u]
    things += list(outages.groups)
    found = []
    for down in product((False, True), repeat=len(things)):
        failure, chance = Failure.at(), 1.0
        for (one, unavailable), fails in zip(things, down, strict=True):
            chance *= unavailable if fails else 1 - unavailable
            failure = failure | one if fails else failure
        found.append((chance, world.failed(failure)))
    return found


@given(st.data())
def test_enumeration_is_exact_and_draws_agree(data: st.DataObject) -> None:
    """Every figure is the sum over all states, and lies in the interval of drawn states."""
    world = data.draw(worlds(2, 6))
    topology = world.topology
    given_outages = data.draw(outages(world))
    pairs = list(combinations(topology.ids, 2))
    internet = Internet.of(topology)
    exact = availability(Intact(topology), given_outages, pairs, internet=internet)
    all_states = states(world, given_outages)
    assert (exact.method, exact.samples) == ("enumeration", len(all_states))
    assert 2**exact.elements == len(all_states)
    drawn = availability(
        Intact(topology),
        given_outages,
        pairs,
        samples=4000,
        seed=11,
        confidence=SURE,
        method="monte-carlo",
        internet=internet,
    )
    _check_internet(world, all_states, exact.internet, drawn.internet)
    assert (drawn.method, drawn.samples, drawn.all_up) == ("monte-carlo", 4000, exact.all_up)
    for name, value in _truth(world, all_states).items():
        _check(getattr(exact, name), getattr(drawn, name), value)
    for pair, one, estimate in zip(pairs, exact.pairs, drawn.pairs, strict=True):
        assert (one.a, one.b) == pair
        i, j = map(topology.index_of, pair)
        up = [(p, graph) for p, graph in all_states if i in graph and j in graph]
        joined = sum(p for p, graph in up if nx.has_path(graph, i, j))
        _check(one.availability, estimate.availability, joined)
        total = sum(p for p, _ in up)
        if total > 0:
            _check(one.given_ends_up, estimate.given_ends_up, joined / total)
        else:
            assert one.given_ends_up is estimate.given_ends_up is None


def _check_internet(
    world: World,
    all_states: list[tuple[float, nx.Graph[int]]],
    exact: InternetAvailability | None,
    drawn: InternetAvailability | None,
) -> None:
    """Shares of nodes and clients that are up and reach a gateway, of those that ever do."""
    having = set(world.graph) - world.without_gateway(world.graph)
    if not having:
        assert exact is drawn is None
        return
    assert exact is not None
    assert drawn is not None
    served = [(p, having & (set(graph) - world.without_gateway(graph))) for p, graph in all_states]
    nodes = sum(p * len(now) / len(having) for p, now in served)
    _check(exact.nodes, drawn.nodes, nodes)
    _check(exact.everybody, drawn.everybody, sum(p for p, now in served if now == having))
    assert exact.clients_known == drawn.clients_known == len(world.clients(having))
    if clients := sum(world.clients(having)):
        share = sum(p * sum(world.clients(now)) / clients for p, now in served)
        _check(exact.clients, drawn.clients, share)
    else:
        assert exact.clients is drawn.clients is None


def _truth(world: World, all_states: list[tuple[float, nx.Graph[int]]]) -> dict[str, float]:
    """The figures of the whole mesh, summed over all its states."""
    everything = connected_pairs(world.graph)
    kept = [
        (chance, connected_before(world, graph) == connected_pairs(graph), graph)
        for chance, graph in all_states
    ]
    n = world.topology.n_nodes
    return {
        "whole": sum(p for p, same, graph in kept if same and len(graph) == n),
        "survivors_connected": sum(p for p, same, _ in kept if same),
        "pair_share": sum(p * connected_pairs(graph) / everything for p, _, graph in kept),
    }


def _check(found: Interval | None, estimate: Interval | None, value: float) -> None:
    """The exact figure is `value`, and the interval of the drawn one holds it."""
    assert found is not None
    assert estimate is not None
    assert found.low == found.mean == found.high == pytest.approx(value)
    assert estimate.low - 1e-9 <= value <= estimate.high + 1e-9


def test_two_links_in_series_by_hand() -> None:
    """Availabilities in series multiply."""
    u = unavailability(99.0, 1.0)
    found = availability(
        Intact(line(3)), Outages(np.zeros(3), np.full(2, u)), [("n0", "n2"), ("n0", "n1")]
    )
    assert [one.availability.mean for one in found.pairs] == pytest.approx([0.99**2, 0.99])
    assert found.all_up == found.whole.mean == pytest.approx(0.99**2)


def test_a_shared_risk_takes_both_ways() -> None:
    """Two ways that hang on one supply are no better than the supply."""
    ring = Topology.of(list("abcd"), [(0, 1), (1, 2), (2, 3), (3, 0)])
    alone = Outages(np.array([0, 0.1, 0, 0.1]), np.zeros(4))
    shared = Outages(np.zeros(4), np.zeros(4), [(Failure.at([1, 3]), 0.1)])
    both = [availability(Intact(ring), one, [("a", "c")]).pairs[0] for one in (alone, shared)]
    assert [one.availability.mean for one in both] == pytest.approx([0.99, 0.9])


def test_nothing_fails() -> None:
    """Without outages there is one state, and it is good."""
    found = availability(Intact(line(2)), Outages(np.zeros(2), np.zeros(1)), [("n0", "n1")])
    assert (found.samples, found.elements) == (1, 0)
    assert found.whole.mean == found.all_up == found.pairs[0].availability.mean == 1.0


def test_rare_failures_leave_room_for_doubt() -> None:
    """Where no draw failed, the interval still reaches below 1."""
    outages = Outages(np.full(20, 1e-7), np.zeros(19))
    found = availability(Intact(line(20)), outages, [("n0", "n19")], samples=1000)
    for estimate in (found.whole, found.pair_share, found.pairs[0].availability):
        assert estimate.mean == 1.0
        assert 0.99 < estimate.low < 1.0 == estimate.high


def test_large_meshes_are_drawn_repeatably() -> None:
    """More fallible things than can be enumerated are drawn, by the seed."""
    topology = radio.generate(50)
    outages = Outages(np.full(50, 0.01), np.full(topology.n_links, 0.01))
    first = availability(Intact(topology), outages, samples=2000, seed=1)
    assert first.method == "monte-carlo"
    assert first.elements == 50 + topology.n_links > MAX_ENUMERATED
    assert availability(Intact(topology), outages, samples=2000, seed=1) == first
    assert availability(Intact(topology), outages, samples=2000, seed=2) != first
    assert first.whole.low <= first.whole.mean <= first.survivors_connected.mean
    assert math.isclose(first.all_up, 0.99**first.elements)
    with pytest.raises(InvalidInput, match="Draw them"):
        availability(Intact(topology), outages, method="enumeration")


@pytest.mark.parametrize(("mtbf", "mttr"), [(0, 1), (-1, 1), (1, -1), (math.inf, 1), (1, math.nan)])
def test_impossible_times_are_refused(mtbf: float, mttr: float) -> None:
    """What never works has no availability."""
    with pytest.raises(InvalidInput):
        unavailability(mtbf, mttr)


def test_unknown_nodes_and_few_samples() -> None:
    """Wrong questions are typed errors."""
    outages = Outages(np.zeros(2), np.zeros(1))
    with pytest.raises(UnknownNode):
        availability(Intact(line(2)), outages, [("n0", "nx")])
    with pytest.raises(InvalidInput):
        availability(Intact(line(2)), outages, samples=1)


@pytest.mark.parametrize(("successes", "samples"), [(0, 10), (10, 10), (3, 10), (81, 263)])
def test_wilson(successes: int, samples: int) -> None:
    """Bounds are where the score test just rejects (Wilson 1927, equation 5)."""
    found = interval.probability(successes, samples, 0.95)
    share = successes / samples
    assert found.low <= share <= found.high
    for bound, edge in ((found.low, 0.0), (found.high, 1.0)):
        if bound == edge:
            assert share == edge
        else:
            z = abs(share - bound) / math.sqrt(bound * (1 - bound) / samples)
            assert z == pytest.approx(1.959964, abs=1e-5)
