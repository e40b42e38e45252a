"""The observer as a process of its own: killed, it goes on where it was, without a false event."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
from typing import TYPE_CHECKING

import pytest

from actors.observe import client, control
from actors.observe.contract import OBSERVER, ObserverOptions
from actors.observe.observed_source import ObservedSource
from actors.observe.sources.published import MapSource
from actors.runtime import spawn
from actors.runtime.clock import SystemClock
from actors.runtime.errors import Conflict, Unavailable
from actors.topology.errors import UnknownNode
from actors.topology.live import Watch
from tests.exported_names import OF_OBSERVER, of_this_cluster, wait_exported

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.actor_health import ActorHealth
    from actors.topology.events import NetworkEvent

TIMEOUT_S = 180


def write(path: Path, links: str) -> None:
    """A table of links, each two letters; replaced in one step."""
    new = path.with_suffix(".new")
    with new.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "quality"])
        rows.writerows([*pair, 1.0] for pair in links.split())
    new.rename(path)


async def event_of(kind: str) -> NetworkEvent:
    """The first event of a kind, once it has happened."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            for event in (await client.events(0, 1000)).events:
                if event.kind == kind:
                    return event
            await asyncio.sleep(0.05)


async def restarted(before: ActorHealth) -> None:
    """Return when another process answers."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                health = await control.health()
            except Unavailable:
                health = before
            if health.incarnation != before.incarnation and health.state == "ready":
                return
            await asyncio.sleep(0.1)


async def test_it_goes_on_after_its_process_was_killed(namespace: str, tmp_path: Path) -> None:
    """Members, their times and the numbers of events are those of before; new events follow."""
    from actors.observe.actor import ObserverActor

    del namespace
    path = tmp_path / "links.csv"
    write(path, "ab bc cd")
    options = ObserverOptions((MapSource(str(path)),), tmp_path / "state", poll_s=0.2)
    spawn.wait_ready([spawn.detached(ObserverActor, OBSERVER, options)], timeout_s=TIMEOUT_S)
    first = await client.network()
    assert {node.id: node.state for node in first.nodes} == dict.fromkeys("abcd", "up")
    watch = Watch(ObservedSource(), SystemClock())
    await watch.look()
    assert watch.mesh is not None
    assert watch.mesh.topology().n_links == 3
    with pytest.raises(Conflict, match="would join again"):
        await control.retire("a")
    with pytest.raises(UnknownNode):
        await control.retire("x")
    page = await client.events(0, 1000)
    health = await control.health()
    os.kill(health.pid, signal.SIGKILL)
    await restarted(health)
    again = await client.events(0, 1000)
    assert again == page
    assert [node.joined_at for node in (await client.network()).nodes] == [
        node.joined_at for node in first.nodes
    ]
    await watch.look()
    assert watch.mesh.roster.revision == (await ObservedSource().roster()).revision
    write(path, "ab cd")
    split = await event_of("split")
    assert split.number > page.events[-1].number
    assert sorted(map(sorted, split.data["sides"])) == [["a", "b"], ["c", "d"]]
    await asyncio.to_thread(wait_exported, of_this_cluster(), OF_OBSERVER)
