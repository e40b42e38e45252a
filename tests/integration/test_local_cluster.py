"""A private cluster: it starts beside others, ends alone, and leaves nothing, even when killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from leaks import carrying

from actors.runtime.errors import ConfigurationError, Conflict, Unavailable
from cluster import local
from cluster.local import LocalCluster
from cluster.ray_start import HeadOptions

ROOT = Path(__file__).parents[2]
# Tests that run in the background of a shell have SIGINT ignored, and so would what they start.
STARTER = """
import signal
import sys
from pathlib import Path
from cluster.local import LocalCluster
from cluster.ray_start import HeadOptions
signal.signal(signal.SIGINT, signal.default_int_handler)
LocalCluster.start(Path(sys.argv[1]), HeadOptions(dashboard=False))
"""


def living(pids: tuple[int, ...]) -> list[int]:
    """Those of `pids` that are processes and not zombies."""
    return [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def starting(state: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Another process, stopped in the middle of a start, and the temporary directory it uses."""
    process = subprocess.Popen([sys.executable, "-c", STARTER, str(state)], cwd=ROOT)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            temp_dir = str(json.loads((state / local.RECORD).read_text())["temp_dir"])
        except FileNotFoundError:
            temp_dir = ""
        if temp_dir and any("gcs_server" in " ".join(p.cmdline()) for p in carrying(temp_dir)):
            process.send_signal(signal.SIGSTOP)
            while process.poll() is None:
                if psutil.Process(process.pid).status() == psutil.STATUS_STOPPED:
                    return process, temp_dir
            # The start was quicker than this look at it: once more.
            started = LocalCluster.load(state)
            assert started is not None
            started.stop()
            process = subprocess.Popen([sys.executable, "-c", STARTER, str(state)], cwd=ROOT)
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the start did not get under way")


def test_the_dashboard_listens_on_loopback_and_wants_the_token(cluster: LocalCluster) -> None:
    """The URL on record answers on 127.0.0.1, and refuses who has no token."""
    assert cluster.dashboard_url.startswith("http://127.0.0.1:")
    port = int(cluster.dashboard_url.rsplit(":", 1)[1])
    bound = {
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    assert bound == {"127.0.0.1"}
    url = f"{cluster.dashboard_url}/api/v0/actors"
    assert httpx.get(url, trust_env=False, timeout=30).status_code == 401
    token = os.environ.get("RAY_AUTH_TOKEN") or (Path.home() / ".ray" / "auth_token").read_text()
    headers = {"Authorization": f"Bearer {token.strip()}"}
    assert httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 200


def test_the_record_and_the_directory_are_private(cluster: LocalCluster) -> None:
    """Other users of the host read neither the record nor the logs."""
    assert (cluster.state / local.RECORD).stat().st_mode & 0o077 == 0
    assert Path(cluster.temp_dir).parent.stat().st_mode & 0o077 == 0
    assert len(cluster.temp_dir) < 30  # Ray adds up to 77 bytes, and a socket's path may have 107


def test_a_second_start_in_one_state_directory_is_refused(cluster: LocalCluster) -> None:
    """The running cluster is named and stays as it is."""
    with pytest.raises(Conflict, match="already running"):
        LocalCluster.start(cluster.state)
    assert LocalCluster.load(cluster.state) == cluster
    assert cluster.alive()


def test_two_clusters_live_side_by_side_and_end_alone(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """Stopping one leaves the other alive and nothing of itself; stopping twice is fine."""
    second = LocalCluster.start(tmp_path, HeadOptions(num_cpus=1, dashboard=False))
    try:
        assert second.address != cluster.address
        assert second.dashboard_url == ""
        assert LocalCluster.load(tmp_path) == second
    finally:
        second.stop()
    second.stop()
    assert carrying(second.temp_dir) == []
    assert living(second.pids) == []
    assert not Path(second.temp_dir).parent.exists()
    assert LocalCluster.load(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [local.LOCK]
    assert cluster.alive()


def test_a_cluster_that_died_is_cleared_away_when_loaded(tmp_path: Path) -> None:
    """A record whose head is gone is removed with its orphans, and a new start works."""
    first = LocalCluster.start(tmp_path, HeadOptions(dashboard=False))
    for process in carrying(first.temp_dir):
        process.kill()
    assert not first.alive()
    assert LocalCluster.load(tmp_path) is None
    assert living(first.pids) == []
    assert not Path(first.temp_dir).parent.exists()
    assert not (tmp_path / local.RECORD).exists()


def test_a_start_that_is_interrupted_ends_what_it_started(tmp_path: Path) -> None:
    """Ctrl-C in the middle of a start leaves no process, no directory and no record."""
    process, temp_dir = starting(tmp_path)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=120) != 0
    assert carrying(temp_dir) == []
    assert not Path(temp_dir).parent.exists()
    assert LocalCluster.load(tmp_path) is None


def test_the_remains_of_a_start_that_was_killed_are_found(tmp_path: Path) -> None:
    """After SIGKILL in the middle of a start, the next look at the state directory cleans up."""
    process, temp_dir = starting(tmp_path)
    assert LocalCluster.load(tmp_path) is None  # another process is at it: nothing is touched
    assert carrying(temp_dir) != []
    process.kill()
    process.wait()
    assert LocalCluster.load(tmp_path) is None
    assert carrying(temp_dir) == []
    assert not Path(temp_dir).parent.exists()


def test_a_start_that_fails_repeats_what_ray_said(tmp_path: Path) -> None:
    """Ray's own complaint is in the error, and nothing is left."""
    with pytest.raises(Unavailable, match="did not start") as caught:
        LocalCluster.start(tmp_path, HeadOptions(object_store_bytes=1))
    assert "object" in str(caught.value).lower()
    assert LocalCluster.load(tmp_path) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"temp_dir": "/home"}',
        b'{"temp_dir": "/tmp/x0-a/ray", "pids": []}',
        b'{"temp_dir": "/tmp/x0-/../ray"}',
    ],
)
def test_an_unreadable_record_is_said_and_nothing_is_removed(
    tmp_path: Path, content: bytes
) -> None:
    """A record that was tampered with or cut off makes no one remove a directory."""
    (tmp_path / local.RECORD).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cluster\.json"):
        LocalCluster.load(tmp_path)
    assert (tmp_path / local.RECORD).read_bytes() == content


def test_a_record_from_before_a_reboot_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process ids of an earlier boot belong to others now."""
    monkeypatch.setattr(local.processes, "end", lambda *_a, **_k: pytest.fail("signalled"))
    temp_dir = "/tmp/x0-earlier/ray"  # noqa: S108 - a name, no file
    old = LocalCluster("1.2.3.4:5", "", temp_dir, os.getsid(0), (1,), 0.0, "old", tmp_path)
    local._write(old)
    assert LocalCluster.load(tmp_path) is None
    assert not (tmp_path / local.RECORD).exists()
