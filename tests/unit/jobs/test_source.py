"""`x0 source`: what a source says, what is left out and why, and clear words for what cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from typer.testing import CliRunner

from jobs.cli import app
from jobs.terminal import exit_codes, reporting

X0 = str(Path(sys.executable).with_name("x0"))
MAP = {
    "timestamp": "2020-01-01T00:00:00Z",
    "nodes": [
        {"node_id": "a", "hostname": "roof", "is_online": True, "is_gateway": True, "clients": 3},
        {"node_id": "b", "is_online": True, "clients": 4},
        {"node_id": "c", "is_online": False},
    ],
    "links": [
        {"source": "a", "target": "b", "source_tq": 1, "target_tq": 0, "type": "wifi"},
        {"source": "b", "target": "c", "source_tq": 0, "target_tq": 0, "type": "vpn"},
        {"source": "a", "target": "x", "source_tq": 1, "target_tq": 1, "type": "wifi"},
    ],
}


def x0(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Stdout and stderr of `x0 source` with these arguments."""
    done = CliRunner().invoke(app, ["source", *arguments])
    assert done.exit_code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def written(path: Path, content: object = MAP) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def answer(*arguments: str, code: int = 0) -> Any:
    """The one JSON object on stdout."""
    return json.loads(x0(*arguments, "--json", code=code)[0])


def test_what_is_read_and_what_is_left_out(tmp_path: Path) -> None:
    """Nodes, links, gateways, clients, age; each reason with its count and an example."""
    path = written(tmp_path / "map.json")
    (found,) = answer("test", path, code=exit_codes.NOT_WELL)["sources"]
    assert found["nodes"] == {
        "total": 3,
        "online": 2,
        "offline": 1,
        "online_unknown": 0,
        "named": 1,
        "located": 0,
        "gateways": 1,
        "gateway_unknown": 2,
        "clients": 7,
    }
    assert (found["links"]["total"], found["links"]["one_known"]) == (2, 1)
    assert found["age_s"] > 86_400
    (reason,) = found["reasons"]
    assert (reason["reason"], reason["count"]) == ("dangling links", 1)
    assert found["records"] == 6
    assert found["would_be_held"]


def test_the_same_in_words_within_80_columns(tmp_path: Path) -> None:
    """For a person at a terminal."""
    said, _ = x0("test", written(tmp_path / "map.json"), code=exit_codes.NOT_WELL)
    assert "3: 2 online, 1 offline, 1 with a name" in said
    assert "Left out: 1 of 6 records, 16.7 % for a fault" in said
    assert "dangling links" in said
    assert "not told of 2" in said
    assert "A watch would hold this" in said


def test_a_good_source_is_exit_code_0(tmp_path: Path) -> None:
    """Nothing is left out, and that is said too."""
    good = {**MAP, "links": MAP["links"][:1]}
    said, _ = x0("test", written(tmp_path / "map.json", good))
    assert "Nothing is left out of 4 records." in said


def test_a_command_and_a_file_of_sources(tmp_path: Path) -> None:
    """Several sources are read one after the other; one that fails does not stop the rest."""
    path = written(tmp_path / "map.json", {**MAP, "links": []})
    sources = tmp_path / "sources.toml"
    sources.write_text('[[sources]]\nsource = "map.json"\ncommunity = "here"\n')
    code = exit_codes.BAD_INPUT
    found = answer(
        "test", f"command:cat '{path}'", "/no/such", "--sources", str(sources), code=code
    )
    command, missing, listed = found["sources"]
    assert command["kind"] == "command"
    assert command["nodes"]["total"] == listed["nodes"]["total"] == 3
    assert "no such file" in missing["error"]["why"]


def test_one_source_that_fails_is_the_error_of_the_command() -> None:
    """In the form of every command, with its remedy."""
    error = answer("test", "command:false", code=exit_codes.BAD_INPUT)["error"]
    assert "exit code 1" in error["why"]
    _, said = x0("test", "babeld:/no/such.sock", code=exit_codes.BAD_INPUT)
    assert "no such file" in said
    assert "babeld with `-g" in said


def test_what_is_wrongly_asked_is_refused() -> None:
    """No source, an unknown kind, an unknown quality."""
    for arguments, said in (
        ((), "no source is given"),
        (("respond:x",), "there is no such kind"),
        (("a.json", "--quality", "best"), "Give one of auto"),
    ):
        _, stderr = x0("test", *arguments, code=exit_codes.BAD_INPUT)
        assert said in stderr


def test_the_kinds_are_listed() -> None:
    """Each with an example that can be copied."""
    names = [kind["kind"] for kind in answer("kinds")["kinds"]]
    assert "map" in names
    said, _ = x0("kinds")
    assert all(f"\n  x0 source test '{name}:" in said for name in names)


def test_tables_fit_80_columns(tmp_path: Path, monkeypatch: Any) -> None:
    """Long examples are folded, not cut."""
    monkeypatch.setattr(reporting, "PLAIN_WIDTH", 80)
    name = "x" * 120
    odd = {**MAP, "links": [{"source": "a", "target": name, "source_tq": 1, "target_tq": 1}]}
    said, _ = x0("test", written(tmp_path / "m.json", odd), code=exit_codes.NOT_WELL)
    table = said[: said.index("A watch would hold")]
    assert max(len(line) for line in table.splitlines()) <= 80 + len(str(tmp_path))


def test_ctrl_c_ends_the_command_that_it_waits_for(tmp_path: Path) -> None:
    """A real signal to a real process: nothing of what it has started is left."""
    pid_file = tmp_path / "pid"
    line = f"command:sh -c 'echo $$ > {pid_file}; sleep 600 & wait'"
    running = subprocess.Popen(
        [X0, "source", "test", line], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 180
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = [int(pid_file.read_text())]
    family += [each.pid for each in psutil.Process(family[0]).children()]
    os.kill(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGINT
    assert "interrupted" in said
    assert "Traceback" not in said
    gone, alive = psutil.wait_procs(
        [psutil.Process(pid) for pid in family if psutil.pid_exists(pid)], timeout=20
    )
    assert not alive, gone
