"""The process that follows a session's networks: which, and what ends it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from actors.runtime.metrics import MemoryMetrics
from actors.topology.provenance import Network
from serve_apps.inference import live_replica
from serve_apps.inference.live_loop import LiveLoop
from serve_apps.inference.live_replica import LiveReplica, ReplicaOptions
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def options(tmp_path: Path, *networks: Network) -> ReplicaOptions:
    settings = Settings(state_dir=tmp_path, hello_s=2.0, observe_poll_s=60.0)
    return ReplicaOptions.of(settings, networks, 7.0)


def test_each_network_has_an_interval_of_its_own(tmp_path: Path) -> None:
    """Five Hellos of a mesh, which is another one in each session; one poll of a real network."""
    both = options(tmp_path, Network.OBSERVED, Network.EMULATED).networks
    assert [one.network for one in both] == [Network.OBSERVED, Network.EMULATED]
    assert [one.interval_s for one in both] == [60.0, 10.0]
    assert [one.began_at for one in both] == [0.0, 7.0]


def test_hosts_are_asked_what_they_receive_where_they_own_xdp(tmp_path: Path) -> None:
    """Unless that is switched off."""
    assert options(tmp_path).xdp
    off = Settings(state_dir=tmp_path, xdp=False)
    assert not ReplicaOptions.of(off, (), 7.0).xdp


async def test_a_loop_that_ends_by_a_defect_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: LiveLoop) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(LiveLoop, "run", broken)
    monkeypatch.setattr(live_replica.spawn, "work_in", lambda _: None)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    metrics = MemoryMetrics()
    replica = LiveReplica(options(tmp_path, Network.OBSERVED), metrics, ended.set_result)
    await replica.follow()
    await replica.follow()  # a second time nothing begins
    assert await asyncio.wait_for(ended, 60) == os.EX_SOFTWARE
    counted = {"error_type": "RuntimeError", "context": "inference", "severity": "critical"}
    assert metrics.value("x0tta6bl4_errors_total", **counted) == 1
