"""A laboratory is made, broken and removed, and nothing else is touched."""

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
import pytest

from actors.runtime.errors import Conflict, InvalidInput, NotRunning
from actors.topology.errors import UnknownNode
from actors.topology.model import Topology
from cluster.lab import kernel
from cluster.lab.laboratory import Laboratory

CHAIN = Topology.of(("a", "b", "c"), [(0, 1), (1, 2)])


def x0(state: Path, *arguments: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("X0TTA")}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", "lab", *arguments, "--json"],
        env=kept | {"X0TTA6BL4_STATE_DIR": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(state: Path, *arguments: str, code: int = 0) -> Any:
    process = x0(state, *arguments)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    return json.loads(stdout)


def left_of(token: str) -> list[str]:
    """Namespaces, processes and files of a laboratory."""
    found = [name for name in kernel.present() if token in name]
    for process in psutil.process_iter():
        try:
            found += [part for part in process.cmdline() if f"x0-lab-{token}" in part]
        except psutil.Error:
            continue
    return found + [str(path) for path in Path("/tmp").glob(f"x0-lab-{token}*")]  # noqa: S108


def test_it_is_made_and_removed_by_commands(tmp_path: Path) -> None:
    """`up` leaves it running, `status` tells it, a second `up` is refused, `down` removes it."""
    made = answer(tmp_path, "up", "--nodes", "8", "--hello", "0.5")
    token = json.loads((tmp_path / "lab.json").read_text())["token"]
    try:
        assert len(made["nodes"]) == 8
        assert sorted(made["namespaces"]) == sorted(n for n in kernel.present() if token in n)
        assert made["source"].startswith("babeld:")
        assert answer(tmp_path, "status") == made
        assert answer(tmp_path, "up", code=5)["error"]["type"] == "Conflict"
        node = made["nodes"][0]
        answer(tmp_path, "fail", node)
        assert answer(tmp_path, "status")["failed"] == [node]
        answer(tmp_path, "mend", node)
        a, b = made["links"][0]
        assert answer(tmp_path, "loss", b, a, "40")["loss"] == 0.4
        assert answer(tmp_path, "status")["loss"] == {f"{a},{b}": 0.4}
        assert answer(tmp_path, "loss", b, a, "30", "--one-way")["one_way"]
        assert answer(tmp_path, "status")["loss"] == {f"{b}>{a}": 0.3}
        answer(tmp_path, "loss", a, b, "0")
        assert answer(tmp_path, "status") == made
        Laboratory.load(tmp_path).daemons()[0].kill()
        assert answer(tmp_path, "status", code=3)["missing"] == [node]
    finally:
        assert answer(tmp_path, "down") == {"removed": token}
    assert left_of(token) == []
    assert answer(tmp_path, "down") == {"removed": None}
    assert answer(tmp_path, "status", code=1)["error"]["type"] == "NotRunning"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_start_that_is_cut_off_leaves_nothing_after_down(
    tmp_path: Path, number: signal.Signals
) -> None:
    """After SIGKILL of `up`, `down` finds all that was made; SIGINT removes it at once."""
    process = x0(tmp_path, "up", "--nodes", "60")
    record = tmp_path / "lab.json"
    deadline = time.monotonic() + 180
    while not record.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    token = json.loads(record.read_text())["token"]
    while not left_of(token):
        assert time.monotonic() < deadline
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert left_of(token)
        assert answer(tmp_path, "down") == {"removed": token}
    else:
        assert process.returncode == 128 + number, stderr
        assert not record.exists()
    assert left_of(token) == []


def test_what_is_not_its_own_stays(tmp_path: Path) -> None:
    """Another laboratory, another namespace and a process in a namespace of it are left alone."""
    kernel.ip(["netns add x0-lab-zzzzzz-0"])
    first = Laboratory.up(tmp_path / "first", CHAIN, 0.5)
    second = Laboratory.up(tmp_path / "second", CHAIN, 0.5)
    guest = subprocess.Popen(["ip", "netns", "exec", first.namespace(1), "sleep", "60"])
    try:
        first.down()
        assert left_of(first.token) == []
        assert len(second.daemons()) == 3
        assert guest.poll() is None
        assert "x0-lab-zzzzzz-0" in kernel.present()
    finally:
        guest.kill()
        guest.wait()
        second.down()
        kernel.remove(["x0-lab-zzzzzz-0"])


def test_what_it_does_not_have_is_refused(tmp_path: Path) -> None:
    """Unknown nodes, links that are none, and losses that are no percentage."""
    with pytest.raises(NotRunning, match="x0 lab up"):
        Laboratory.load(tmp_path)
    lab = Laboratory.up(tmp_path, CHAIN, 0.5)
    try:
        with pytest.raises(Conflict):
            Laboratory.up(tmp_path, CHAIN, 0.5)
        with pytest.raises(UnknownNode):
            lab.fail("d")
        with pytest.raises(InvalidInput, match="a,c"):
            lab.lose("a", "c", 10)
        with pytest.raises(InvalidInput, match="outside 0 to 100"):
            lab.lose("a", "b", 101)
        assert Laboratory.load(tmp_path) == lab
    finally:
        lab.down()
    too_many = Topology.of([f"n{i}" for i in range(201)], [(i, i + 1) for i in range(200)])
    with pytest.raises(InvalidInput, match="201"):
        Laboratory.up(tmp_path, too_many, 0.5)
