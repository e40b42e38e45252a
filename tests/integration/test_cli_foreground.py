"""`x0 up` in the foreground: whatever ends it, nothing of it is left."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from any_ports import ANY_PORTS

from cluster.processes import members

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = ("--topology", "radio:8", "--hello", "0.1", "--shards", "1")


def environment(state: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}
    return {**kept, **ANY_PORTS, "X0TTA6BL4_STATE_DIR": str(state), **more}


@contextmanager
def started(state: Path, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m jobs.up` at work; killed if a test forgets it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.up", *arguments],
        env=environment(state, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        subprocess.run(
            [sys.executable, "-m", "jobs.down"],
            env=environment(state),
            check=True,
            capture_output=True,
        )


def cluster_dir(state: Path, *, timeout_s: float = 180) -> str:
    """The temporary directory of the cluster that is being started."""
    deadline = time.monotonic() + timeout_s
    while not (state / "cluster.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    temp_dir: str = json.loads((state / "cluster.json").read_text())["temp_dir"]
    return temp_dir


def assert_nothing_left(state: Path, temp_dir: str) -> None:
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.NoSuchProcess:
            continue
    assert [line for line in lines if temp_dir in line] == []
    assert not Path(temp_dir).exists()
    assert not (state / "cluster.json").exists()
    assert not (state / "mesh.json").exists()


def test_sigterm_ends_a_minimal_mesh_in_order(tmp_path: Path) -> None:
    """Under MINIMAL there is no dashboard; SIGTERM ends all and is success."""
    with started(tmp_path, *SMALL, "--json", X0TTA6BL4_MINIMAL="on") as process:
        temp_dir = cluster_dir(tmp_path)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["payments"] == []  # no wallet is set
        assert ready["dashboard_url"] == ""
        assert ready["flags"]["minimal"] == "on"
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stdout == ""
    assert_nothing_left(tmp_path, temp_dir)


def test_an_interrupted_start_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT while Ray starts, and again during the clean-up, exits 130 with all ended."""
    with started(tmp_path, *SMALL) as process:
        temp_dir = cluster_dir(tmp_path)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "error: interrupted: SIGINT" in stderr
    assert "Traceback" not in stderr
    assert_nothing_left(tmp_path, temp_dir)


def test_down_elsewhere_ends_it_without_error(tmp_path: Path) -> None:
    """`x0 down` in another terminal ends a mesh in the foreground, whose command then succeeds."""
    with started(tmp_path, *SMALL, "--json") as process:
        temp_dir = cluster_dir(tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        down = [sys.executable, "-m", "jobs.down"]
        subprocess.run(down, env=environment(tmp_path), check=True, capture_output=True)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "ended by `x0 down`" in stderr
    assert_nothing_left(tmp_path, temp_dir)


def test_a_missing_map_is_refused_before_ray_starts(tmp_path: Path) -> None:
    """A map that does not exist exits 2 with a typed error and no cluster was begun."""
    with started(tmp_path, "--topology", "no-such.json", "--json") as process:
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    error = json.loads(stdout)["error"]
    assert error["type"] == "TopologyError"
    assert str(Path("no-such.json").absolute()) in error["what"]
    assert "Ray" not in error["why"]
    assert "starting Ray" not in stderr
    assert not (tmp_path / "mesh").exists()


class _NotAMap(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"hello": "world"}')

    def log_message(self, *_args: object) -> None:
        """Keep the test's output clean."""


def test_a_bad_answer_of_a_url_ends_what_was_started(tmp_path: Path) -> None:
    """A URL that serves no map exits 2 with the reader's own error, and the cluster is gone."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _NotAMap) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/meshviewer.json"
        with started(tmp_path, "--topology", url, "--json") as process:
            temp_dir = cluster_dir(tmp_path)
            stdout, stderr = process.communicate(timeout=180)
        server.shutdown()
    assert process.returncode == 2, stderr
    error = json.loads(stdout)["error"]
    assert error["type"] == "TopologyError"
    assert url in error["what"]
    assert_nothing_left(tmp_path, temp_dir)


@pytest.mark.parametrize("arguments", [("--shards", "two"), ("--no-such-option",), ("extra",)])
def test_wrong_usage_exits_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Wrong usage is told from failure by its exit code."""
    with started(tmp_path, *arguments) as process:
        process.communicate(timeout=120)
    assert process.returncode == 2


def test_a_setting_out_of_range_is_named(tmp_path: Path) -> None:
    """A value out of range exits 2 and says what is allowed, before anything starts."""
    with started(tmp_path, "--hello", "0") as process:
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "X0TTA6BL4_HELLO_S" in stderr
    assert "0.05 to 60" in stderr


def test_a_cluster_that_dies_ends_it_with_an_error(tmp_path: Path) -> None:
    """A dead GCS exits 4, so that whoever supervises it starts it again; all is ended, and the
    logs that may tell why are kept."""
    with started(tmp_path, *SMALL, "--json", X0TTA6BL4_MINIMAL="on") as process:
        temp_dir = cluster_dir(tmp_path)
        assert process.stdout is not None
        process.stdout.readline()
        (gcs,) = (one for one in members(Path(temp_dir)) if one.name() == "gcs_server")
        gcs.kill()
        stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 4, stderr
    error = json.loads(stdout)["error"]
    assert error["what"] == "the mesh has ended"
    kept = tmp_path / "logs-of-the-last-failure"
    assert str(kept) in error["remedy"]
    assert any(kept.glob("gcs_server*"))
    assert_nothing_left(tmp_path, temp_dir)
