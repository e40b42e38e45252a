"""The NetJSON importer: what a cost means under each metric, and in each direction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.topology.errors import TopologyError
from actors.topology.selection import Imported, Wanted
from actors.topology.source import parse


def graph(metric: object, links: list[tuple[str, str, float]], **wanted: bool) -> Imported:
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


@pytest.mark.parametrize("metric", [None, "none", "static", "hop"])
def test_without_a_metric_links_are_lossless_and_that_is_said(metric: object) -> None:
    """Costs that do not tell quality give lossless links, with a warning."""
    read = graph(metric, [("a", "b", 17.0)])
    assert quality(read, "a", "b") == 1.0
    assert "lossless" in read.warnings[0]


def test_repeated_directions_keep_the_cheapest() -> None:
    """Of entries for one direction the cheapest stays, and the rest are counted."""
    read = graph("ETX", [("a", "b", 4.0), ("a", "b", 1.0), ("a", "b", 16.0)])
    assert quality(read, "a", "b") == 1.0
    assert read.left_out == {"parallel links": 2}


def test_the_component_rule_holds() -> None:
    """As for every map, the largest component stays unless all are wanted."""
    links = [("a", "b", 1.0), ("c", "d", 1.0), ("d", "e", 1.0)]
    assert graph("ETX", links).topology.ids == ("c", "d", "e")
    assert graph("ETX", links, all_components=True).topology.n_nodes == 5


def test_that_vpn_cannot_be_told_is_said() -> None:
    """Asking NetJSON to drop VPN links gives a warning, since it does not tell them."""
    assert "VPN" in graph("ETX", [("a", "b", 1.0)], vpn=False).warnings[0]


def test_an_unknown_metric_is_refused() -> None:
    """A metric of unknown meaning is refused with those that are known."""
    with pytest.raises(TopologyError, match="ff_dat_metric") as caught:
        graph("ff_dat_metric", [("a", "b", 1.0)])
    assert caught.value.entry == "metric"
    assert "etx" in caught.value.remedy


@pytest.mark.parametrize(("metric", "cost"), [("ETX", 0.5), ("ETX", 0), ("ETX", -1), ("TQ", 0.9)])
def test_costs_below_a_perfect_link_are_refused(metric: str, cost: float) -> None:
    """A cost below 1 is a quality above 1, and names its entry."""
    with pytest.raises(TopologyError) as caught:
        graph(metric, [("a", "b", 1.0), ("b", "c", cost)])
    assert caught.value.entry == "links[1].cost"


def test_another_netjson_type_is_refused() -> None:
    """A NetJSON object that is not a graph says which type is needed."""
    with pytest.raises(TopologyError, match="NetworkGraph") as caught:
        parse(b'{"type": "NetworkRoutes", "routes": []}', "routes.json", Wanted())
    assert caught.value.entry == "type"
