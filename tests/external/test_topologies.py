"""Published maps of three communities: they read, and to the figures that are known of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import pytest

from actors.topology.source import read

if TYPE_CHECKING:
    from actors.topology.selection import Imported

MAPS = Path(__file__).parents[2].parent / "shared" / "data" / "topologies"

pytestmark = pytest.mark.skipif(not MAPS.is_dir(), reason=f"no published maps at {MAPS}")


def imported(name: str, *, vpn: bool = True, all_components: bool = False) -> Imported:
    source = str(MAPS / f"freifunk-{name}.meshviewer.json")
    return read(source, vpn=vpn, all_components=all_components)


def test_leipzig_without_vpn() -> None:
    """The demo mesh: 144 nodes, 290 links, 40 cut nodes, 44 bridges, diameter 17."""
    topology = imported("leipzig", vpn=False).topology
    graph = nx.Graph(topology.ends.tolist())
    assert (topology.n_nodes, topology.n_links) == (144, 290)
    assert len(set(nx.articulation_points(graph))) == 40
    assert len(list(nx.bridges(graph))) == 44
    assert topology.diameter() == nx.diameter(graph) == 17


@pytest.mark.parametrize(
    ("name", "nodes", "links"), [("aachen", 1231, 2139), ("cologne-bonn-area", 279, 558)]
)
def test_communities_with_vpn(name: str, nodes: int, links: int) -> None:
    """With VPN links the largest components have their known sizes."""
    topology = imported(name).topology
    assert (topology.n_nodes, topology.n_links) == (nodes, links)


@pytest.mark.parametrize(
    ("name", "nodes", "links"),
    [("leipzig", 279, 347), ("aachen", 2113, 4184), ("cologne-bonn-area", 310, 777)],
)
@pytest.mark.parametrize("vpn", [True, False])
def test_everything_listed_is_kept_or_counted(
    name: str, nodes: int, links: int, *, vpn: bool
) -> None:
    """Kept and left-out nodes and links add up to what the file lists."""
    read_map = imported(name, vpn=vpn)
    out = read_map.left_out
    nodes_out = out.get("nodes outside the largest component", 0)
    links_out = sum(count for reason, count in out.items() if "link" in reason)
    assert read_map.topology.n_nodes + nodes_out == nodes
    assert read_map.topology.n_links + links_out == links


def test_all_components_keep_every_node() -> None:
    """With all components wanted no node is left out."""
    assert imported("aachen", all_components=True).topology.n_nodes == 2113


def test_the_large_one_reads_fast() -> None:
    """Aachen (1.2 MB, 4,184 links) reads in well under half a second."""
    started = time.perf_counter()
    imported("aachen")
    assert time.perf_counter() - started < 0.5
