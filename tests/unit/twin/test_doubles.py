"""Double failures against taking every two out of a graph that has an edge for each link."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
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
from actors.twin import link_pairs
from actors.twin.doubles import double_failures
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from actors.twin.limits import MAX_PAIRS
from tests.unit.twin.meshes import worlds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.twin.results import RankedDouble
    from tests.unit.twin.meshes import World

Thing = tuple[str, int, int]  # "node" or "link", its index, and which of the parallel ones it is
Cost = tuple[int, int, int, int]  # pairs, nodes, their clients, of how many these are known


def ring(n: int) -> Topology:
    return Topology.of([f"n{i}" for i in range(n)], [(i, (i + 1) % n) for i in range(n)])


def everything(world: World) -> list[Thing]:
    """All that can fail: every node, and every one of the links that join a pair."""
    links = enumerate(world.topology.parallel.tolist())
    return [
        *(("node", v, 0) for v in range(world.topology.n_nodes)),
        *(("link", e, which) for e, count in links for which in range(count)),
    ]


def without(world: World, things: Iterable[Thing]) -> nx.MultiGraph:
    """The graph of every link without these."""
    after = world.every_link.copy()
    ends = world.topology.ends.tolist()
    for kind, index, which in things:
        if kind == "node":
            after.remove_node(index)
        elif after.has_edge(*ends[index], key=which):
            after.remove_edge(*ends[index], key=which)
    return after


class Losses:
    """The pairs of nodes that failures part, and the nodes that they cut off."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.parted: dict[Thing, set[frozenset[int]]] = {}
        self.offline: dict[Thing, set[int]] = {}
        for thing in everything(world):
            self.parted[thing], self.offline[thing] = self.of([thing])

    def of(self, things: list[Thing]) -> tuple[set[frozenset[int]], set[int]]:
        before, after = self.world.graph, without(self.world, things)
        apart = {
            frozenset((a, b))
            for a, b in combinations(after, 2)
            if nx.has_path(before, a, b) and not nx.has_path(after, a, b)
        }
        return apart, self.world.offline(after)

    def beyond(self, one: Thing, other: Thing) -> Cost:
        """What both together cost beyond what either does."""
        parted, offline = self.of([one, other])
        parted -= self.parted[one] | self.parted[other]
        offline -= self.offline[one] | self.offline[other]
        known = self.world.clients(offline)
        return len(parted), len(offline), sum(known), len(known)


def brute(world: World, *, internet: bool) -> dict[str, Counter[tuple[str, str, Cost]]]:
    """Every pair that costs anything, by kind."""
    losses, topology = Losses(world), world.topology
    names = {
        thing: topology.ids[thing[1]] if thing[0] == "node" else topology.link_name(thing[1])
        for thing in losses.parted
    }
    found: dict[str, Counter[tuple[str, str, Cost]]] = {
        kind: Counter() for kind in ("nodes", "links", "mixed")
    }
    for one, other in combinations(losses.parted, 2):
        cost = losses.beyond(one, other)
        if not internet:
            cost = (cost[0], 0, 0, 0)
        if any(cost):
            kinds = {one[0], other[0]}
            kind = "mixed" if len(kinds) == 2 else f"{kinds.pop()}s"
            found[kind][names[one], names[other], cost] += 1
    return found


def said(pairs: list[RankedDouble]) -> Counter[tuple[str, str, Cost]]:
    """Pairs as `brute` has them."""
    off = [one.cut_off for one in pairs]
    costs = [(c.nodes, c.clients or 0, c.clients_known) if c else (0, 0, 0) for c in off]
    return Counter(
        (one.a, one.b, (one.pairs_lost, *cost)) for one, cost in zip(pairs, costs, strict=True)
    )


@given(worlds())
def test_every_two_are_accounted_for(world: World) -> None:
    """Each pair that costs more than its two do is found, with what it costs, and no other."""
    internet = Internet.of(world.topology)
    found = double_failures(Intact(world.topology), MAX_PAIRS, internet)
    truth = brute(world, internet=internet is not None)
    assert said(found.nodes) == truth["nodes"]
    assert said(found.links) == truth["links"]
    assert said(found.nodes_with_links) == truth["mixed"]
    counts = found.node_pairs, found.link_pairs, found.node_and_link_pairs
    assert counts == tuple(len(some) for some in truth.values())


