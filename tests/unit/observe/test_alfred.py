"""What alfred has of the nodes is read as their own answers are."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources import alfred
from actors.observe.sources.alfred import AlfredSource
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from pathlib import Path

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
ANSWERS = {
    "158": {
        A: {"node_id": "a", "hostname": "roof", "network": {"mac": A}},
        B: {"node_id": "b", "network": {"mac": B}},
    },
    "159": {A: {"node_id": "a", "clients": {"total": 3}}},
    "160": {
        A: {"node_id": "a", "batadv": {A: {"neighbours": {B: {"tq": 255}}}}},
        B: {"node_id": "b", "batadv": {B: {"neighbours": {A: {"tq": 51}}}}},
    },
}
PROGRAM = """\
#!{python}
import json, sys
assert sys.argv[1:3] == ["-z", "-r"], sys.argv
answers = json.loads({answers!r})
if sys.argv[3] not in answers:
    sys.exit("no type " + sys.argv[3])
print(json.dumps(answers[sys.argv[3]]))
"""


def program(path: Path, answers: object) -> str:
    file = path / "alfred-json"
    file.write_text(PROGRAM.format(python=sys.executable, answers=json.dumps(answers)))
    file.chmod(0o755)
    return f"{file} -z"


async def test_three_types_are_one_network(tmp_path: Path) -> None:
    """Each node's name, clients, and its half of the link."""
    reading = await AlfredSource(program(tmp_path, ANSWERS)).poll()
    assert {(node.id, node.name, node.clients) for node in reading.nodes} == {
        ("a", "roof", 3),
        ("b", "", None),
    }
    (link,) = reading.links
    assert {link.a: link.quality[0], link.b: link.quality[1]} == {"a": 1.0, "b": 0.2}
    assert reading.format == "alfred"


async def test_a_query_that_fails_is_the_error(tmp_path: Path) -> None:
    """With what the program said."""
    answers = {name: ANSWERS[name] for name in ("158", "159")}
    with pytest.raises(TopologyError, match="no type 160"):
        await AlfredSource(program(tmp_path, answers)).poll()


@pytest.mark.parametrize("body", [b"[]", b"{", b"", b'{ "a", "b" }'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """alfred without -json prints pairs that are no JSON."""
    with pytest.raises(TopologyError):
        alfred.read({"nodeinfo": body}, "alfred:test")
