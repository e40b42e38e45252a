"""Spawning: actors are named, found, restarted, counted, and gone when torn down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import ray
from spawned import Broken, Probe

from actors.mesh.errors import MailboxFull
from actors.runtime import spawn
from actors.runtime.errors import (
    ActorUnavailable,
    ConfigurationError,
    Conflict,
    NotRunning,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.local import LocalCluster

# Measured on two cores: 0.6 to 0.9 s for the restart; calls under way learn of it within 2.1 s.
RESTART_S = 20.0
EXPORT_S = 40.0  # Ray exports an actor's metrics every 10 s


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Return once `condition` holds, and fail if it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def probe(name: str) -> Any:
    """A detached, ready probe."""
    handle = spawn.detached(Probe, name, name)
    spawn.wait_ready([handle], timeout_s=180)
    return handle


def gone(pid: int) -> bool:
    """Whether that process is dead, buried or not."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_detached_actor_is_named_found_listed_and_torn_down(namespace: str) -> None:
    """The name leads to the one actor until tear-down, which leaves no name and no process."""
    assert spawn.listing(namespace) == ()
    handle = probe("mesh-shard-01")
    pid = ray.get(handle.pid.remote())
    assert ray.get(spawn.find("mesh-shard-01").pid.remote()) == pid
    again = spawn.detached(Probe, "mesh-shard-01", "mesh-shard-01")
    assert ray.get(again.pid.remote()) == pid
    assert spawn.listing(namespace) == ("mesh-shard-01",)
    assert spawn.tear_down(namespace) == ("mesh-shard-01",)
    assert spawn.listing(namespace) == ()
    wait_until(lambda: gone(pid), 180)
    assert spawn.tear_down(namespace) == ()


def test_namespaces_do_not_see_each_other(cluster: LocalCluster, namespace: str) -> None:
    """Tear-down of one namespace leaves the actors of another alone."""
    handle = probe("mesh-shard-00")
    spawn.disconnect()
    other = namespace + "-b"
    spawn.connect(cluster.address, other)
    assert spawn.listing() == ()
    assert spawn.tear_down() == ()
    with pytest.raises(NotRunning):
        spawn.find("mesh-shard-00")
    with pytest.raises(Conflict):
        spawn.connect(cluster.address, namespace)
    found = spawn.find("mesh-shard-00", namespace=namespace)
    assert ray.get(found.pid.remote()) > 0
    assert spawn.tear_down(namespace) == ("mesh-shard-00",)
    del handle


def test_a_killed_actor_comes_back_and_ticks(namespace: str) -> None:
    """After SIGKILL Ray runs the constructor in a new process, on a running event loop."""
    handle = probe("mesh-shard-00")
    pid = ray.get(handle.pid.remote())
    seen: list[type] = []
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        try:
            return bool(ray.get(handle.pid.remote(), timeout=RESTART_S) != pid)
        except ray.exceptions.RayActorError as error:
            seen.append(type(spawn.explained(error, "mesh-shard-00")))
            return False

    wait_until(back, RESTART_S)
    # Calls during the restart, if there were any, raise the project's own error.
    assert set(seen) <= {ActorUnavailable}
    wait_until(lambda: ray.get(handle.ticks.remote()) > 0, 180)
    assert spawn.listing(namespace) == ("mesh-shard-00",)


def test_a_typed_error_crosses_processes_with_its_fields(namespace: str) -> None:
    """A caller catches the actor's error by its own class, fields included."""
    del namespace
    handle = probe("mesh-shard-00")
    with pytest.raises(MailboxFull) as caught:
        ray.get(handle.refuse.remote())
    assert caught.value.retry_after_s == 0.5
    plain = spawn.explained(caught.value, "mesh-shard-00")
    assert type(plain) is MailboxFull
    assert plain.capacity == 3


def test_an_actor_that_cannot_start_is_said(namespace: str) -> None:
    """An error in the constructor reaches the one who waits for readiness."""
    del namespace
    handle = spawn.detached(Broken, "broken", max_restarts=0)
    with pytest.raises(Unavailable, match="mailbox of n1 is full"):
        spawn.wait_ready([handle], timeout_s=180)


@pytest.mark.usefixtures("namespace")
def test_an_errand_can_be_ended_wherever_it_is() -> None:
    """Nothing is left of it; one that has ended by itself says why it failed."""
    endless, failing = spawn.run_once(time.sleep, 3600.0), spawn.run_once(json.loads, "no JSON")
    assert endless.wait(0.1) is None
    assert "JSONDecodeError" in (failing.wait(180.0) or "")
    endless.end()
    wait_until(lambda: not spawn.listing(spawn.ERRANDS), 180.0)


def test_what_an_actor_counts_is_exported(cluster: LocalCluster, namespace: str) -> None:
    """The number appears under `ray_` + its name at the ports that Ray lists, on loopback."""
    del namespace
    ray.get(probe("mesh-shard-00").tell.remote(3))
    discovery = Path(cluster.temp_dir) / "prom_metrics_service_discovery.json"

    def exported() -> bool:
        targets = [t for job in json.loads(discovery.read_text()) for t in job["targets"]]
        lines = [line for target in targets for line in _metrics(target.rpartition(":")[2])]
        told = [line for line in lines if line.startswith("ray_x0tta6bl4_probe_told_total{")]
        assert all('kind="word"' in line for line in told)
        return [float(line.rsplit(" ", 1)[1]) for line in told] == [3]

    wait_until(exported, EXPORT_S)


def _metrics(port: str) -> list[str]:
    """What a port exports, by line."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text.splitlines()
    except httpx.TransportError:
        return []  # Ray lists the endpoint of its autoscaler, which is not started


def test_finding_what_is_not_there_says_how_to_start_it(
    cluster: LocalCluster, namespace: str
) -> None:
    """An unknown name and an unconnected process give the same typed error with a remedy."""
    with pytest.raises(NotRunning, match="x0 up"):
        spawn.find("mesh-shard-07")
    spawn.disconnect()
    with pytest.raises(NotRunning, match="joined no cluster"):
        spawn.find("mesh-shard-07", namespace=namespace)
    with pytest.raises(NotRunning, match="joined no cluster"):
        spawn.listing(namespace)
    with pytest.raises(NotRunning, match="joined no cluster"):
        spawn.tear_down(namespace)
    with pytest.raises(NotRunning, match="joined no cluster"):
        spawn.detached(Probe, "mesh-shard-07", "mesh-shard-07")
    assert not ray.is_initialized()
    spawn.connect(cluster.address, namespace)


def test_a_wrong_token_is_said(cluster: LocalCluster) -> None:
    """A process without the cluster's token is refused, with the remedy."""
    code = f"from actors.runtime import spawn; spawn.connect({cluster.address!r}, 'x0')"
    # Ray tries for 20 s otherwise.
    environment = {"RAY_AUTH_TOKEN": "wrong", "RAY_NUM_REDIS_GET_RETRIES": "2"}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "ConfigurationError" in run.stderr
    assert "token" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("address", "error"),
    [("127.0.0.1:1", NotRunning), ("nonsense", ConfigurationError), ("", NotRunning)],
)
def test_a_wrong_address_is_said_at_once(
    address: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joining what is not there fails without Ray, which would wait most of a minute for it."""
    spawn.disconnect()
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(ray, "init", lambda **options: asked.append(options))
    with pytest.raises(error):
        spawn.connect(address, "x0")
    assert asked == []
    assert not ray.is_initialized()
