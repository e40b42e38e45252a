"""Ctrl-C in commands that work on a running mesh: it is left as it was found.

Each signal is a real one, to a real process; those of `x0 up`, the bot, the sandbox and the watcher
of a chain are in their own tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from any_ports import ANY_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterator

UP = ("--topology", "radio:24", "--hello", "0.2", "--shards", "2", "--detach")


def begun(state: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("x0")), *arguments],
        env={**kept, **ANY_PORTS, "X0TTA6BL4_STATE_DIR": str(state), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def status(state: Path) -> dict[str, Any]:
    process = begun(state, "status", "--json")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    found: dict[str, Any] = json.loads(stdout)
    return found


def left(state: Path) -> tuple[int, int, int, int]:
    """Silenced nodes, cut links, open and unread messages of the mesh."""
    found = status(state)
    open_, unread = (
        sum(shard[what] for shard in found["shards"])
        for what in ("open_messages", "unread_messages")
    )
    return found["silenced"], found["cut"], open_, unread


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a mesh that runs for all these tests."""
    directory = tmp_path_factory.mktemp("x0")
    up = begun(directory, "up", *UP)
    try:
        _, stderr = up.communicate(timeout=180)
        assert up.returncode == 0, stderr
        yield directory
    finally:
        begun(directory, "down", "--purge").communicate(timeout=60)


def interrupt(process: subprocess.Popen[str], said: str, after_s: float) -> None:
    """Send SIGINT twice, this long after the command has said this; it must exit by the signal."""
    assert process.stderr is not None
    lines = []
    guard = threading.Timer(120, process.kill)
    guard.start()
    try:
        for line in process.stderr:
            lines.append(line)
            if said in line:
                time.sleep(after_s)
                process.send_signal(signal.SIGINT)
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=120)
    finally:
        guard.cancel()
    told = "".join(lines) + rest
    assert process.returncode == 128 + signal.SIGINT, told
    assert "Traceback" not in told
    assert "error: interrupted: SIGINT" in told


@pytest.mark.parametrize("scenario", ["worst-node", "partition"])
@pytest.mark.parametrize(
    ("step", "after_s"),
    [("traffic starts", 1.0), ("breaking", 1.0), ("roll call", 0.2)],
)
def test_an_interrupted_drill_leaves_the_mesh_as_it_was(
    state: Path, scenario: str, step: str, after_s: float
) -> None:
    """At whichever step: no fault and no message of it is left, and the next drill heals."""
    drill = begun(state, "drill", "--scenario", scenario, "--rate", "8000")
    interrupt(drill, step, after_s)
    assert left(state) == (0, 0, 0, 0)


def kill_drill(state: Path) -> None:
    """Kill a drill while its traffic flows, and mend what it broke."""
    drill = begun(state, "drill", "--scenario", "link", "--rate", "8000")
    assert drill.stderr is not None
    for line in drill.stderr:
        if "breaking" in line:
            break
    drill.kill()
    drill.communicate(timeout=60)
    assert begun(state, "drill", "--mend").wait(timeout=120) == 0


def test_the_messages_of_a_killed_drill_are_discarded(state: Path) -> None:
    """After SIGKILL nobody fetches them: the mesh does away with them by itself."""
    for _ in range(20):  # between two batches nothing is on its way
        kill_drill(state)
        if left(state)[3]:
            break
    assert left(state)[3] > 0
    deadline = time.monotonic() + 180
    while left(state) != (0, 0, 0, 0):
        assert time.monotonic() < deadline, left(state)
        time.sleep(1.0)


def test_the_mesh_is_as_good_as_before(state: Path) -> None:
    """After all those, a whole drill heals as promised."""
    drill = begun(state, "drill", "--json")
    stdout, stderr = drill.communicate(timeout=120)
    assert drill.returncode == 0, stderr
    assert json.loads(stdout)["lost_accepted"] == 0
    assert left(state) == (0, 0, 0, 0)
