"""Ray's control process is killed: who says so, what is left, and how a service starts again."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from commands import answer, x0
from leaks import carrying
from test_cli_foreground import environment
from test_cli_watch import LINKS, NAMES, publish, until

from cluster.local import KEPT_LOGS
from jobs.terminal import exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

UNIT = Path(__file__).parents[2] / "docs" / "x0-watch.service"
PROBLEM = "application/problem+json"


def temp_dir(state: Path) -> str:
    """Of the cluster on record."""
    found: str = json.loads((state / "cluster.json").read_text())["temp_dir"]
    return found


def daemon(state: Path, name: str) -> psutil.Process:
    """A daemon of Ray of the cluster on record."""
    (found,) = [one for one in carrying(temp_dir(state)) if one.name() == name]
    return found


def kill(victim: psutil.Process) -> None:
    victim.kill()
    victim.wait(30)


def observer(state: Path) -> psutil.Process:
    """The process of the observer, which Ray's daemon has started."""
    workers = daemon(state, "raylet").children(recursive=True)
    (found,) = [one for one in workers if "Observer" in " ".join(one.cmdline())]
    return found


def problem(url: str) -> Callable[[], httpx.Response | None]:
    """Asks for a 503 at a path, until there is one."""

    def ask() -> httpx.Response | None:
        found = httpx.get(url, trust_env=False, timeout=30)
        return found if found.status_code == 503 else None

    return ask


def x0_program() -> str:
    """The `x0` of this installation."""
    return str(Path(sys.executable).with_name("x0"))


def command_of_the_unit(source: Path) -> list[str]:
    """The unit's command line, with this installation and this source."""
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert Path(program).name == "x0"
    here = [str(source) if "://" in argument else argument for argument in arguments]
    return [x0_program(), *here]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Its own check finds nothing wrong with the unit, where its program is."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    text = UNIT.read_text()
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?<=^ExecStart=)\S+", sys.executable, text, flags=re.MULTILINE))
    done = subprocess.run(
        [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, told) == (0, [])


def test_a_dead_cluster_is_told_and_started_again(tmp_path: Path) -> None:
    """Gateway and status say what died; the service's command ends with a code for a new start."""
    state, published = tmp_path / "state", tmp_path / "map.json"
    publish(published, LINKS)
    try:
        start = [x0_program(), "watch", str(published), "--poll", "1", "--detach"]
        # Who reads one line of it ends nothing.
        subprocess.run(
            ["bash", "-c", f"{shlex.join(start)} | head -1"], env=environment(state), check=True
        )
        about = answer(state, "nodes")["about"]  # the gateway has not opened yet
        assert (about["network"], about["nodes"]) == ("observed", len(NAMES))
        url = until(lambda: answer(state, "status"), lambda one: one["gateway"] == "ready")[
            "gateway_url"
        ]
        observing = observer(state)
        kill(daemon(state, "gcs_server"))
        dying = until(problem(f"{url}/readyz"), bool)
        assert dying.headers["content-type"] == PROBLEM
        assert dying.headers["retry-after"]
        assert dying.json()["type"].endswith(":ClusterDied")
        # Answers that need no Ray stay true for as long as the actors live.
        assert httpx.get(f"{url}/v1/network/nodes", trust_env=False).status_code == 200
        kill(observing)
        dead = until(problem(f"{url}/v1/network/nodes"), bool)
        assert dead.headers["content-type"] == PROBLEM
        assert dead.headers["retry-after"]
        assert "x0 status" in dead.json()["remedy"]

        directory = temp_dir(state)
        told = answer(state, "status", code=exit_codes.NO_MESH)["error"]
        assert "gcs_server" in told["why"]
        assert "`x0 watch`" in told["remedy"]
        assert (state / KEPT_LOGS / "gcs_server.out").exists()
        assert carrying(directory) == []
        again = answer(state, "status", code=exit_codes.NO_MESH)["error"]
        assert KEPT_LOGS in again["why"]  # who comes later still learns of it

        # A service manager starts it again by itself, when it ends like this.
        ended = run_until_its_cluster_dies(state, published)
        assert ended.returncode == exit_codes.UNAVAILABLE, ended.stderr
        assert "gcs_server" in ended.stderr
    finally:
        assert x0(state, "down", "--purge").returncode == exit_codes.OK


def run_until_its_cluster_dies(state: Path, source: Path) -> subprocess.CompletedProcess[str]:
    """Run the unit's command, kill the control process when it is ready, wait for its end."""
    command = command_of_the_unit(source)
    process = subprocess.Popen(
        command, env=environment(state), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready after"):
                break
        assert process.poll() is None, process.communicate()
        assert answer(state, "nodes")["about"]["nodes"] == len(NAMES)  # also right after the start
        directory = temp_dir(state)
        kill(daemon(state, "gcs_server"))
        stdout, stderr = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert carrying(directory) == []
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
