"""Differences and merging: events rebuild the new map, indices and numbers carry over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.diff import (
    Event,
    LinkAdded,
    LinkChanged,
    LinkRemoved,
    NodeAdded,
    NodeRemoved,
    diff,
    in_words,
    merge,
    renamed,
)
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable

POOL = ["a", "b", "c", "d", "e", "f", "g"]

# A map by content: node ids, and for each unordered pair {from: quality of that direction}, kind.
Content = tuple[set[str], dict[frozenset[str], tuple[dict[str, float], str]]]


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    ids = draw(st.lists(st.sampled_from(POOL), unique=True))
    pairs = [(a, b) for a in range(len(ids)) for b in range(len(ids)) if a != b]
    chosen = st.lists(st.sampled_from(pairs), unique_by=frozenset)
    links = draw(chosen) if pairs else []
    values = st.sampled_from([0.25, 0.5, 1.0])
    kinds = draw(st.permutations(["wifi", "vpn", "fibre"]))
    return Topology.of(
        ids,
        links,
        np.reshape([(draw(values), draw(values)) for _ in links], (-1, 2)),
        np.array([draw(st.integers(0, 2)) for _ in links], dtype=int),
        tuple(kinds),
    )


def content(topology: Topology, nodes: set[str] | None = None) -> Content:
    links = {}
    for (a, b), (forth, back), kind in zip(
        topology.ends, topology.quality.tolist(), topology.kind, strict=True
    ):
        x, y = topology.ids[a], topology.ids[b]
        links[frozenset((x, y))] = ({x: forth, y: back}, topology.kinds[kind])
    return set(topology.ids) if nodes is None else nodes, links


def apply(events: tuple[Event, ...], state: Content) -> Content:
    nodes, links = set(state[0]), dict(state[1])
    for event in events:
        match event:
            case NodeAdded(node):
                assert node not in nodes
                nodes.add(node)
            case NodeRemoved(node):
                assert not any(node in pair for pair in links)
                nodes.remove(node)
            case LinkAdded(a, b, quality, kind):
                assert {a, b} <= nodes
                assert frozenset((a, b)) not in links
                links[frozenset((a, b))] = ({a: quality[0], b: quality[1]}, kind)
            case LinkRemoved(a, b):
                del links[frozenset((a, b))]
            case LinkChanged(a, b, quality, kind, quality_before, kind_before):
                before = ({a: quality_before[0], b: quality_before[1]}, kind_before)
                assert links[frozenset((a, b))] == before
                assert (quality, kind) != (quality_before, kind_before)
                links[frozenset((a, b))] = ({a: quality[0], b: quality[1]}, kind)
    return nodes, links


@given(topologies(), topologies())
def test_events_turn_the_old_map_into_the_new(old: Topology, new: Topology) -> None:
    """Applied in their order, the events of a difference make the old map the new one."""
    assert apply(diff(old, new), content(old)) == content(new)


@given(topologies())
def test_nothing_changed_is_no_event(topology: Topology) -> None:
    """A map has no difference to itself, and merging it in moves nothing."""
    assert diff(topology, topology) == ()
    merged = merge(topology, topology)
    assert merged.topology == topology
    assert merged.directed.tolist() == list(range(2 * topology.n_links))
    assert merged.present.all()


@given(topologies(), st.randoms(use_true_random=False))
def test_another_numbering_is_no_event(topology: Topology, random: object) -> None:
    """Maps that list the same things in another order or direction do not differ."""
    nodes = list(range(topology.n_nodes))
    random.shuffle(nodes)  # type: ignore[attr-defined]
    position = {node: at for at, node in enumerate(nodes)}
    ends = [(position[b], position[a]) for a, b in topology.ends.tolist()]
    turned = Topology.of(
        [topology.ids[node] for node in nodes],
        ends,
        topology.quality[:, ::-1],
        topology.kind,
        topology.kinds,
    )
    assert diff(topology, turned) == ()
    assert merge(topology, turned).topology == topology


@given(topologies(), topologies())
def test_merging_is_the_new_map_in_old_indices(old: Topology, new: Topology) -> None:
    """Old indices stay, new ones follow, and what is present is exactly the new map."""
    merged = merge(old, new)
    topology = merged.topology
    assert topology.ids[: old.n_nodes] == old.ids
    here = {name for name, there in zip(topology.ids, merged.present, strict=True) if there}
    assert here == set(new.ids)
    assert content(topology, here) == content(new)
    assert (topology.degree[~merged.present] == 0).all()


@given(topologies(), topologies())
def test_directed_links_are_carried_over(old: Topology, new: Topology) -> None:
    """An old directed link maps to the one between the same nodes, or to -1 when it is gone."""
    merged = merge(old, new)
    for number, target in enumerate(merged.directed.tolist()):
        ends = int(old.link_source[number]), int(old.link_target[number])
        found = merged.topology.directed_link(*ends)
        assert target == (-1 if found is None else found)


@given(topologies(), topologies(), topologies())
def test_indices_never_move(first: Topology, second: Topology, third: Topology) -> None:
    """Over two refreshes every node keeps its index, and one that returns gets its own back."""
    after = merge(first, second).topology
    later = merge(after, third).topology
    assert later.ids[: after.n_nodes] == after.ids
    assert {later.index_of(name) for name in first.ids} == set(range(first.n_nodes))
    present = merge(after, third).present
    assert content(later, set(third.ids)) == content(third)
    assert [name for name, there in zip(later.ids, present, strict=True) if there] == [
        name for name in later.ids if name in third
    ]


def test_a_node_that_is_called_otherwise_is_renamed() -> None:
    """By id, in whatever order both have them; one that is new or gone is not renamed."""

    def town(names: dict[str, str]) -> Topology:
        table = replace(NodeTable.unknown(len(names)), names=tuple(names.values()))
        return Topology.of(list(names), [(0, 1)], nodes=table)

    old = town({"a": "church", "b": "", "c": "mill"})
    assert renamed(old, town({"c": "mill", "b": "", "a": "church"})) == []
    assert renamed(old, town({"d": "x", "b": "y", "a": "belfry"})) == ["b", "a"]


def test_events_are_told_in_words() -> None:
    """With the names of nodes; each kind has a sentence."""
    told = [
        in_words(event, str.upper)
        for event in (
            NodeAdded("a"),
            NodeRemoved("a"),
            LinkAdded("a", "b", (1.0, 1.0), "wifi"),
            LinkRemoved("a", "b"),
            LinkChanged("a", "b", (1.0, 1.0), "wifi", (0.5, 1.0), "wifi"),
        )
    ]
    assert told == [
        "node A is new",
        "node A is gone",
        "link A--B is new",
        "link A--B is gone",
        "link A--B has another quality or kind",
    ]
