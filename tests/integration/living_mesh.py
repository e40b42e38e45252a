"""A live mesh of a test's own: started in the test's namespace, broken, and looked into."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.mesh.client import Mesh
from actors.mesh.contract import COORDINATOR
from actors.mesh.coordinator import MeshCoordinator
from actors.mesh.membership import Faults
from actors.runtime import spawn
from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from actors.runtime.state_files import ensure_directory
from jobs.launch import readiness
from jobs.launch.options import mesh_options
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from actors.mesh.client import Message
    from actors.mesh.contract import MeshOptions, MeshStatus
    from actors.mesh.drill.report import DrillReport

HELLO_S = 0.2
READY_S = 180.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class MeshStarter:
    """Starts meshes in one namespace on one state directory, the same journals each time."""

    namespace: str
    state_dir: Path

    def options(
        self,
        *,
        failover: bool = False,
        pqc_beacons: bool = False,
        byzantine: bool = False,
        **settings: Any,
    ) -> MeshOptions:
        """Those of a small radio mesh of two shards unless `settings` say otherwise."""
        given = {"topology": "radio:24", "hello_s": HELLO_S, "log_level": "WARNING"} | settings
        return mesh_options(
            Settings(state_dir=self.state_dir, namespace=self.namespace, **given),
            Flags(failover=failover, pqc_beacons=pqc_beacons, byzantine=byzantine),
        )

    def begin(self, options: MeshOptions) -> None:
        """Start the coordinator, and wait for nothing."""
        ensure_directory(options.shard.directory)
        spawn.detached(MeshCoordinator, COORDINATOR, options)

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Mesh]:
        """A mesh that is ready, for the length of a block; all its actors have ended after it."""
        given = self.options(**options)
        self.begin(given)
        try:
            await ready(given.shard.host.hold_s)
            yield await Mesh.attach()
        finally:
            await asyncio.to_thread(spawn.tear_down, self.namespace)


async def in_time(drill: Callable[[], Awaitable[DrillReport]]) -> DrillReport:
    """The report of a drill that healed within its bound, or of the third one that did not.

    A machine that lets a shard wait for a processor delays one drill, and not three in a row.
    """
    for _ in range(2):
        report = await drill()
        late = report.healed_s is not None and report.healed_s > report.convergence_bound_s
        if report.healing is None or not late:
            return report
    return await drill()


@asynccontextmanager
async def at_rest(hold_s: float) -> AsyncIterator[Mesh]:
    """The mesh of this process's namespace, for one of several tests on it.

    It is ready before, and after the block mended; the test must have left no message in it.
    """
    await ready(hold_s)
    try:
        yield await Mesh.attach()
    finally:
        await inject(Faults())

    async def empty() -> bool:
        shards = (await status()).shards
        return not any(shard.open_messages or shard.unread_messages for shard in shards)

    await until(empty, "no message is left")


async def ready(hold_s: float) -> MeshStatus:
    """Wait until the mesh of this process's namespace is ready, as `x0 up` does."""
    return await readiness.wait(status, lambda _: None, hold_s, READY_S)


async def ask(actor: str, method: str, *arguments: object) -> Any:
    """Call an actor; its typed errors come back as themselves."""
    try:
        return await getattr(spawn.find(actor), method).remote(*arguments)
    except Exception as error:
        raise spawn.explained(error, actor) from error


async def status() -> MeshStatus:
    answer: MeshStatus = await ask(COORDINATOR, "status")
    return answer


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 180.0
) -> None:
    """Wait for `condition`; an actor that is restarting meanwhile has not met it."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if await condition():
                return
        except Unavailable:
            pass
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(POLL_S)


def sides(mesh: Mesh) -> tuple[list[str], list[str]]:
    """The ids of the nodes of the first two partitions, which start on a shard each."""
    placement, names = mesh.membership.placement, mesh.membership.topology.ids
    first, second = (
        [name for name, at in zip(names, placement.partition_of, strict=True) if at == number]
        for number in (0, 1)
    )
    return first, second


async def inject(faults: Faults) -> None:
    await ask(COORDINATOR, "inject", faults)


def isolating(mesh: Mesh, node: str) -> Faults:
    """Faults that break every link of a node, which itself goes on speaking."""
    topology = mesh.membership.topology
    index = topology.index_of(node)
    pairs = (tuple(sorted(pair)) for pair in topology.ends.tolist() if index in pair)
    return Faults(cut=frozenset((a, b) for a, b in pairs))


async def collect(
    mesh: Mesh, node: str, count: int, *, port: int = 0, wait_s: float = 120.0
) -> list[Message]:
    """Receive at a node until `count` messages are there, and everything that comes with them."""
    found: list[Message] = []
    deadline = time.monotonic() + wait_s
    while len(found) < count and time.monotonic() < deadline:
        found += await mesh.node(node).receive(port=port, wait_s=0.5)
    return found


def _own_pid(_actor: object) -> int:
    return os.getpid()


async def pid_of(name: str) -> int:
    """Of the process that an actor is now."""
    pid: int = await ask(name, "__ray_call__", _own_pid)
    return pid


async def sigkill(name: str) -> int:
    """End the process of an actor as the kernel would when memory is short; its pid."""
    pid = await pid_of(name)
    os.kill(pid, signal.SIGKILL)
    return pid
