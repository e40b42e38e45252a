"""A source of two documents, and a feed that holds a map which has lost too much."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from actors.topology.errors import TopologyError
from actors.topology.source import TopologyFeed, read

if TYPE_CHECKING:
    from pathlib import Path

LINKS = "source,target,quality\na,b,0.5\nb,c,0.5\n"


def test_a_table_of_nodes_beside_that_of_links_is_read(tmp_path: Path) -> None:
    """With it nodes have names; without it the links suffice, and that is said."""
    links = tmp_path / "links.csv"
    links.write_text(LINKS)
    alone = read(str(links))
    assert alone.topology.nodes.names == ("", "", "")
    assert "nodes.csv is not read" in alone.warnings[-1]
    (tmp_path / "nodes.csv").write_text("id,name\na,Turm\nb,\nc,Bad\n")
    assert read(str(links)).topology.nodes.names == ("Turm", "", "Bad")
    assert read(str(tmp_path / "nodes.csv")).topology == alone.topology


def old_map(folder: Path, tq: float) -> Path:
    """An old map: nodes.json and graph.json."""
    nodes = {name: {"nodeinfo": {"hostname": f"host-{name}"}} for name in "ab"}
    graph = {
        "nodes": [{"node_id": "a"}, {"node_id": "b"}],
        "links": [{"source": 0, "target": 1, "tq": tq}],
    }
    (folder / "nodes.json").write_text(json.dumps({"version": 1, "nodes": nodes}))
    (folder / "graph.json").write_text(json.dumps({"version": 1, "batadv": graph}))
    return folder / "nodes.json"


async def test_a_feed_follows_both_documents(tmp_path: Path) -> None:
    """A change of either is a change; one that is missing is said, and the last map stays."""
    feed = TopologyFeed(str(old_map(tmp_path, 1.25)))
    first = await feed.poll()
    assert first is not None
    assert first.topology.nodes.names == ("host-a", "host-b")
    assert await feed.poll() is None
    old_map(tmp_path, 2.0)
    second = await feed.poll()
    assert second is not None
    assert second.topology.quality.tolist() == [[0.5, 0.5]]
    (tmp_path / "graph.json").unlink()
    with pytest.raises(TopologyError, match=r"graph\.json"):
        await feed.poll()
    old_map(tmp_path, 2.0)
    assert await feed.poll() is None


def community(dangling: int) -> str:
    """A map of 20 records, of which some links lead nowhere."""
    nodes = [{"node_id": f"n{i}"} for i in range(10)]
    links: list[dict[str, Any]] = [
        {"source": f"n{i}", "target": f"n{(i + 1) % 10}", "source_tq": 1, "target_tq": 1}
        for i in range(10)
    ]
    for link in links[:dangling]:
        link["target"] = "elsewhere"
    return json.dumps({"nodes": nodes, "links": links})


async def test_a_map_that_has_lost_too_much_is_held(tmp_path: Path) -> None:
    """Up to a tenth of the records more than before may be odd; the first map is taken as it is."""
    file = tmp_path / "map.json"
    file.write_text(community(dangling=1))
    feed = TopologyFeed(str(file))
    first = await feed.poll()
    assert first is not None
    assert first.left_out["dangling links"] == 1
    file.write_text(community(dangling=4))
    with pytest.raises(TopologyError, match=r"20% of its 20 records.*'elsewhere'"):
        await feed.poll()
    with pytest.raises(TopologyError, match="that one stays"):
        await feed.poll()
    file.write_text(community(dangling=3))
    assert await feed.poll() is not None
    assert await TopologyFeed(str(file)).poll() is not None
