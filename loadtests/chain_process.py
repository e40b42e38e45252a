"""One process of a forwarding chain: `python -m loadtests.chain_process PLAN NUMBER`.

It is started by `loadtests.compare`, prints `ready`, waits for a line on stdin that says when to
begin, and prints its account when the time is up and everything has arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import zmq

from loadtests.chain import PEERS, RECORD, Chain, Hops
from loadtests.load_plan import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_S: Final = 0.0005
_DRAIN_S: Final = 20.0
_READ: Final = 1 << 19  # bytes taken from a stream at once
_UNBOUNDED: Final = 1 << 30  # bytes
_MERGED: Final = 64  # frames taken from a socket before what they become is sent on

Transport = Literal["pyzmq", "asyncio"]


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """One run of a chain.

    Attributes:
        transport: between the two processes.
        single: send each message by itself, as an example of the library would.
        batch: messages in a frame.
        window: messages of each process under way.
        seconds: measured, after as much as `warm_s`.
    """

    transport: Transport
    single: bool
    batch: int
    window: int
    seconds: float
    warm_s: float


def main(directory: Path, number: int) -> None:
    """Run one process of the chain whose plan is in `directory`."""
    plan = ChainPlan(**json.loads((directory / "plan.json").read_text()))
    chain = Chain(
        number=number,
        hops=Hops.load(directory / "hops.npz"),
        counters=Counters(directory),
        window=plan.window,
        batch=plan.batch,
    )
    run = _by_zmq if plan.transport == "pyzmq" else _by_streams
    run(plan, chain, directory)
    marks = [[m.count, int(m.distinct)] for m in chain.delivered]
    out = {"sent": chain.sent, "corrupt": chain.corrupt, "delivered": marks}
    print(json.dumps(out), flush=True)  # noqa: T201 - the answer to the parent


def _begin() -> float:
    """Tell the parent that this process is ready; when to begin, s on the monotonic clock."""
    print("ready", flush=True)  # noqa: T201 - the same
    return float(sys.stdin.readline())


def _ends(plan: ChainPlan, begin: float) -> Callable[[Chain, float], bool]:
    end = begin + plan.warm_s + plan.seconds

    def over(chain: Chain, now: float) -> bool:
        return now > end and (chain.counters.unresolved == 0 or now > end + _DRAIN_S)

    return over


def _by_zmq(plan: ChainPlan, chain: Chain, directory: Path) -> None:
    context = zmq.Context()
    pull, push = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    for half in (pull, push):
        half.set_hwm(0)  # the window bounds what is under way; two full pipes would wait for ever
    pull.bind(f"ipc://{directory}/to-{chain.number}")
    push.connect(f"ipc://{directory}/to-{(chain.number + 1) % PEERS}")
    begin = _begin()
    over, end = _ends(plan, begin), begin + plan.warm_s + plan.seconds
    size = RECORD.itemsize

    def send(frame: bytes) -> None:
        step = size if plan.single else size * plan.batch
        for at in range(0, len(frame), step):
            push.send(frame[at : at + step])

    time.sleep(max(0.0, begin - time.monotonic()))
    while not over(chain, now := time.monotonic()):
        frames: list[bytes] = []
        with contextlib.suppress(zmq.Again):
            while len(frames) < (_MERGED if not plan.single else plan.batch):
                frames.append(pull.recv(zmq.NOBLOCK))
        if frames:
            send(chain.forward(frames[0] if len(frames) == 1 else b"".join(frames)))
        if now < end and chain.has_room:
            send(chain.fresh())
        elif not frames:
            pull.poll(1)
    context.destroy(linger=0)


def _by_streams(plan: ChainPlan, chain: Chain, directory: Path) -> None:
    asyncio.run(_streaming(plan, chain, directory))


async def _streaming(plan: ChainPlan, chain: Chain, directory: Path) -> None:
    arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    def connected(reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        arrived.put_nowait((reader, back))

    path = directory / f"to-{chain.number}"
    server = await asyncio.start_unix_server(connected, path, limit=4 * _READ)
    begin = await asyncio.to_thread(_begin)
    over, end = _ends(plan, begin), begin + plan.warm_s + plan.seconds
    _, writer = await asyncio.open_unix_connection(directory / f"to-{(chain.number + 1) % PEERS}")
    # The window bounds what is under way; two peers that both wait to write would never read.
    writer.transport.set_write_buffer_limits(high=_UNBOUNDED)
    reader, back = await arrived.get()
    await asyncio.sleep(max(0.0, begin - time.monotonic()))
    receive = _receive_singly if plan.single else _receive
    receiving = asyncio.create_task(receive(chain, reader, writer))
    while not over(chain, now := time.monotonic()):
        if receiving.done():
            receiving.result()
        if now < end and chain.has_room:
            await _write(writer, chain.fresh(), single=plan.single)
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(IDLE_S)
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    server.close()
    for stream in (writer, back):
        stream.close()


async def _receive(
    chain: Chain, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Forward as many records as there are at a time, until the other has ended."""
    rest = b""
    while chunk := await reader.read(_READ):
        rest += chunk
        whole = len(rest) // RECORD.itemsize * RECORD.itemsize
        frame, rest = rest[:whole], rest[whole:]
        await _write(writer, chain.forward(frame), single=False)


async def _receive_singly(
    chain: Chain, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Forward record by record, until the other has ended."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            record = await reader.readexactly(RECORD.itemsize)
            await _write(writer, chain.forward(record), single=True)


async def _write(writer: asyncio.StreamWriter, frame: bytes, *, single: bool) -> None:
    step = RECORD.itemsize if single else max(1, len(frame))
    for at in range(0, len(frame), step):
        writer.write(frame[at : at + step])
    await writer.drain()


def write_plan(directory: Path, plan: ChainPlan, hops: Hops) -> None:
    """What `main` reads."""
    hops.save(directory / "hops.npz")
    (directory / "plan.json").write_text(json.dumps(asdict(plan)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
