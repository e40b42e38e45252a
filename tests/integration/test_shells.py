"""No actor lives on without its loops; one that is stopped holds nobody up and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from living_mesh import MeshStarter, ask, collect, pid_of, sides, sigkill, until
from standstill import stop

from actors.mesh import control
from actors.mesh.client import Mesh
from actors.mesh.contract import COORDINATOR, shard_name
from actors.mesh.errors import MailboxFull
from actors.mesh.live_source import LiveSource
from actors.runtime import remote, spawn
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import ActorUnavailable
from actors.twin.actor import TwinActor
from actors.twin.contract import TWIN, TwinOptions

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.actor_health import ActorHealth

STOPPED_S = 4.0


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


def loops_of(actor: Any) -> list[asyncio.Task[None]]:
    return [task for task in actor._tasks if "_guarded" in repr(task.get_coro())]


def _count_loops(actor: Any) -> int:
    return len(loops_of(actor))


def _fail_loop(actor: Any, number: int) -> None:
    loop = sorted(loops_of(actor), key=lambda task: task.get_name())[number]
    loop.get_loop().call_soon_threadsafe(loop.get_coro().throw, RuntimeError("failed by a test"))


async def health_of(name: str) -> ActorHealth:
    return await remote.proxy(ActorContract, name, timeout_s=5.0).health()


async def test_without_any_of_its_loops_an_actor_is_started_anew(starter: MeshStarter) -> None:
    """Of each kind, whichever loop it is; afterwards the mesh is whole and its twin answers."""
    async with starter.running() as mesh:
        options = TwinOptions(source=LiveSource(), hello_s=0.2, log_level="WARNING")
        spawn.detached(TwinActor, TWIN, options)
        for name in (COORDINATOR, shard_name(0), TWIN):

            async def is_ready(actor: str = name) -> bool:
                return (await health_of(actor)).state == "ready"

            await until(is_ready, f"{name} is ready")
            loops: int = await ask(name, "__ray_call__", _count_loops)
            assert loops >= 1
            restarts = 0
            for number in range(loops):
                before = await health_of(name)
                with contextlib.suppress(ActorUnavailable):  # it may end before it has answered
                    await ask(name, "__ray_call__", _fail_loop, number)
                # A loop that was calling another actor takes the failure for that of the call.
                await asyncio.sleep(0.5)
                await until(is_ready, f"{name} is ready after loop {number} failed")
                restarts += (await health_of(name)).incarnation != before.incarnation
                assert await ask(name, "__ray_call__", _count_loops) == loops
            assert restarts >= 1
        first, second = sides(mesh)

        async def arrives() -> bool:
            await mesh.send(first[0], second[0], b"again", port=2)
            return bool(await collect(mesh, second[0], 1, port=2, wait_s=5.0))

        await until(arrives, "messages arrive again")


@pytest.mark.parametrize("failover", [False, True])
async def test_a_stopped_shard_is_told_soon_and_loses_nothing(
    starter: MeshStarter, *, failover: bool
) -> None:
    """SIGSTOP is no death: nothing moves, senders wait, and each message arrives once."""
    async with starter.running(failover=failover) as mesh:
        first, second = sides(mesh)
        stopped = shard_name(1)
        pid = await pid_of(stopped)
        sent: list[int] = []
        stop(pid)
        try:
            began = time.monotonic()

            async def send_for_ever(source: str, to: str) -> None:
                while time.monotonic() < began + STOPPED_S:
                    sent.append(await mesh.send(source, to, b"x", port=7))
                    await asyncio.sleep(0.02)

            sending = [
                asyncio.create_task(send_for_ever(first[0], second[0])),
                asyncio.create_task(send_for_ever(second[0], first[0])),
            ]
            status = await control.coordinator().status()  # while the shard stands still
            assert list(status.down) == [stopped]
            assert [shard.name for shard in status.shards] == [shard_name(0)]
            await asyncio.sleep(began + STOPPED_S - time.monotonic())
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.gather(*sending)
        found: list[int] = []

        async def all_found() -> bool:
            for node in (first[0], second[0]):  # where they went, or whence, as a notice
                found.extend(message.id for message in await mesh.node(node).receive(port=7))
            return set(found) >= set(sent)

        await until(all_found, "each message has arrived, or is back")
        await asyncio.sleep(1.0)  # for what may still arrive a second time
        await all_found()
        assert sorted(found) == sorted(sent)
        assert await pid_of(stopped) == pid


async def test_a_full_mailbox_is_told_while_the_coordinator_is_away(starter: MeshStarter) -> None:
    """What the sender has to know does not depend on an actor that takes no part in sending."""
    async with starter.running(mailbox_capacity=3) as mesh:
        first, _ = sides(mesh)
        await mesh.node(first[0]).receive()
        await sigkill(COORDINATOR)

        async def fill() -> None:
            for _ in range(200):
                await mesh.send(first[0], first[1], b"x")

        with pytest.raises(MailboxFull, match="holds 3 messages"):
            await fill()


async def test_a_mesh_can_be_attached_to_again_after_its_coordinator_died(
    starter: MeshStarter,
) -> None:
    """Its death is told as its own, not as that of a shard."""
    async with starter.running():
        await sigkill(COORDINATOR)
        again = await Mesh.attach()
        assert again.nodes()
