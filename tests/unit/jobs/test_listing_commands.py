"""`x0 nodes`, `x0 links`, `x0 route`: of a map, and of a session through its gateway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from actors.topology.etx import COST_UNIT
from actors.topology.link_state import LinkState
from jobs.cli import app
from jobs.launch import listings
from jobs.launch.record import SessionRecord
from jobs.terminal import exit_codes
from serve_apps.gateway.mesh_view import Snapshot
from tests.unit.jobs.test_by_gateway import WORLD, Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAP = {
    "nodes": [
        {"node_id": "q/4=", "hostname": "Kirchturm Süd", "clients": 3, "is_gateway": True},
        {"node_id": "a1", "hostname": "school"},
        {"node_id": "a2", "hostname": "school", "clients": 0},
        {"node_id": "far"},
        {"node_id": "away"},
    ],
    "links": [
        {"source": "q/4=", "target": "a1", "type": "vpn", "source_tq": 1, "target_tq": 1},
        {"source": "a1", "target": "a2", "type": "wifi", "source_tq": 0.5, "target_tq": 0},
        {"source": "far", "target": "away", "type": "wifi", "source_tq": 0.9, "target_tq": 0.8},
        {"source": "far", "target": "nobody", "type": "wifi", "source_tq": 1, "target_tq": 1},
    ],
}


@pytest.fixture
def town(tmp_path: Path) -> str:
    path = tmp_path / "town.json"
    path.write_text(json.dumps(MAP))
    return str(path)


def x0(*arguments: str, code: int = 0, state: Path | None = None) -> str:
    """What a command says on stdout."""
    env = {"X0TTA6BL4_STATE_DIR": str(state or "/nowhere"), "COLUMNS": "80"}
    done = CliRunner().invoke(app, arguments, env=env)
    assert done.exit_code == code, done.stdout + done.stderr
    return done.stdout


def told(*arguments: str, code: int = 0, state: Path | None = None) -> Any:
    return json.loads(x0(*arguments, "--json", code=code, state=state))


def test_the_nodes_of_a_map(town: str) -> None:
    """All of it, also what lies outside the largest component; absent is not zero."""
    found = told("nodes", "--topology", town, "--sort", "clients")
    assert [(n["id"], n["name"], n["clients"]) for n in found["nodes"]] == [
        ("q/4=", "Kirchturm Süd", 3),
        ("a2", "school", 0),
        ("away", None, None),
        ("far", None, None),
        ("a1", "school", None),
    ]
    assert (found["about"]["network"], found["about"]["source"]) == ("map", town)
    assert found["about"]["left_out"] == {"dangling links": 1}
    assert [n["id"] for n in told("nodes", "schoo", "--topology", town)["nodes"]] == ["a1", "a2"]
    assert [n["id"] for n in told("nodes", "--gateways", "--topology", town)["nodes"]] == ["q/4="]


def test_nodes_in_words(town: str) -> None:
    """Name and id, what is not known in words, what was left out, and how many are shown."""
    said = x0("nodes", "--topology", town, "--limit", "4", "--sort", "clients")
    assert "Kirchturm Süd (q/4=)" in said
    assert "not known" in said
    assert "4 of 5 nodes of a map" in said
    assert "1 dangling links" in said
    nothing = x0("nodes", "nowhere", "--topology", town)
    assert "0 of 5 nodes" in nothing


def test_the_links_of_a_map(town: str) -> None:
    """The worst first; of one node by its name; of a kind."""
    found = told("links", "--topology", town)["links"]
    assert [(k["a"], k["b"], k["quality"], k["etx"]) for k in found] == [
        ("a1", "a2", [0.5, None], None),
        ("far", "away", [0.9, 0.8], pytest.approx(1 / 0.72)),
        ("q/4=", "a1", [1.0, 1.0], 1.0),
    ]
    mine = told("links", "kirch", "--topology", town)["links"]
    assert [(k["a_name"], k["b_name"], k["kind"]) for k in mine] == [
        ("Kirchturm Süd", "school", "vpn")
    ]
    assert told("links", "--kind", "vpn", "--topology", town, "--no-vpn")["links"] == []
    assert told("links", "school", "--topology", town, code=2)["error"]["type"] == "AmbiguousNode"
    assert "50.0%, not known" in x0("links", "--topology", town)


def test_the_route_on_a_map(town: str) -> None:
    """Hops, ETX, loss and VPN; what rests on a link that is not measured is not known."""
    found = told("route", "kirch", "a2", "--topology", town)
    assert found["route"]["path"] == ["q/4=", "a1", "a2"]
    assert found["names"] == {"q/4=": "Kirchturm Süd", "a1": "school", "a2": "school"}
    assert (found["route"]["etx"], found["route"]["vpn"]) == (None, True)
    assert found["route"]["loss"] == pytest.approx(0.5**4)
    back = told("route", "a2", "kirch", "--topology", town)["route"]
    assert (back["loss"], back["unmeasured"]) == (None, 1)
    said = x0("route", "a2", "kirch", "--topology", town)
    assert "school (a2) to Kirchturm Süd (q/4=)" in said
    assert "ETX not known, loss not known; 1 of them through a VPN" in said


def test_no_route_is_an_exit_code(town: str) -> None:
    """3, and words."""
    found = told("route", "kirch", "far", "--topology", town, code=exit_codes.NOT_WELL)
    assert found["route"] is None
    said = x0("route", "kirch", "far", "--topology", town, code=exit_codes.NOT_WELL)
    assert "no path leads there now" in said


@pytest.mark.parametrize("command", ["nodes", "links"])
def test_an_unknown_order_is_refused(town: str, command: str) -> None:
    """With those that there are."""
    error = told(command, "--topology", town, "--sort", "size", code=2)["error"]
    assert error["remedy"].startswith("One of ")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    found.stop()


def test_a_session_is_asked_through_its_gateway(running: Running) -> None:
    """An emulated mesh, with its states and measured qualities, and the route that it uses."""
    nodes = told("nodes", state=running.state)
    assert nodes["about"]["network"] == "emulated"
    assert [(n["id"], n["state"]) for n in nodes["nodes"]] == [
        ("a", "up"), ("b", "up"), ("c", "up"), ("d", "silent"),
    ]  # fmt: skip
    links = told("links", state=running.state)["links"]
    assert [(k["a"], k["b"], k["state"], k["quality"], k["etx"]) for k in links] == [
        ("a", "b", "up", [1.0, 1.0], 1.0),
        ("b", "c", "up", [1.0, 1.0], 1.0),
    ]
    assert "of the emulated mesh" in x0("nodes", "--state", "silent", state=running.state)


def test_a_link_that_is_down_has_no_quality(running: Running) -> None:
    """It is listed, and no route leads over it."""
    cost = np.array([COST_UNIT, COST_UNIT, 0, COST_UNIT], np.int32)
    state = LinkState(1, 1, np.arange(4, dtype=np.int32), cost, np.full(4, 0.5))
    running.gateway.view.take(Snapshot(WORLD, np.ones(4, bool), [state], {}))
    first, last = told("links", "--sort", "name", state=running.state)["links"]
    assert (first["state"], first["quality"]) == ("up", [0.5, 0.5])
    assert (last["state"], last["quality"]) == ("down", [None, None])


def test_a_session_that_does_not_tell_is_an_error(running: Running) -> None:
    """Not an empty list, nor the answer for another network."""
    running.gateway.ready = False
    error = told("nodes", state=running.state, code=exit_codes.UNAVAILABLE)["error"]
    assert error["what"] == "the running session does not tell its network"


def completed(line: str, state: Path, shell: str = "zsh") -> str:
    """What the shell is offered for a line that is being typed."""
    words = line.split(" ")
    env = {
        **os.environ,
        "X0TTA6BL4_STATE_DIR": str(state),
        "_X0_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    code = "import sys; sys.argv = ['x0']; from jobs.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout


def test_the_shell_completes_names_of_a_map(town: str, tmp_path: Path) -> None:
    """Names, and ids where a name is that of several; what has a blank is made one word of bash."""
    shown = completed(f"x0 route --topology {town} kir", tmp_path)
    assert '"Kirchturm Süd":"q/4="' in shown
    in_bash = completed(f"x0 route --topology {town} kir", tmp_path, "bash").splitlines()
    assert in_bash == ["Kirchturm\\ Süd"]
    assert completed(f"x0 route --topology {town} sch", tmp_path, "bash").split() == ["a1", "a2"]
    assert "--gateways" in completed("x0 nodes --gat", tmp_path)
    assert "clients" in completed("x0 nodes --sort cl", tmp_path)


def test_a_session_that_has_just_been_started_is_waited_for(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gateway, and with it the token, come some seconds later; of a session no map is told."""
    token = running.state / "gateway.token"
    text = token.read_text()
    token.unlink()
    record = SessionRecord.load(running.state)
    assert record is not None
    told("nodes", state=running.state, code=exit_codes.UNAVAILABLE)  # it was started long ago
    replace(record, started_at=time.time()).save(running.state)
    waited: list[float] = []

    def opens(pause_s: float) -> None:
        waited.append(pause_s)
        token.write_text(text)

    monkeypatch.setattr(listings.time, "sleep", opens)
    assert told("nodes", state=running.state)["about"]["network"] == "emulated"
    assert len(waited) == 1


