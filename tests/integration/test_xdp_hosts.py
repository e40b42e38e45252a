"""Each host of a cluster has an actor that owns XDP, also one that joins later."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from actors.runtime import spawn
from actors.xdp import hosts
from actors.xdp.control import of_host
from cluster.local import LocalCluster
from cluster.ray_start import ONE_HOST, HeadOptions
from jobs.launch.companion import Plan
from jobs.launch.xdp_companion import XdpCompanion
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG_S = 120.0
HOST = f"x0-{uuid.uuid4().hex[:8]}"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster_of_its_own(tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster that nodes may join and leave."""
    spawn.disconnect()
    started = LocalCluster.start(tmp_path, HeadOptions(num_cpus=2, dashboard=False))
    try:
        spawn.connect(started.address, "xdp-hosts")
        yield started
    finally:
        spawn.disconnect()
        started.stop()


def join(cluster: LocalCluster) -> psutil.Process:
    """Join a node of the host `HOST`; its raylet."""
    command = [sys.executable, str(Path(__file__).with_name("further_node.py"))]
    given = [*command, cluster.address, cluster.temp_dir]
    within = ["unshare", "--uts", "sh", "-c", f'hostname {HOST} && exec "$@"', "sh", *given]
    env = {**os.environ, "RAY_AUTH_MODE": "token", ONE_HOST: "0", "PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    subprocess.run(within, env=env, check=True, stdin=quiet, stdout=quiet, stderr=quiet)
    own = Path("/proc/self/ns/uts").readlink()
    for process in psutil.process_iter(["name", "cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        is_raylet = process.info["name"] == "raylet" and cluster.temp_dir in line
        if is_raylet and Path(f"/proc/{process.pid}/ns/uts").readlink() != own:
            return process
    raise AssertionError("no raylet has been started")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, f"in {LONG_S:g} s not: {what}"
        time.sleep(0.2)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="another name of this host needs root"
)
def test_a_host_that_joins_gets_its_actor_and_one_that_leaves_has_none(
    cluster_of_its_own: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the time of a look; its name is free then for the node by which it comes back."""
    monkeypatch.setattr(hosts, "LOOK_S", 1.0)
    name = f"xdp-{HOST}"
    settings = Settings.load(state_dir=tmp_path / "state", log_level="ERROR")
    XdpCompanion().start(Plan(settings, None, own_cluster=True))
    (first,) = spawn.listing()
    assert first != name
    raylet = join(cluster_of_its_own)
    until(lambda: name in spawn.listing(), "the host has an actor")
    assert asyncio.run(of_host(HOST).health()).state == "ready"
    assert set(spawn.listing()) == {first, name}
    raylet.terminate()  # what is killed is missed for a quarter of a minute
    until(lambda: spawn.listing() == (first,), "the host has none")
