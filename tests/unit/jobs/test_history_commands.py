"""`x0 events`, `x0 history` and `x0 diff`, straight from disk: no session runs in these tests."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from actors.history.archive import Archive
from actors.topology.events import EventKind, EventSeverity
from actors.topology.provenance import Network
from jobs.cli import app
from serve_apps.settings import Settings
from tests.unit.history.happenings import event, sample

if TYPE_CHECKING:
    from pathlib import Path

REAL, LAB = Network.OBSERVED, Network.EMULATED
AB, BC = ("a", "b"), ("b", "c")


def x0(*arguments: str, code: int = 0) -> str:
    """Stdout of `x0` with these arguments; with an exit code other than 0, stderr."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def answer(*arguments: str) -> Any:
    return json.loads(x0(*arguments, "--json"))


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An empty history."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return Archive.of(Settings.load())


@pytest.fixture
def kept(archive: Archive) -> Archive:
    """A night of a network of three nodes, of which one fell silent half an hour ago."""
    now = time.time()
    for minute in range(60, 0, -1):
        bad = minute < 30
        taken = sample(
            {AB: 0.3 if bad else 0.9, BC: 1.0}, silent="c" if bad else "", load=[1, 2, 3]
        )
        archive.metrics.write(REAL, taken, now - 60 * minute)
    archive.events.record(
        "observer",
        REAL,
        7,
        [
            event(1, now - 3 * 3600, EventKind.LINK_DOWN, nodes=(), link=AB, what="old"),
            event(2, now - 1800, EventKind.NODE_SILENT, nodes=("c",), what="c is silent"),
            event(3, now - 1700, EventKind.SPLIT, EventSeverity.CRITICAL, ("b", "c"), what="split"),
        ],
    )
    archive.events.record("mesh", LAB, 1, [event(1, now - 60, nodes=("n0",), what="of the lab")])
    return archive


@pytest.mark.parametrize(
    "command", [["events"], ["events", "--node", "a"], ["history", "a"], ["diff", "2h"]]
)
def test_without_a_history_it_is_said_what_makes_one(tmp_path: Path, command: list[str]) -> None:
    """And nothing is made by looking."""
    said = x0(*command, code=2)
    assert "there is no history" in said
    assert "x0 up" in said
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.usefixtures("kept")
def test_events_are_chosen() -> None:
    """By time, kind, severity, network, and node: by name, id or beginning, also without a name."""

    def told(*options: str) -> list[str]:
        return [one["what"] for one in answer("events", *options)["events"]]

    assert told() == ["old", "c is silent", "split", "of the lab"]
    assert told("--since", "2h") == ["c is silent", "split", "of the lab"]
    assert told("--since", "2h", "--until", "5m") == ["c is silent", "split"]
    assert told("--kind", "split", "--kind", "link-down") == ["old", "split"]
    assert told("--severity", "critical") == ["split"]
    assert told("--network", "emulated") == ["of the lab"]
    assert told("--node", "node-a") == ["old"]
    assert told("--node", "NODE-C") == ["c is silent", "split"]
    assert told("--node", "n0") == ["of the lab"]
    assert told("--limit", "1") == ["of the lab"]
    readable = x0("events", "--since", "2h", "--network", "observed")
    assert "critical  split" in readable
    assert "of the observed network" in readable
    assert "Nothing that fits" in x0("events", "--since", "1s")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["events", "--kind", "x"], "Known are node_joined"),
        (["events", "--severity", "x"], "info, warning or critical"),
        (["events", "--network", "map"], "observed (the real one)"),
        (["events", "--since", "tomorrow"], "yesterday 22:00"),
        (["events", "--node", "nobody"], "no mesh node nobody"),
        (["history", "nobody"], "no mesh node nobody"),
        (["history", "a,nobody"], "no mesh node"),
        (["history", "a", "b", "c"], "more than two"),
        (["history", "a", "--metric", "x"], "Known are load"),
        (["history", "a", "--step", "90s"], "whole minutes"),
        (["history", "a", "--since", "1h", "--until", "2h"], "not before --until"),
        (["history", "a", "--network", "emulated"], "no emulated network was sampled"),
        (["history", "a", "--since", "20s"], "nothing is known of a"),
        (["diff", "1w"], "but first at"),
        (["diff", "1h", "--to", "2h"], "not before"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(arguments: list[str], said: str) -> None:
    """With exit code 2 and what to do instead."""
    assert said in x0(*arguments, code=2)


@pytest.mark.usefixtures("kept")
def test_the_history_of_a_node_and_of_a_link() -> None:
    """Means over steps, by name or id; a link by its ends in any order and form."""
    (node,) = answer("history", "node-b", "--since", "1h")["series"]
    assert node["id"] == "b"
    assert {*node["figures"]["load"]} <= {2.0, None}
    (link,) = answer("history", "b--a", "--since", "2h")["series"]
    for written in (["node-b,a"], ["b", "a"], ["node-a--node-b"]):
        assert answer("history", *written, "--since", "2h")["series"] == [link]
    known = [value for value in link["figures"]["quality_ab"] if value is not None]
    assert (known[0], known[-1]) == (0.9, 0.3)
    table = x0("history", "c", "--since", "2h")
    assert "node node-c (c), observed network" in table
    assert "silent" in table
    assert max(map(len, x0("history", "a,b").splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO(x0("history", "a", "--since", "10m", "--csv"))))
    assert [row["load"] for row in rows if row["samples"] == "1"] == ["1.0"] * len(
        [row for row in rows if row["samples"] == "1"]
    )
    assert len(rows) >= 9


@pytest.mark.usefixtures("kept")
def test_what_has_changed_since() -> None:
    """States and qualities, with names; nothing between two moments that are alike."""
    found = answer("diff", "45m", "--to", "1m")
    assert found["network"] == "observed"
    assert [(one["id"], one["before"], one["now"]) for one in found["nodes"]] == [
        ("c", "up", "silent")
    ]
    assert [(one["a"], one["what"], one["before"]) for one in found["links"]] == [
        ("a", "quality", [0.9, 0.9])
    ]
    readable = x0("diff", "45m", "--to", "1m")
    assert "node-a (a)--node-b (b) wifi" in readable
    assert "0.90 / 0.90" in readable
    assert "No node, link, state or quality is different." in x0("diff", "50m", "--to", "40m")


def test_events_are_followed(kept: Archive) -> None:
    """One line each, the earlier ones too, until the process is interrupted."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jobs.cli",
            "events",
            "--follow",
            "--json",
            "--severity",
            "critical",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["what"] == "split"
        later = [event(4, what="later"), event(5, severity=EventSeverity.CRITICAL, what="worse")]
        kept.events.record("observer", REAL, 7, later)
        assert json.loads(process.stdout.readline())["what"] == "worse"
        process.send_signal(2)
        assert process.wait(120) == 130
    finally:
        process.kill()
        process.wait()
