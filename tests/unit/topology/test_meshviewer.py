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


def imported(nodes: str, links: list[dict[str, Any]], **wanted: Any) -> Imported:
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


def test_only_a_link_that_nobody_hears_is_left_out() -> None:
    """An end that did not answer is written as 0: the other direction stands for it."""
    read = imported("abc", [link("a", "b", 1, 0.1), link("b", "c", 0, 0.5), link("a", "c", 0, 0)])
    assert read.topology.quality.tolist() == [[1, 0.1], [0.5, 0.5]]
    assert read.topology.measured.tolist() == [[True, True], [False, True]]
    assert read.left_out == {"links without quality in either direction": 1}
    assert read.altered == {"one-sided links": 1}
    assert any("quality of 1 links is not known" in warning for warning in read.warnings)


def test_parallel_links_are_counted_and_the_best_stands_for_them() -> None:
    """Of links between one pair, whichever way listed, the highest product counts, kind and all."""
    links = [link("a", "b", 1, 0.4, "vpn"), link("b", "a", 0.8, 0.7), link("a", "b", 0.7, 0.8)]
    read = imported("ab", links)
    assert read.topology.quality.tolist() == [[0.8, 0.7]]
    assert read.topology.ids[read.topology.ends[0, 0]] == "b"
    assert read.topology.kinds[read.topology.kind[0]] == "wifi"
    assert read.topology.parallel.tolist() == [3]
    assert read.left_out == {}


def test_a_measured_link_stands_before_an_assumed_one() -> None:
    """A quality that is only assumed to be perfect does not beat one that was measured."""
    unknown = link("a", "b", 1, 1)
    del unknown["source_tq"], unknown["target_tq"]
    read = imported("ab", [unknown, link("a", "b", 0.5, 0.5)])
    assert read.topology.quality.tolist() == [[0.5, 0.5]]
    assert read.topology.measured.all()
    assert read.topology.parallel.tolist() == [2]


@pytest.mark.parametrize("kind", ["vpn", "VPN", "vpn-fastd", "l2tp", "tunnel", "wg", "fastd0"])
def test_tunnels_are_vpn_by_their_kind(kind: str) -> None:
    """Whatever a tunnel is called: it is vpn, and goes with vpn=False."""
    links = [link("a", "b", 1, 1), link("b", "c", 1, 1, kind)]
    topology = imported("abc", links).topology
    assert [topology.kinds[each] for each in topology.kind] == ["wifi", "vpn"]
    assert imported("abc", links, vpn=False).left_out["vpn links"] == 1


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"vpn": True, "model": "vpn server"}, "vpn"),
        ({"vpn": True, "model": "QEMU Standard PC"}, "vpn"),
        ({"vpn": True, "role": "gateway"}, "vpn"),
        ({"vpn": True, "model": "TP-Link TL-WDR4300 v1"}, "wifi"),
        ({"vpn": True, "model": "None"}, "wifi"),
        ({"vpn": False, "model": "vpn server"}, "wifi"),
        ({}, "wifi"),
    ],
)
def test_all_links_of_a_vpn_server_are_tunnels(about: dict[str, Any], expected: str) -> None:
    """A node that says vpn and is a server has tunnels only; a router that says it has radios."""
    root = {
        "nodes": [{"node_id": "a"}, {"node_id": "b", **about}],
        "links": [link("a", "b", 1, 1)],
    }
    topology = parse(json.dumps(root).encode(), "map.json", Wanted()).topology
    assert topology.kinds[topology.kind[0]] == expected


BABEL = [96, 256, 257, 512, 1024, 40000]


@pytest.mark.parametrize("cost", BABEL)
def test_costs_of_babel_are_recognised(cost: int) -> None:
    """1 - cost / 65535 is no share of frames: a cost of 1024 is an ETX of 4."""
    written = float(np.float32(1) - np.float32(cost) / np.float32(65535))
    other = float(np.float32(1) - np.float32(96) / np.float32(65535))
    read = imported("abc", [link("a", "b", written, written), link("b", "c", other, other)])
    etx = 1 / read.topology.quality.prod(axis=1)
    assert etx[0] == pytest.approx(max(cost / 256, 1), rel=1e-4)
    assert etx[1] == pytest.approx(1)
    assert "Babel" in read.warnings[0]


@given(st.lists(st.integers(1, 255), min_size=1, max_size=20))
def test_tqs_are_not_taken_for_costs_of_babel(steps: list[int]) -> None:
    """Every TQ is a possible cost of Babel too, since 65535 is 257 * 255; it stays a TQ."""
    links = [link("a", "b", float(np.float32(n / 255)), float(np.float32(n / 255))) for n in steps]
    read = imported("ab", links)
    assert read.topology.quality[0, 0] == pytest.approx(max(steps) / 255)
    assert not read.warnings or "Babel" not in read.warnings[0]


