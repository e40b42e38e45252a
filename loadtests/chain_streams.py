"""A forwarding chain on asyncio streams over Unix sockets."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from loadtests.chain import PEERS, RECORD
from loadtests.chain_plan import Span

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.chain import Chain
    from loadtests.chain_plan import ChainPlan

_IDLE_S: Final = 0.0005
_READ: Final = 1 << 19  # bytes taken from a stream at once
_UNBOUNDED: Final = 1 << 30  # bytes


async def run(plan: ChainPlan, chain: Chain, directory: Path) -> None:
    """Be one process of the chain until it is over."""
    process = chain.hops.process
    ends = [chain.number] if plan.merged else (process == chain.number).nonzero()[0].tolist()
    hops = _Hops(chain, directory, merged=plan.merged)
    servers = [
        await asyncio.start_unix_server(hops.receive, directory / str(end), limit=4 * _READ)
        for end in ends
    ]
    span = await asyncio.to_thread(Span.agreed, plan)
    await asyncio.sleep(max(0.0, span.begin - time.monotonic()))
    while not span.over(chain, now := time.monotonic()):
        hops.check()
        if now < span.end and chain.has_room:
            await hops.forward(chain.fresh())
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(_IDLE_S)
    for server in servers:
        server.close()
    await hops.close()


class _Hops:
    """The streams of a process: into its nodes, and to their neighbours.

    Args:
        chain: forwards.
        directory: of the sockets, named by node, or by process if `merged`.
        merged: whether all nodes of a process share a stream.
    """

    def __init__(self, chain: Chain, directory: Path, *, merged: bool) -> None:
        self._chain = chain
        self._directory = directory
        self._merged = merged
        self._writers: dict[tuple[int, int], asyncio.StreamWriter] = {}
        self._receiving: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward what comes on a new stream."""
        task = asyncio.get_running_loop().create_task(self._receive(reader, writer))
        self._receiving.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._receiving.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed.append(task.exception())  # type: ignore[arg-type]  # it is not None

    def check(self) -> None:
        """Raise what ended a stream."""
        if self._failed:
            raise self._failed[0]

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward as many records as there are at a time, until the other end closes."""
        rest = b""
        while chunk := await reader.read(_READ):
            rest += chunk
            whole = len(rest) // RECORD.itemsize * RECORD.itemsize
            frame, rest = rest[:whole], rest[whole:]
            await self.forward(frame)
        writer.close()

    async def forward(self, frame: bytes) -> None:
        """Take in what is at its destination and send the rest one hop on."""
        if self._merged:
            other = (self._chain.number + 1) % PEERS
            await self._send(self._chain.number, other, self._chain.forward(frame))
            return
        for node, hops in self._chain.spread(frame).items():
            for following, records in hops.items():
                await self._send(node, following, b"".join(records))

    async def _send(self, here: int, there: int, frame: bytes) -> None:
        if not frame:
            return
        hop = here, there
        if hop not in self._writers:
            _, writer = await asyncio.open_unix_connection(self._directory / str(there))
            # The window bounds what is under way; two that both wait to write would never read.
            writer.transport.set_write_buffer_limits(high=_UNBOUNDED)
            self._writers.setdefault(hop, writer)
        self._writers[hop].write(frame)
        await self._writers[hop].drain()

    async def close(self) -> None:
        """Hang up."""
        for task in self._receiving:
            task.cancel()
        await asyncio.gather(*self._receiving, return_exceptions=True)
        for writer in self._writers.values():
            writer.close()
