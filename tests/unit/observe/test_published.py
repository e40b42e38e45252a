"""Maps in files, and what every source can be told: how often it is asked, and its community."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources.configured import ConfiguredSource
from actors.observe.sources.published import MapSource
from actors.observe.sources.source_spec import SourceSpec
from actors.runtime.clock import VirtualClock
from actors.topology.errors import TopologyError
from actors.topology.network import NetworkNode, Reading

if TYPE_CHECKING:
    from pathlib import Path

LINKS = "source,target,quality\na,b,0.5\n"
NODES = "id,name\na,roof\nb,cellar\n"


async def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    """None says that it still is what it was."""
    path = tmp_path / "links.csv"
    path.write_text(LINKS)
    source = MapSource(str(path))
    first = await source.poll()
    assert first is not None
    assert len(first.links) == 1
    assert await source.poll() is None
    path.write_text(LINKS + "b,c,1\n")
    second = await source.poll()
    assert second is not None
    assert len(second.links) == 2


async def test_the_document_beside_it_is_read_too(tmp_path: Path) -> None:
    """And one that changes there is a change."""
    path = tmp_path / "links.csv"
    path.write_text(LINKS)
    source = MapSource(str(path))
    alone = await source.poll()
    assert alone is not None
    assert any("nodes.csv is not read" in note for note in alone.notes)
    (tmp_path / "nodes.csv").write_text(NODES)
    both = await source.poll()
    assert both is not None
    assert {node.name for node in both.nodes} == {"roof", "cellar"}
    assert await source.poll() is None


async def test_a_map_that_fails_is_asked_again(tmp_path: Path) -> None:
    """A version that cannot be read is not taken for known."""
    path = tmp_path / "map.json"
    path.write_text("{")
    source = MapSource(str(path))
    for _ in range(2):
        with pytest.raises(TopologyError):
            await source.poll()
    path.write_text(json.dumps({"nodes": [{"node_id": "a"}], "links": []}))
    assert await source.poll() is not None


class Counting:
    """A source that counts how often it is asked."""

    name, kind = "counting", "map"

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def poll(self) -> Reading | None:
        self.asked += 1
        if self.fails:
            raise TopologyError("x", "y", "z")
        nodes = NetworkNode("a"), NetworkNode("b", domain="own")
        return Reading("counting", "x", nodes, (), 2)


async def test_an_interval_of_its_own() -> None:
    """Asked earlier, it says that nothing is new; after a failure it is asked at once."""
    clock, inner = VirtualClock(), Counting()
    source = ConfiguredSource(inner, SourceSpec("map", "x", interval_s=300), clock)
    assert await source.poll() is not None
    clock.advance(60)
    assert await source.poll() is None
    assert inner.asked == 1
    clock.advance(239)  # a second early is not too early
    inner.fails = True
    for _ in range(2):
        with pytest.raises(TopologyError):
            await source.poll()
    inner.fails = False
    assert await source.poll() is not None
    assert inner.asked == 4


async def test_nodes_that_do_not_say_belong_to_the_community() -> None:
    """Those that do keep their own domain."""
    source = ConfiguredSource(Counting(), SourceSpec("map", "x", community="leipzig"))
    source.name = "another name"
    reading = await source.poll()
    assert reading is not None
    assert [node.domain for node in reading.nodes] == ["leipzig", "own"]
    assert reading.source == "another name"
