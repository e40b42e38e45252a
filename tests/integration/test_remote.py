"""Lines to actors: direct on one machine, else through Ray, with the same answers and errors."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest
from spawned import Lined

from actors.mesh.errors import MailboxFull
from actors.runtime import remote, spawn
from actors.runtime.errors import ActorUnavailable, NotRunning

RESTART_S = 20.0


def lined(name: str) -> Any:
    handle = spawn.detached(Lined, name, name)
    spawn.wait_ready([handle], timeout_s=180)
    return handle


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize(
    ("opens", "way"),
    [
        pytest.param(True, "directly", id="direct"),
        pytest.param(False, "through Ray", id="no-line"),
    ],
)
async def test_calls_take_the_line_where_there_is_one(way: str, *, opens: bool) -> None:
    """Both ways give answers and typed errors, and tell when the actor has died."""
    actor = lined("mesh-shard-00")
    if opens:
        await actor.open.remote()
    to = remote.to("mesh-shard-00")
    assert remote.to("mesh-shard-00") is to
    assert await to.call("way") == way
    with pytest.raises(MailboxFull, match="n1"):
        await to.call("refuse")
    os.kill(await to.call("pid"), signal.SIGKILL)
    async with asyncio.timeout(RESTART_S):
        while True:
            try:
                assert await to.call("way") == way
            except ActorUnavailable:
                break
    # Ray has restarted it, without its line until it is opened again.
    async with asyncio.timeout(RESTART_S):
        while True:
            try:
                assert await to.call("way") == "through Ray"
            except ActorUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    if opens:
        await actor.open.remote()
        assert await to.call("way") == way


@pytest.mark.usefixtures("namespace")
async def test_of_an_actor_that_is_not_there_one_is_told() -> None:
    """As when it is looked up in Ray."""
    with pytest.raises(NotRunning, match="mesh-shard-77"):
        await remote.to("mesh-shard-77").call("way")