def test_babel_can_be_said() -> None:
    """What the values do not tell, the operator does."""
    links = [link("a", "b", 0.984, 0.984)]
    assert imported("ab", links).topology.quality[0, 0] == 0.984
    said = imported("ab", links, quality="babel").topology
    assert 1 / said.quality.prod() == pytest.approx(0.016 * 65535 / 256)


def test_throughputs_are_no_quality() -> None:
    """Under BATMAN_V most values are far above 1: links join nodes, and their loss is not known."""
    read = imported("abc", [link("a", "b", 188.6, 188.6), link("b", "c", 1, 1)])
    assert read.topology.n_links == 2
    assert not read.topology.measured.any()
    assert "BATMAN_V" in read.warnings[0]


def test_a_rounding_above_one_is_one() -> None:
    """1.0000001 is what float32 makes of 1."""
    read = imported("ab", [link("a", "b", 1.0000001, 1)])
    assert read.topology.quality.tolist() == [[1.0, 1.0]]
    assert read.topology.measured.all()
    assert read.altered == {}


def test_what_is_known_of_nodes_is_kept() -> None:
    """Names, gateways, clients and places stand in the order of the ids."""
    nodes = [
        {"node_id": "lonely", "hostname": "gone"},
        {"node_id": "b", "hostname": "Turm", "is_gateway": True, "clients": 7},
        {"node_id": "a", "location": {"latitude": 1.5, "longitude": -2.5}},
    ]
    root = {"nodes": nodes, "links": [link("a", "b", 1, 1)], "timestamp": "2026-11-29T10:00:00Z"}
    read = parse(json.dumps(root).encode(), "map.json", Wanted())
    table = read.topology.nodes
    assert read.topology.ids == ("b", "a")
    assert table.names == ("Turm", "")
    assert table.gateway.tolist() == [True, False]
    assert table.clients.tolist() == [7, -1]
    assert table.location[1].tolist() == [1.5, -2.5]
    assert np.isnan(table.location[0]).all()
    assert read.made_at == 1795946400.0


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
    assert "b is offline" in read.warnings[0]


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
        a, b = entry["source"], entry["target"]
        forth, back = entry["source_tq"], entry["target_tq"]
        product = (forth or back) * (back or forth)
        if a != b and product > 0 and (vpn or entry["type"] != "vpn"):
            known = graph.get_edge_data(a, b, {"product": 0, "links": 0})
            best = max(product, known["product"])
            graph.add_edge(a, b, product=best, links=known["links"] + 1)
    if graph.number_of_edges() == 0:
        return
    read = imported("abcdefg", links, vpn=vpn, all_components=True)
    whole = read.topology
    assert whole.n_links == graph.number_of_edges()
    for (a, b), quality, parallel in zip(whole.ends, whole.quality, whole.parallel, strict=True):
        edge = graph.edges[whole.ids[a], whole.ids[b]]
        assert (edge["product"], edge["links"]) == (quality.prod(), parallel)
    assert sum(read.left_out.values()) + whole.parallel.sum() == len(links)
    largest = imported("abcdefg", links, vpn=vpn)
    sizes = sorted(map(len, nx.connected_components(graph)), reverse=True)
    kept = set(largest.topology.ids)
    assert kept in [set(part) for part in nx.connected_components(graph)]
    assert len(kept) == sizes[0]
    outside = largest.left_out.get("nodes outside the largest component", 0)
    assert outside == len(graph) - len(kept)


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
    places = located(cities).topology.nodes.kilometres()
    east, north = places[1] - places[0]
    assert east < 0 < north
    assert np.hypot(east, north) == pytest.approx(32.2, rel=0.01)
    assert np.allclose(places.mean(axis=0), 0.0)


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
    places = read.topology.nodes.kilometres()
    assert np.isnan(places[0]).all()
    assert places[1].tolist() == [0.0, 0.0]


def test_maps_without_places_have_none() -> None:
    """Nobody is at (0, 0) for want of a place."""
    assert np.isnan(imported("ab", [link("a", "b", 1, 1)]).topology.nodes.kilometres()).all()


def test_what_was_left_out_is_said_with_an_example() -> None:
    """Each reason has its first record among the warnings, whoever shows them."""
    links = [link("a", "b", 1, 1), link("a", "x", 1, 1), link("b", "y", 1, 1), link("b", "a", 1, 0)]
    warnings = imported("ab", links).warnings
    assert "dangling links, left out: links[1] of 2: 'x' is not among the nodes." in warnings
    assert any(each.startswith("one-sided links, not read as given: b--a:") for each in warnings)


def test_maps_of_tools_call_it_id() -> None:
    """Nodes with an id and links with qualities are such a map, and no NetJSON."""
    root = {
        "nodes": [{"id": "a", "name": "Turm"}, {"id": "b"}],
        "links": [{"source": "a", "target": "b", "source_tq": 0.5, "target_tq": 0.25}],
    }
    read = parse(json.dumps(root).encode(), "map.json", Wanted())
    assert read.format == "meshviewer"
    assert read.topology.quality.tolist() == [[0.5, 0.25]]
    assert read.topology.nodes.names == ("Turm", "")
