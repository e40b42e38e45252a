"""The meshviewer importer: which links become the mesh, and what is said about the rest."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.selection import Imported, Wanted
from actors.topology.source import parse


def link(source: str, target: str, forth: float, back: float, kind: str = "wifi") -> dict[str, Any]:
    return {
        "source": source, "target": target, "source_tq": forth, "target_tq": back, "type": kind,
    }  # fmt: skip


def imported(nodes: str, links: list[dict[str, Any]], **wanted: bool) -> Imported:
    root = {"nodes": [{"node_id": node} for node in nodes], "links": links}
    return parse(json.dumps(root).encode(), "map.json", Wanted(**wanted))


def test_source_tq_is_delivery_from_source_to_target() -> None:
    """Column 0 is source to target, column 1 the way back."""
    topology = imported("ab", [link("b", "a", 0.25, 0.75)]).topology
    forth = topology.directed_link(topology.index_of("b"), topology.index_of("a"))
    assert forth is not None
    assert topology.link_quality[forth] == 0.25
    assert topology.link_quality[forth ^ 1] == 0.75
    assert topology.kinds[topology.kind[0]] == "wifi"


def test_vpn_links_are_dropped_on_request() -> None:
    """VPN links stay by default and go with vpn=False, which is counted."""
    links = [link("a", "b", 1, 1), link("b", "c", 1, 1, "vpn"), link("a", "c", 0.5, 0.5)]
    assert imported("abc", links).topology.n_links == 3
    without = imported("abc", links, vpn=False)
    assert without.topology.n_links == 2
    assert without.left_out == {"vpn links": 1}


def test_a_link_needs_quality_both_ways() -> None:
    """A link heard in one direction only is left out and counted."""
    read = imported("abc", [link("a", "b", 1, 0.1), link("b", "c", 1, 0), link("a", "c", 0, 0)])
    assert read.topology.ids == ("a", "b")
    assert read.left_out == {
        "links without quality in both directions": 2,
        "nodes outside the largest component": 1,
    }


def test_the_better_of_parallel_links_stays() -> None:
    """Of links between one pair, whichever way listed, the highest product stays, kind and all."""
    links = [link("a", "b", 1, 0.4, "vpn"), link("b", "a", 0.8, 0.7), link("a", "b", 0.7, 0.8)]
    read = imported("ab", links)
    assert read.topology.quality.tolist() == [[0.8, 0.7]]
    assert read.topology.ids[read.topology.ends[0, 0]] == "b"
    assert read.topology.kinds[read.topology.kind[0]] == "wifi"
    assert read.left_out == {"parallel links": 2}


def test_dropped_vpn_links_do_not_shadow_radio_links() -> None:
    """A dropped VPN link leaves a worse radio link between the same pair in place."""
    read = imported("ab", [link("a", "b", 1, 1, "vpn"), link("a", "b", 0.3, 0.3)], vpn=False)
    assert read.topology.quality.tolist() == [[0.3, 0.3]]


def test_links_to_oneself_are_left_out() -> None:
    """A link from a node to itself is counted, not kept."""
    read = imported("ab", [link("a", "a", 1, 1), link("a", "b", 1, 1)])
    assert read.topology.n_links == 1
    assert read.left_out == {"links from a node to itself": 1}


def test_the_largest_component_stays_unless_all_are_wanted() -> None:
    """Smaller components and single nodes go and are counted; all_components keeps them."""
    links = [link("a", "b", 1, 1), link("c", "d", 1, 1), link("d", "e", 1, 1)]
    read = imported("abcdef", links)
    assert read.topology.ids == ("c", "d", "e")
    assert read.left_out == {
        "nodes outside the largest component": 3,
        "links outside the largest component": 1,
    }
    whole = imported("abcdef", links, all_components=True)
    assert whole.topology.ids == tuple("abcdef")
    assert whole.left_out == {}


def test_nodes_may_be_keyed_by_id() -> None:
    """The older form, an object of nodes keyed by id, reads alike."""
    links = [link("a", "b", 1, 0.5)]
    body = json.dumps({"nodes": {"a": {}, "b": {"is_online": True}}, "links": links}).encode()
    assert parse(body, "map.json", Wanted()).topology == imported("ab", links).topology


def test_offline_nodes_with_links_stay_and_are_said() -> None:
    """A node marked offline goes only for want of links; one with links is kept with a warning."""
    nodes = [{"node_id": name, "is_online": name == "a"} for name in "abc"]
    body = json.dumps({"nodes": nodes, "links": [link("a", "b", 1, 1)]}).encode()
    read = parse(body, "map.json", Wanted())
    assert read.topology.ids == ("a", "b")
    assert read.left_out == {"nodes outside the largest component": 1}
    assert len(read.warnings) == 1
    assert read.warnings[0].startswith("1 nodes with links are marked offline")


def test_other_kinds_of_link_are_kept_by_name() -> None:
    """A kind that is not wifi, vpn or other stays under its own name; none means other."""
    links = [link("a", "b", 1, 1, "fibre"), link("b", "c", 1, 1)]
    del links[1]["type"]
    topology = imported("abc", links).topology
    assert [topology.kinds[kind] for kind in topology.kind] == ["fibre", "other"]


QUALITY = st.sampled_from([0, 0.25, 0.5, 1])
LINKS = st.lists(
    st.builds(
        link,
        st.sampled_from("abcdefg"),
        st.sampled_from("abcdefg"),
        QUALITY,
        QUALITY,
        st.sampled_from(["wifi", "vpn"]),
    ),
    max_size=25,
)


@given(LINKS, st.booleans())
def test_selection_matches_the_rules_spelled_out(links: list[dict[str, Any]], vpn: bool) -> None:  # noqa: FBT001 - drawn
    """On any map, what is kept is what networkx keeps by the rules, and every link is counted."""
    graph = nx.Graph()
    graph.add_nodes_from("abcdefg")
    for entry in links:
        a, b, product = entry["source"], entry["target"], entry["source_tq"] * entry["target_tq"]
        if a != b and product > 0 and (vpn or entry["type"] != "vpn"):
            known = graph.get_edge_data(a, b, {"product": 0})["product"]
            graph.add_edge(a, b, product=max(product, known))
    if graph.number_of_edges() == 0:
        return
    read = imported("abcdefg", links, vpn=vpn)
    sizes = sorted(map(len, nx.connected_components(graph)), reverse=True)
    kept = set(read.topology.ids)
    assert kept in [set(part) for part in nx.connected_components(graph)]
    assert len(kept) == sizes[0]
    inner = graph.subgraph(kept)
    topology = read.topology
    assert topology.n_links == inner.number_of_edges()
    for (a, b), quality in zip(topology.ends, topology.quality, strict=True):
        assert inner.edges[topology.ids[a], topology.ids[b]]["product"] == quality.prod()
    links_out = sum(count for reason, count in read.left_out.items() if "link" in reason)
    assert links_out + topology.n_links == len(links)


def located(locations: dict[str, Any]) -> Imported:
    root = {
        "nodes": [{"node_id": node, "location": place} for node, place in locations.items()],
        "links": [link(a, b, 1, 1) for a, b in zip(locations, list(locations)[1:], strict=False)],
    }
    return parse(json.dumps(root).encode(), "map.json", Wanted())


def test_places_are_kilometres_from_the_middle() -> None:
    """East is to the right, north up, and distances are those on the ground."""
    # Halle is 32.2 km (great circle) north-west of Leipzig.
    cities = {
        "leipzig": {"latitude": 51.340, "longitude": 12.375},
        "halle": {"latitude": 51.482, "longitude": 11.970},
    }
    places = located(cities).positions
    east, north = np.subtract(places["halle"], places["leipzig"])
    assert east < 0 < north
    assert np.hypot(east, north) == pytest.approx(32.2, rel=0.01)
    assert np.allclose(np.mean(list(places.values()), axis=0), 0.0)


@pytest.mark.parametrize(
    "place",
    [
        None,
        5,
        [],
        {},
        {"latitude": 1},
        {"latitude": "1", "longitude": 2},
        {"latitude": 91, "longitude": 0},
        {"latitude": 0, "longitude": -181},
    ],
)
def test_places_that_cannot_be_read_are_none(place: object) -> None:
    """A node without a sensible location is kept, and has no place."""
    read = located({"a": place, "b": {"latitude": 0, "longitude": 0}})
    assert read.topology.ids == ("a", "b")
    assert read.positions == {"b": (0.0, 0.0)}


def test_maps_without_places_have_none() -> None:
    """Nor have nodes that were left out."""
    assert imported("ab", [link("a", "b", 1, 1)]).positions == {}
    places = {name: {"latitude": 1, "longitude": 1} for name in "abc"}
    root = {
        "nodes": [{"node_id": node, "location": place} for node, place in places.items()],
        "links": [link("a", "b", 1, 1)],
    }
    assert set(parse(json.dumps(root).encode(), "map.json", Wanted()).positions) == {"a", "b"}
