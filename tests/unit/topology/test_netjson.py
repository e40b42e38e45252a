"""The NetJSON importer: what a cost means under each metric, and in each direction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.topology.selection import Imported, Wanted
from actors.topology.source import parse


def graph(metric: object, links: list[tuple[str, str, float]], **wanted: Any) -> Imported:
    ids = sorted({end for a, b, _ in links for end in (a, b)})
    root: dict[str, Any] = {
        "type": "NetworkGraph",
        "protocol": "olsr",
        "version": "0.6.3",
        "metric": metric,
        "nodes": [{"id": name} for name in ids],
        "links": [{"source": a, "target": b, "cost": cost} for a, b, cost in links],
    }
    return parse(json.dumps(root).encode(), "graph.json", Wanted(**wanted))


def quality(read: Imported, source: str, target: str) -> float:
    topology = read.topology
    directed = topology.directed_link(topology.index_of(source), topology.index_of(target))
    assert directed is not None
    return float(topology.link_quality[directed])


@pytest.mark.parametrize("metric", ["ETX", "etx", "etx_ff", "etx_float", "etx_fpm"])
def test_etx_is_shared_between_directions(metric: str) -> None:
    """A link's ETX comes back from its two qualities: 1 / (d_f * d_r) = cost."""
    read = graph(metric, [("10.0.0.1", "10.0.0.2", 4.0)])
    assert quality(read, "10.0.0.1", "10.0.0.2") == pytest.approx(0.5)
    assert quality(read, "10.0.0.2", "10.0.0.1") == pytest.approx(0.5)
    assert read.format == "NetJSON"
    assert read.warnings == ()


@pytest.mark.parametrize(("cost", "expected"), [(0.1, 1.0), (4.0, 0.5), (1.0, 1.0)])
@pytest.mark.parametrize("metric", ["etx_ffeth", "etx_ffeth_nl80211"])
def test_cable_costs_a_tenth_under_etx_ffeth(metric: str, cost: float, expected: float) -> None:
    """A cost below 1 is cable, which loses nothing."""
    read = graph(metric, [("a", "b", cost)])
    assert quality(read, "a", "b") == quality(read, "b", "a") == pytest.approx(expected)
    assert read.topology.measured.all()


@pytest.mark.parametrize("metric", ["ETX", "etx_ff", "etx_ffeth", None])
def test_a_broken_link_of_olsr_is_down(metric: object) -> None:
    """4194304 is no cost: the link is left out and counted, whatever the metric."""
    read = graph(metric, [("a", "b", 1.0), ("b", "c", 4194304)])
    assert read.topology.ids == ("a", "b")
    assert read.left_out["links that are down"] == 1


def test_two_views_of_an_etx_meet_in_their_geometric_mean() -> None:
    """Listed in both directions, each cost stands for its own, and the pair is one link."""
    read = graph("ETX", [("a", "b", 4.0), ("b", "c", 1.0), ("b", "a", 1.0)])
    assert quality(read, "a", "b") == pytest.approx(0.5)
    assert quality(read, "b", "a") == 1.0
    assert read.topology.n_links == 2
    assert read.left_out == {}
    first = read.topology.ends[0].tolist()
    assert [read.topology.ids[end] for end in first] == ["a", "b"]


def test_tq_is_one_direction() -> None:
    """Under TQ a cost is 255 / TQ of its own direction."""
    read = graph("TQ", [("a", "b", 2.0), ("b", "a", 1.25)])
    assert quality(read, "a", "b") == pytest.approx(0.5)
    assert quality(read, "b", "a") == pytest.approx(0.8)


@pytest.mark.parametrize(
    "metric", [None, 3, "none", "static", "hop", "OSPF", "babel", "ff_dat_metric"]
)
def test_a_metric_that_is_no_quality_joins_nodes(metric: object) -> None:
    """The link is there, its loss is not known, and that is said."""
    read = graph(metric, [("a", "b", 17.0)])
    assert read.topology.n_links == 1
    assert not read.topology.measured.any()
    assert "loss is not known" in read.warnings[0]


def test_costs_are_babels_on_request() -> None:
    """256 is one transmission, and 65535 is infinite under that metric."""
    links = [("a", "b", 1024), ("b", "c", 96)]
    read = graph("babel", links, quality="babel")
    assert quality(read, "a", "b") == pytest.approx(0.5)
    assert quality(read, "b", "c") == 1.0
    assert read.topology.measured.all()
    down = graph("babel", [*links, ("c", "a", 65535)])
    assert down.left_out["links that are down"] == 1


