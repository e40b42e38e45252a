"""A network as lists that people filter and sort."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from actors.topology import listing
from actors.topology.listing import ListedLink, ListedNode
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable
from actors.topology.provenance import Network
from actors.topology.selection import Wanted, select


def node(key: str, **values: object) -> ListedNode:
    plain = {"state": None, "since": None, "links": 0, "gateway": None, "clients": None}
    return ListedNode(**{"id": key, "name": None, "location": None, **plain, **values})  # type: ignore[arg-type]


def link(a: str, b: str, **values: object) -> ListedLink:
    plain = {"a_name": None, "b_name": None, "kind": "wifi", "state": "up"}
    more = {"quality": (1.0, 1.0), "etx": 1.0, "parallel": 1}
    return ListedLink(**{"a": a, "b": b, **plain, **more, **values})  # type: ignore[arg-type]


NODES = [
    node("n3", name="Bahnhof", state="up", clients=4, gateway=True),
    node("n1", name="anker", state="silent", clients=9),
    node("n2", state="up"),
    node("n4", name="Bahnhof", state="cut_off", clients=4),
]


def ids(rows: list[ListedNode]) -> list[str]:
    return [row.id for row in rows]


def test_nodes_are_filtered() -> None:
    """All filters hold together; an unknown value fits none."""
    assert ids(listing.chosen_nodes(NODES, containing="BAHN")) == ["n3", "n4"]
    assert ids(listing.chosen_nodes(NODES, containing="n2")) == ["n2"]
    assert ids(listing.chosen_nodes(NODES, states=["silent", "Cut_Off"])) == ["n1", "n4"]
    assert ids(listing.chosen_nodes(NODES, containing="bahn", states=["up"])) == ["n3"]
    assert ids(listing.chosen_nodes(NODES, gateways=True)) == ["n3"]
    assert listing.chosen_nodes(NODES, containing="f\nb") == []


def test_nodes_are_sorted_and_the_unknown_come_last() -> None:
    """By name without case, equals by id; numbers with the largest first."""
    assert ids(listing.ordered_nodes(NODES, "name")) == ["n1", "n3", "n4", "n2"]
    assert ids(listing.ordered_nodes(NODES, "clients")) == ["n1", "n3", "n4", "n2"]
    assert ids(listing.ordered_nodes(NODES, "id")) == ["n1", "n2", "n3", "n4"]
    with pytest.raises(InvalidInput, match="One of name, id"):
        listing.ordered_nodes(NODES, "nmae")


LINKS = [
    link("a", "b"),
    link("b", "c", quality=(None, 0.4), etx=None, kind="vpn"),
    link("c", "d", quality=(None, None), etx=None, state="down"),
    link("a", "d", quality=(0.9, 0.6), etx=1.85),
]


def test_links_are_filtered_and_sorted_the_worst_first() -> None:
    """By the worse direction that is known; a link of which nothing is known is last."""

    def ends(rows: list[ListedLink]) -> list[str]:
        return [row.a + row.b for row in rows]

    assert ends(listing.ordered_links(LINKS, "quality")) == ["bc", "ad", "ab", "cd"]
    assert ends(listing.ordered_links(LINKS, "etx")) == ["ad", "ab", "bc", "cd"]
    assert ends(listing.ordered_links(LINKS, "name")) == ["ab", "ad", "bc", "cd"]
    assert ends(listing.chosen_links(LINKS, node="d")) == ["cd", "ad"]
    assert ends(listing.chosen_links(LINKS, kinds=["VPN", "other"])) == ["bc"]
    assert ends(listing.chosen_links(LINKS, states=["down"], node="a")) == []


def test_a_map_is_listed_with_what_is_known_of_it() -> None:
    """An assumed quality is not known, a place that is not given is None, and so are clients."""
    table = replace(
        NodeTable.unknown(3),
        names=("tower", "", ""),
        gateway=np.array([True, False, False]),
        clients=np.array([-1, 0, 3], np.int32),
        location=np.array([[50.7, 6.1], [np.nan, np.nan], [0.0, 0.0]]),
    )
    world = Topology.of("abc", [(0, 1), (1, 2)], [[0.5, 0.8], [1.0, 1.0]], nodes=table)
    measured = np.array([[True, True], [False, True]])
    found = listing.of_topology(replace(world, measured=measured), Network.MAP, "town.json")
    assert [(n.name, n.gateway, n.clients, n.location, n.links) for n in found.nodes] == [
        ("tower", True, None, (50.7, 6.1), 1),
        (None, None, 0, None, 2),
        (None, None, 3, (0.0, 0.0), 1),
    ]
    first, second = found.links
    assert (first.quality, first.etx, first.a_name) == ((0.5, 0.8), 2.5, "tower")
    assert (second.quality, second.etx) == ((None, 1.0), None)


MEASURED = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3)
QUALITY = st.floats(0.01, 1.0)


@given(MEASURED, st.lists(st.tuples(QUALITY, QUALITY), min_size=3, max_size=3))
def test_a_listing_has_all_that_a_topology_has(
    measured: list[tuple[bool, bool]], quality: list[tuple[float, float]]
) -> None:
    """Listed and made a topology again: the same nodes, links and measurements."""
    world = Topology.of("abcd", [(0, 1), (1, 2), (0, 2)], quality, [0, 1, 2])
    world = replace(world, measured=np.array(measured))
    found = listing.of_topology(world, Network.MAP, "x")
    again = select(found.reading(), Wanted(all_components=True)).topology
    assert (again.ids, again.ends.tolist()) == (world.ids, world.ends.tolist())
    assert again.measured.tolist() == world.measured.tolist()
    known = world.measured
    assert again.quality[known].tolist() == world.quality[known].tolist()
    assert [again.kinds[k] for k in again.kind] == [world.kinds[k] for k in world.kind]
