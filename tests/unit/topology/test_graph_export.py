"""Topologies in other tools' formats, read back by networkx and by this project's own importer."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.ids import display_name, is_node_id
from actors.topology import graph_export
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable
from actors.topology.selection import Wanted
from actors.topology.source import parse

SEEN = st.characters(categories=("L", "M", "N", "P", "S"))
IDS = st.lists(
    st.text(SEEN, min_size=1, max_size=6).filter(is_node_id), min_size=2, max_size=6, unique=True
)


@st.composite
def worlds(draw: st.DrawFn) -> Topology:
    """Any ids and names, some places, some qualities that nobody measured."""
    ids = draw(IDS)
    n = len(ids)
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    links = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    k = len(links)
    quality = draw(st.lists(st.tuples(*[st.floats(0.01, 1)] * 2), min_size=k, max_size=k))
    measured = draw(st.lists(st.tuples(*[st.booleans()] * 2), min_size=k, max_size=k))
    kind = draw(st.lists(st.integers(0, 2), min_size=k, max_size=k))
    names = draw(st.lists(st.text(SEEN, max_size=5).map(display_name), min_size=n, max_size=n))
    place = st.one_of(
        st.just((math.nan, math.nan)), st.tuples(st.floats(-90, 90), st.floats(-180, 180))
    )
    table = NodeTable(
        tuple(names),
        np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))),
        np.array(draw(st.lists(st.integers(-1, 99), min_size=n, max_size=n)), np.int32),
        np.array(draw(st.lists(place, min_size=n, max_size=n)), np.float64),
    )
    world = Topology.of(ids, links, quality, kind, nodes=table)
    return replace(world, measured=np.array(measured))


def check_graph(graph: nx.Graph[str], world: Topology) -> None:
    """The graph has what the topology has, and nothing that is not known."""
    assert set(graph) == set(world.ids)
    assert graph.number_of_edges() == world.n_links
    for at, node in enumerate(world.ids):
        told, table = graph.nodes[node], world.nodes
        assert told.get("name", "") == table.names[at]
        assert told.get("clients", -1) == table.clients[at]
        assert told.get("gateway", False) == table.gateway[at]
        place = told.get("latitude", math.nan), told.get("longitude", math.nan)
        assert np.array_equal(place, table.location[at], equal_nan=True)
    for link, (a, b) in enumerate(world.ends.tolist()):
        told = graph.edges[world.ids[a], world.ids[b]]
        assert (told["a"], told["b"]) == (world.ids[a], world.ids[b])
        assert told["kind"] == world.kinds[world.kind[link]]
        for way, name in enumerate(("quality_a_to_b", "quality_b_to_a")):
            known = world.measured[link, way]
            assert told.get(name) == (world.quality[link, way] if known else None)
        assert ("etx" in told) == world.measured[link].all()


@given(worlds())
def test_networkx_gets_all_that_is_known(world: Topology) -> None:
    """Ids, names, places, both qualities: unmeasured ones are absent."""
    check_graph(world.to_networkx(), world)


@given(worlds())
def test_graphml_is_read_back_by_networkx(world: Topology) -> None:
    """The same graph, whatever characters ids and names have."""
    text = graph_export.graphml(world)
    check_graph(nx.parse_graphml(text, node_type=str), world)


@given(worlds())
def test_netjson_is_read_back_by_the_importer(world: Topology) -> None:
    """The same topology: both directions, kinds, names, and what is not measured."""
    body = json.dumps(graph_export.netjson(world)).encode()
    again = parse(body, "export.json", Wanted(all_components=True)).topology
    assert again.ids == world.ids
    assert again.nodes.names == world.nodes.names
    assert again.nodes.gateway.tolist() == world.nodes.gateway.tolist()
    assert again.nodes.clients.tolist() == world.nodes.clients.tolist()
    assert np.array_equal(again.nodes.location, world.nodes.location, equal_nan=True)
    order = [again.link_between(*map(world.ids.__getitem__, ends)) for ends in world.ends]
    assert [again.kinds[k] for k in again.kind[order]] == [world.kinds[k] for k in world.kind]
    for link, back in enumerate(order):
        same = again.ends[back].tolist() == world.ends[link].tolist()
        way = slice(None) if same else slice(None, None, -1)
        assert again.measured[back, way].tolist() == world.measured[link].tolist()
        known = world.measured[link]
        assert again.quality[back, way][known] == pytest.approx(world.quality[link][known])


@given(worlds())
def test_geojson_has_what_has_a_place(world: Topology) -> None:
    """Longitude first; links whose two ends have a place."""
    found = graph_export.geojson(world)
    json.dumps(found, allow_nan=False)
    placed = ~np.isnan(world.nodes.location[:, 0])
    points = [f for f in found["features"] if f["geometry"]["type"] == "Point"]
    lines = [f for f in found["features"] if f["geometry"]["type"] == "LineString"]
    assert [f["properties"]["id"] for f in points] == [
        node for node, there in zip(world.ids, placed, strict=True) if there
    ]
    assert len(lines) == placed[world.ends].all(axis=1).sum()
    for point in points:
        at = world.index_of(point["properties"]["id"])
        assert point["geometry"]["coordinates"] == world.nodes.location[at, ::-1].tolist()
