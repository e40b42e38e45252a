"""The live mesh is put together from what shards tell, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.clock import VirtualClock
from actors.runtime.errors import ActorUnavailable
from actors.topology.link_state import LinkState, Roster
from actors.topology.live import MEASURE_S, LiveMesh, Watch
from actors.topology.model import Topology


def part(
    world: Topology,
    mine: np.ndarray,
    cost: np.ndarray,
    heard: np.ndarray,
    revision: int = 1,
) -> LinkState:
    """What the shard that hosts the nodes `mine` tells; columns are by directed link."""
    link = np.flatnonzero(mine[world.link_source]).astype(np.int32)
    return LinkState(revision, 7, link, cost[link].astype(np.int32), heard[link])


@st.composite
def worlds(
    draw: st.DrawFn,
) -> tuple[Topology, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A topology, who of it is present, the shard of each node, and costs and qualities heard."""
    n = draw(st.integers(1, 8))
    possible = [(a, b) for a in range(n) for b in range(a)]
    links = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    present = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    world = Topology.of(
        [f"n{i}" for i in range(n)], np.array(links).reshape(-1, 2), kind=draw(st.integers(0, 2))
    )
    shard = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    m = 2 * world.n_links
    cost = np.array(draw(st.lists(st.sampled_from([0, 256, 900]), min_size=m, max_size=m)), int)
    heard = np.array(draw(st.lists(st.floats(0.01, 1.0), min_size=m, max_size=m)), float)
    return world, present, shard, cost, heard


@given(worlds())
def test_a_link_is_there_while_both_ends_say_so(
    world: tuple[Topology, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Its quality each way is what the receiving end measures; nodes that left are left out."""
    whole, present, shard, cost, heard = world
    live = LiveMesh(Roster(1, "test", whole, present, ("s0", "s1", "s2")))
    for number in range(3):
        assert live.learn(f"s{number}", part(whole, shard == number, cost, heard))
    found = live.topology()
    assert found.ids == tuple(name for name, here in zip(whole.ids, present, strict=True) if here)
    expected = {}
    for link, (a, b) in enumerate(whole.ends.tolist()):
        there, back = 2 * link, 2 * link + 1
        if present[a] and present[b] and cost[there] and cost[back]:
            # What b hears of a, it tells with its own link, which leads back.
            expected[whole.ids[a], whole.ids[b]] = (heard[back], heard[there])
    names = [(found.ids[a], found.ids[b]) for a, b in found.ends.tolist()]
    assert dict(zip(names, map(tuple, found.quality.tolist()), strict=True)) == expected
    assert (found.kind == whole.kind[:1]).all() if found.n_links else True


def test_a_part_of_another_membership_is_not_taken() -> None:
    """It is refused and changes nothing; a newer part of the same one replaces the older."""
    world = Topology.of("ab", [(0, 1)])
    both, ones = np.ones(2, bool), np.ones(2)
    live = LiveMesh(Roster(1, "test", world, both, ("s0", "s1")))
    assert live.known("s") is None
    assert not live.learn("s", part(world, both, 256 * ones, ones, revision=2))
    assert (live.known("s"), live.changes, live.topology().n_links) == (None, 0, 0)
    assert live.learn("s", part(world, both, 256 * ones, ones))
    assert (live.known("s"), live.changes, live.topology().n_links) == ((1, 7), 1, 1)
    assert live.learn("s", part(world, both, 0 * ones, ones))
    assert (live.changes, live.topology().n_links) == (2, 0)


def test_what_nobody_has_told_of_is_down() -> None:
    """While one end's shard has said nothing, the link is not there, and the nodes are."""
    world = Topology.of("ab", [(0, 1)])
    live = LiveMesh(Roster(1, "test", world, np.ones(2, bool), ("s0", "s1")))
    live.learn("s", part(world, np.array([True, False]), 256 * np.ones(2), np.ones(2)))
    assert (live.topology().n_nodes, live.topology().n_links) == (2, 0)


class Mesh:
    """Two shards with a node each, and a link between them."""

    def __init__(self) -> None:
        self.world = Topology.of(["a", "b"], np.array([[0, 1]]))
        self.revision = 1
        self.digest = {"s0": 1, "s1": 1}
        self.behind = {"s0": 0, "s1": 0}  # by how many revisions a shard is
        self.silent: set[str] = set()
        self.asked: list[tuple[str, bool]] = []  # the shard, and whether for what is new only

    async def roster(self) -> Roster:
        if "coordinator" in self.silent:
            raise ActorUnavailable("mesh-coordinator")
        return Roster(self.revision, "test", self.world, np.ones(2, bool), ("s0", "s1"))

    async def link_state(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        self.asked.append((shard, known is not None))
        if shard in self.silent:
            raise ActorUnavailable(shard, "no answer after 2 s")
        now = self.revision - self.behind[shard], self.digest[shard]
        if known == now:
            return None
        link = np.array([int(shard == "s1")], np.int32)
        return LinkState(*now, link, np.array([256], np.int32), np.array([1.0]))


async def test_a_watch_asks_for_what_is_new_and_now_and_then_for_everything() -> None:
    """Qualities drift without being advertised, so a known digest is no answer for ever."""
    mesh, clock = Mesh(), VirtualClock()
    watch = Watch(mesh, clock)
    for _ in range(2):
        await watch.look()
    assert mesh.asked == [("s0", False), ("s1", False), ("s0", True), ("s1", True)]
    assert watch.mesh is not None
    assert watch.mesh.is_whole
    assert watch.mesh.topology().n_links == 1
    clock.advance(MEASURE_S)
    await watch.look()
    assert mesh.asked[-2:] == [("s0", False), ("s1", False)]


async def test_a_shard_that_does_not_answer_is_named_and_keeps_its_last_part() -> None:
    """What was seen before stays, with the time at which it was seen."""
    mesh, clock = Mesh(), VirtualClock()
    watch = Watch(mesh, clock)
    await watch.look()
    mesh.silent = {"s1"}
    clock.advance(1.0)
    await watch.look()
    assert watch.silent == {"s1": "no answer after 2 s"}
    assert watch.error == "s1: no answer after 2 s"
    assert watch.mesh is not None
    assert watch.mesh.topology().n_links == 1
    assert watch.seen_at == clock.now() - 1.0
    mesh.silent = set()
    await watch.look()
    assert (watch.silent, watch.error, watch.seen_at) == ({}, "", clock.now())


async def test_another_membership_begins_anew() -> None:
    """As soon as a shard follows it; one that lags behind is waited for."""
    mesh = Mesh()
    watch = Watch(mesh, VirtualClock())
    await watch.look()
    mesh.revision, mesh.behind["s1"] = 2, 1
    for whole in (False, False):  # fetched, then s1 still lags
        await watch.look()
        assert watch.mesh is not None
        assert (watch.mesh.roster.revision, watch.mesh.is_whole) == (2, whole)
    mesh.behind["s1"] = 0
    await watch.look()
    assert watch.mesh.is_whole


async def test_a_watch_goes_on_while_nobody_answers() -> None:
    """Whoever watches is told after each look, of failures too."""
    mesh = Mesh()
    mesh.silent = {"coordinator"}
    watch = Watch(mesh, VirtualClock())
    said = []

    async def seen() -> None:
        said.append(watch.error)
        mesh.silent = set()
        if len(said) == 2:
            raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        await watch.run(seen)
    assert "mesh-coordinator" in said[0]
    assert said[1] == ""
