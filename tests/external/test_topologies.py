"""Published maps of three communities: they read, and to the figures that are known of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pytest

from actors.topology.formats import content
from actors.topology.source import read

if TYPE_CHECKING:
    from actors.topology.selection import Imported

MAPS = Path(__file__).parents[2].parent / "shared" / "data" / "topologies"

pytestmark = pytest.mark.skipif(not MAPS.is_dir(), reason=f"no published maps at {MAPS}")


def imported(name: str, *, vpn: bool = True, all_components: bool = False) -> Imported:
    source = str(MAPS / f"freifunk-{name}.meshviewer.json")
    return read(source, vpn=vpn, all_components=all_components)


def sizes(name: str, *, vpn: bool) -> list[int]:
    """Nodes of each part, largest first."""
    components = imported(name, vpn=vpn, all_components=True).topology.components()
    return sorted(np.bincount(components).tolist(), reverse=True)


def test_leipzig_with_vpn() -> None:
    """The demo mesh: 144 nodes, 290 links, 40 cut nodes, 44 bridges, diameter 17."""
    topology = imported("leipzig").topology
    graph = nx.Graph(topology.ends.tolist())
    assert (topology.n_nodes, topology.n_links) == (144, 290)
    assert len(set(nx.articulation_points(graph))) == 40
    assert len(list(nx.bridges(graph))) == 44
    assert topology.diameter() == nx.diameter(graph) == 17
    assert sum(topology.kinds[kind] == "vpn" for kind in topology.kind) == 20


@pytest.mark.parametrize(
    ("name", "largest"),
    [("leipzig", [68, 40, 11, 9, 7, 6, 4, 4]), ("aachen", [37, 27, 24, 19, 19])],
)
def test_radio_alone_is_islands(name: str, largest: list[int]) -> None:
    """Without tunnels, and so without VPN servers, no community here is one mesh."""
    assert sizes(name, vpn=False)[: len(largest)] == largest


@pytest.mark.parametrize(
    ("name", "nodes", "links"), [("aachen", 1268, 2246), ("cologne-bonn-area", 282, 602)]
)
def test_communities_with_vpn(name: str, nodes: int, links: int) -> None:
    """With VPN links the largest components have their known sizes."""
    topology = imported(name).topology
    assert (topology.n_nodes, topology.n_links) == (nodes, links)


ALL = [("leipzig", 279, 347), ("aachen", 2113, 4184), ("cologne-bonn-area", 310, 777)]


@pytest.mark.parametrize(("name", "nodes", "links"), ALL)
def test_every_record_is_accounted_for(name: str, nodes: int, links: int) -> None:
    """A published map has no odd record: each is used, and what is known of it is kept."""
    reading = content.read((MAPS / f"freifunk-{name}.meshviewer.json").read_bytes(), name)
    assert (len(reading.nodes), len(reading.links)) == (nodes, links)
    assert reading.records == nodes + links
    assert (reading.left_out, reading.merged, reading.implied) == ((), 0, 0)
    assert all(node.name for node in reading.nodes)
    assert any(node.gateway for node in reading.nodes)
    assert {each.reason for each in reading.altered} <= {
        "one-sided links",
        "links of nodes that are offline",
    }


@pytest.mark.parametrize(("name", "nodes", "links"), ALL)
@pytest.mark.parametrize("vpn", [True, False])
def test_everything_listed_is_kept_or_counted(
    name: str, nodes: int, links: int, *, vpn: bool
) -> None:
    """Kept and left-out nodes add up to what the file lists, and so do links with all parts."""
    part = imported(name, vpn=vpn)
    outside = part.left_out.get("nodes outside the largest component", 0)
    assert part.topology.n_nodes + outside == nodes
    whole = imported(name, vpn=vpn, all_components=True)
    links_out = sum(count for reason, count in whole.left_out.items() if "link" in reason)
    assert whole.topology.parallel.sum() + links_out == links


@pytest.mark.parametrize(
    ("name", "one_sided"), [("leipzig", 0), ("aachen", 131), ("cologne-bonn-area", 57)]
)
def test_a_link_of_which_one_end_is_known_counts(name: str, one_sided: int) -> None:
    """As many as the file has with one 0 are kept, and said."""
    assert imported(name).altered.get("one-sided links", 0) == one_sided


def test_all_components_keep_every_node() -> None:
    """With all components wanted no node is left out."""
    assert imported("aachen", all_components=True).topology.n_nodes == 2113