def test_one_direction_of_tq_is_one_measurement() -> None:
    """The other direction is assumed to be equal."""
    topology = graph("TQ", [("a", "b", 2.0)]).topology
    assert topology.quality.tolist() == [[0.5, 0.5]]
    assert topology.measured.tolist() == [[True, False]]


def test_repeated_directions_are_parallel_links() -> None:
    """Of entries for one direction the cheapest stands for the pair, and all are counted."""
    read = graph("ETX", [("a", "b", 4.0), ("a", "b", 1.0), ("a", "b", 16.0)])
    assert quality(read, "a", "b") == 1.0
    assert read.topology.parallel.tolist() == [3]
    assert read.left_out == {}


def test_the_component_rule_holds() -> None:
    """As for every map, the largest component stays unless all are wanted."""
    links = [("a", "b", 1.0), ("c", "d", 1.0), ("d", "e", 1.0)]
    assert graph("ETX", links).topology.ids == ("c", "d", "e")
    assert graph("ETX", links, all_components=True).topology.n_nodes == 5


def test_that_vpn_cannot_be_told_is_said() -> None:
    """Asking NetJSON to drop VPN links gives a warning, since it does not tell them."""
    assert "VPN" in graph("ETX", [("a", "b", 1.0)], vpn=False).warnings[0]


@pytest.mark.parametrize(("metric", "cost"), [("ETX", 0.5), ("ETX", 0), ("ETX", -1), ("TQ", 0.9)])
def test_costs_below_a_perfect_link_are_not_known(metric: str, cost: float) -> None:
    """A cost below 1 says nothing; the link stays, its loss is not known, and that is said."""
    read = graph(metric, [("a", "b", 1.0), ("b", "a", 1.0), ("b", "c", cost)])
    topology = read.topology
    assert topology.measured.tolist() == [[True, True], [False, False]]
    assert read.altered == {"links with an unreadable quality": 1}
    assert read.said[0].entry == "links[2]"


def test_ends_are_joined_by_address() -> None:
    """An end that is an address of a node is that node; one of two nodes joins nothing."""
    nodes = [
        {"id": "a", "local_addresses": ["10.0.1.1", "10.9.9.9"]},
        {"id": "b", "local_addresses": ["10.9.9.9"]},
        {"id": "c"},
    ]
    links = [
        {"source": "10.0.1.1", "target": "b", "cost": 1.0},
        {"source": "b", "target": "c", "cost": 1.0},
        {"source": "c", "target": "10.9.9.9", "cost": 1.0},
    ]
    root = {"type": "NetworkGraph", "metric": "ETX", "nodes": nodes, "links": links}
    read = parse(json.dumps(root).encode(), "graph.json", Wanted())
    assert [read.topology.link_name(e) for e in range(2)] == ["a--b", "b--c"]
    assert read.left_out == {"dangling links": 1}
    assert "several nodes" in read.said[0].why


def test_status_down_is_down_and_labels_are_names() -> None:
    """OpenWISP's properties: a link that is down is none, a label is a name."""
    root = {
        "type": "NetworkGraph",
        "metric": "ETX",
        "modified": "2026-08-01T00:00:00Z",
        "nodes": [
            {"id": "a", "label": "Turm", "properties": {"location": {"lat": 1.5, "lng": 2.5}}},
            {"id": "b", "properties": {"hostname": "rathaus", "status": "down"}},
            {"id": "c"},
        ],
        "links": [
            {"source": "a", "target": "b", "cost": 1.0, "properties": {"status": "up"}},
            {"source": "b", "target": "c", "cost": 1.0, "properties": {"status": "down"}},
        ],
    }
    read = parse(json.dumps(root).encode(), "graph.json", Wanted())
    assert read.topology.nodes.names == ("Turm", "rathaus")
    assert read.topology.nodes.location[0].tolist() == [1.5, 2.5]
    assert read.left_out["links that are down"] == 1
    assert read.altered == {"links of nodes that are offline": 1}
    assert read.made_at == 1785542400.0


def test_a_collection_is_one_network() -> None:
    """Its graphs are read together; a node of two is one; what is no graph is left out."""
    graphs = [
        {
            "type": "NetworkGraph",
            "metric": "ETX",
            "nodes": [{"id": a}, {"id": b}],
            "links": [{"source": a, "target": b, "cost": 1.0}],
        }
        for a, b in ("ab", "bc")
    ]
    collection = [*graphs, {"type": "NetworkRoutes", "routes": []}, 3]
    root = {"type": "NetworkCollection", "collection": collection}
    read = parse(json.dumps(root).encode(), "all.json", Wanted())
    assert read.topology.ids == ("a", "b", "c")
    assert read.left_out == {"objects that are no graph": 2}
    assert [each.entry for each in read.said] == ["collection[2]", "collection[3]"]
