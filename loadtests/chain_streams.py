"""A forwarding chain on asyncio streams: a Unix socket for all nodes of a process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from loadtests.chain import PEERS, RECORD, Span

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.chain import ChainPlan, ForwardingChain

    Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_IDLE_S: Final = 0.0005
_READ: Final = 1 << 19  # bytes taken from a stream at once
_UNBOUNDED: Final = 1 << 30  # bytes


async def run(plan: ChainPlan, chain: ForwardingChain, directory: Path) -> None:
    """Be one process of the chain until it is over."""
    accepted: asyncio.Queue[Stream] = asyncio.Queue()
    server = await asyncio.start_unix_server(
        lambda *stream: accepted.put_nowait(stream), directory / str(chain.number), limit=4 * _READ
    )
    span = await asyncio.to_thread(Span.agreed, plan)
    other = directory / str((chain.number + 1) % PEERS)
    _, onward = await asyncio.open_unix_connection(other)
    # The window bounds what is under way; two processes that both wait to write would never read.
    onward.transport.set_write_buffer_limits(high=_UNBOUNDED)
    incoming = await accepted.get()
    await asyncio.sleep(max(0.0, span.begin - time.monotonic()))
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(_receive(chain, incoming[0], onward))
        while not span.over(chain, now := time.monotonic()):
            if now < span.end and chain.has_room:
                await _send(onward, chain.forward(chain.fresh()))
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(_IDLE_S)
        receiving.cancel()
    for writer in (incoming[1], onward):
        writer.close()
    server.close()


async def _receive(
    chain: ForwardingChain, reader: asyncio.StreamReader, onward: asyncio.StreamWriter
) -> None:
    """Forward as many whole records as there are at a time, until the other end closes."""
    rest = b""
    while chunk := await reader.read(_READ):
        rest += chunk
        whole = len(rest) // RECORD.itemsize * RECORD.itemsize
        frame, rest = rest[:whole], rest[whole:]
        await _send(onward, chain.forward(frame))


async def _send(onward: asyncio.StreamWriter, frame: bytes) -> None:
    onward.write(frame)
    await onward.drain()
