"""The live mesh is put together from what shards tell, and from nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.link_state import LinkState, Roll
from actors.topology.model import Topology
from actors.twin.live import LiveMesh


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
    live = LiveMesh(Roll(1, "test", whole, present))
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
    live = LiveMesh(Roll(1, "test", world, both))
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
    live = LiveMesh(Roll(1, "test", world, np.ones(2, bool)))
    live.learn("s", part(world, np.array([True, False]), 256 * np.ones(2), np.ones(2)))
    assert (live.topology().n_nodes, live.topology().n_links) == (2, 0)