def test_a_network_of_the_session_is_asked_for_by_name(running: Running, tmp_path: Path) -> None:
    """What the session lacks is refused, and so is a map beside it, and a session that is none."""
    emulated = ("nodes", "--network", "emulated")
    assert told(*emulated, state=running.state)["about"]["network"] == "emulated"
    lacking = told("nodes", "--network", "observed", state=running.state, code=exit_codes.CONFLICT)
    assert lacking["error"]["what"] == "no network is observed"
    told(*emulated, "--topology", "radio:9", state=running.state, code=exit_codes.BAD_INPUT)
    told("nodes", "--network", "x", state=running.state, code=exit_codes.BAD_INPUT)
    told(*emulated, state=tmp_path / "none", code=exit_codes.NO_MESH)


def test_the_shell_completes_nodes_of_a_session(running: Running) -> None:
    """Asked of its gateway."""
    assert completed("x0 route ", running.state, "bash").split() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("where", ["nowhere.json", "http://127.0.0.1:1/map.json", "/", "radio:x"])
def test_what_cannot_be_read_is_not_completed(where: str, tmp_path: Path) -> None:
    """Nor is anything said: it would stand in the line that is being typed."""
    assert completed(f"x0 route --topology {where} a", tmp_path, "bash").strip() == ""
