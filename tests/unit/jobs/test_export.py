"""`x0 export`: a map in other tools' formats, on stdout or in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import networkx as nx
import pytest

from tests.unit.jobs.test_listing_commands import MAP, running, told, x0

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.jobs.test_by_gateway import Running

__all__ = ["running"]  # a fixture


@pytest.fixture
def town(tmp_path: Path) -> str:
    path = tmp_path / "town.json"
    path.write_text(json.dumps(MAP))
    return str(path)


def test_a_map_goes_out_and_comes_in_again(town: str, tmp_path: Path) -> None:
    """Exported as NetJSON, it is the same network: nodes, names, links, what is not measured."""
    again = tmp_path / "again.json"
    again.write_text(x0("export", "--topology", town))
    for command in ("nodes", "links"):
        before, after = (told(command, "--topology", str(at)) for at in (town, again))
        rows, same = before[command], after[command]
        assert [{**row, "etx": 0, "quality": 0} for row in rows] == [
            {**row, "etx": 0, "quality": 0} for row in same
        ]
    assert [k["quality"] for k in told("links", "--topology", str(again))["links"]] == [
        [0.5, None],
        pytest.approx([0.9, 0.8]),
        [1.0, 1.0],
    ]


def test_a_file_is_written(town: str, tmp_path: Path) -> None:
    """And said; networkx reads it."""
    output = tmp_path / "town.graphml"
    arguments = ("export", "--format", "graphml", "--output", str(output), "--topology", town)
    assert told(*arguments) | {"about": None} == {
        "about": None, "file": str(output), "format": "graphml", "nodes": 5, "links": 3,
    }  # fmt: skip
    graph = nx.read_graphml(output)
    assert graph.nodes["q/4="]["name"] == "Kirchturm Süd"
    assert "5 nodes and 3 links written" in x0(*arguments)


def test_geojson_says_what_has_no_place(town: str) -> None:
    """Nothing of this map has one; the document is whole all the same."""
    assert json.loads(x0("export", "--format", "geojson", "--topology", town)) == {
        "type": "FeatureCollection",
        "features": [],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--format", "dot"), "One of netjson, geojson, graphml"),
        (("--json",), "Give --output FILE"),
        (("--output", "/nowhere/x.json"), "Give a file that can be written"),
    ],
)
def test_what_cannot_be_written_is_refused(town: str, given: tuple[str, ...], said: str) -> None:
    """With what can be."""
    error = told("export", "--topology", town, *given, code=2)["error"]
    assert said in error["remedy"]


def test_a_session_is_exported(running: Running) -> None:
    """The links that are up, as its gateway tells them."""
    found = json.loads(x0("export", state=running.state))
    assert [node["id"] for node in found["nodes"]] == ["a", "b", "c", "d"]
    assert len(found["links"]) == 4