@given(worlds(), st.integers(1, 5))
def test_the_costliest_come_first(world: World, most: int) -> None:
    """As many as were asked for, the costliest of all by what they are ranked by."""
    internet = Internet.of(world.topology)
    intact = Intact(world.topology)
    everyone = double_failures(intact, MAX_PAIRS, internet)
    few = double_failures(intact, most, internet)
    key = {"pairs": 0, "nodes": 1, "clients": 2}[few.ranked_by]
    for some, of_all in (
        (few.nodes, everyone.nodes),
        (few.links, everyone.links),
        (few.nodes_with_links, everyone.nodes_with_links),
    ):
        assert some == of_all[:most]
        costs = [cost[key] for _, _, cost in (next(iter(said([one]))) for one in of_all)]
        assert costs == sorted(costs, reverse=True)
    assert few.node_pairs == everyone.node_pairs


def test_a_ring() -> None:
    """Any two links of a ring part it, and any two nodes that are no neighbours."""
    n = 40
    found = double_failures(Intact(ring(n)), 5)
    assert (found.link_pairs, found.node_pairs) == (n * (n - 1) // 2, n * (n - 3) // 2)
    assert found.links[0].pairs_lost == (n // 2) ** 2
    assert found.nodes[0].pairs_lost == (n // 2 - 1) ** 2
    assert found.nodes[0].cut_off is None


def test_two_uplinks_must_not_fail_together() -> None:
    """Between two gateways every node costs nobody the internet alone, and any two do."""
    line = Topology.of("abcde", [(0, 1), (1, 2), (2, 3), (3, 4)])
    clients = np.array([0, 0, 7, 0, 0], np.int32)
    known = replace(line, nodes=replace(line.nodes, clients=clients))
    found = double_failures(Intact(known), 3, Internet.of(known, ["a", "e"]), "clients")
    worst = found.nodes[0]
    assert (worst.a, worst.b) == ("a", "e")
    assert worst.cut_off is not None
    assert (worst.cut_off.nodes, worst.cut_off.clients, worst.pairs_lost) == (3, 7, 0)


def test_the_two_links_of_a_pair() -> None:
    """Cable and radio between two: neither costs anything, both together part them."""
    line = Topology.of("abc", [(0, 1), (1, 2)])
    mesh = replace(line, parallel=np.array([2, 3], np.int16))
    (both,) = double_failures(Intact(mesh), 9).links
    assert (both.a, both.b, both.pairs_lost) == ("a--b", "a--b", 2)


def test_equal_sums_by_chance_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were two different sums equal, the classes would be drawn again: the result is exact."""
    topology = radio.generate(40)
    truth = double_failures(Intact(topology), MAX_PAIRS).links
    seeds, real = [], np.random.default_rng

    class Poor:
        """Gives every link the same number at first."""

        def integers(self, low: int, high: int, size: int, kind: type) -> np.ndarray:
            assert low < high
            return np.ones(size, kind)

    def generator(seed: int) -> object:
        seeds.append(seed)
        return Poor() if seed == 0 else real(seed)

    monkeypatch.setattr(link_pairs.np.random, "default_rng", generator)
    assert double_failures(Intact(topology), MAX_PAIRS).links == truth
    assert seeds == [0, 1]


@pytest.mark.parametrize("n", [0, 1, 2])
def test_small_meshes(n: int) -> None:
    """Nothing can be lost by two of two."""
    mesh = Topology.of([f"n{i}" for i in range(n)], [(0, 1)] if n == 2 else [])
    found = double_failures(Intact(mesh), 5)
    assert (found.nodes, found.links, found.nodes_with_links) == ([], [], [])


@pytest.mark.parametrize("most", [0, MAX_PAIRS + 1])
def test_an_impossible_number_is_refused(most: int) -> None:
    """Between one and as many as an answer may hold."""
    with pytest.raises(InvalidInput):
        double_failures(Intact(ring(5)), most)
