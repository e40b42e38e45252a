"""As many messages at once as the mesh takes: how many a second arrive, each exactly once.

Messages go between a few nodes, all pairs of them in turn, so that the trees towards them are what
a real mesh keeps warm. Each carries its own number, checked on arrival. The clock runs from the
first offer to the last arrival; messages that find a mailbox full are offered again and count once.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import UNREACHABLE
from actors.mesh.partition import Refusal
from actors.runtime.errors import Unavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.client import Mesh, Received

PORT: Final = 40_001
PAYLOAD: Final = 96  # bytes
_CHUNK: Final = 20_000  # messages in one call
_READ_LIMIT: Final = 50_000
_WAIT_S: Final = 1.0  # of one call, for the first message
_REFUSED_S: Final = 0.05  # before what was refused is offered again
_WORDS: Final = np.arange(PAYLOAD // 8, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Burst:
    """What became of a burst.

    Attributes:
        messages: offered, and delivered exactly once each.
        destinations: nodes that they went between.
        seconds: from the first offer to the last arrival.
        refused: times that a message found its mailbox full and was offered again.
        hops_mean: over all messages.
    """

    messages: int
    destinations: int
    seconds: float
    refused: int
    hops_mean: float

    @property
    def per_s(self) -> float:
        """Messages delivered in a second."""
        return self.messages / self.seconds

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {**asdict(self), "per_s": self.per_s}


async def run(mesh: Mesh, count: int, destinations: int, seed: int, timeout_s: float) -> Burst:
    """Send `count` messages among `destinations` nodes chosen by `seed`; wait for them all.

    One message to each of these nodes goes before and is not counted: it makes the mesh compute
    the trees towards them.

    Raises:
        Unavailable: a message was lost, doubled, returned or altered, or `timeout_s` is over.
    """
    present = np.flatnonzero(mesh.membership.present)
    choose = np.random.default_rng(seed)
    nodes = choose.choice(present, min(destinations, len(present)), replace=False).astype(np.int32)
    around = _Sending(mesh, np.stack([nodes, np.roll(nodes, 1)], axis=1))
    await around.complete(timeout_s)
    row = np.arange(count)
    source = row % len(nodes)
    # Steps of 1..n-1 around the circle of nodes: never to itself, every pair in turn.
    target = (source + 1 + row // len(nodes) % (len(nodes) - 1)) % len(nodes)
    sending = _Sending(mesh, np.stack([nodes[source], nodes[target]], axis=1))
    seconds = await sending.complete(timeout_s)
    return Burst(count, len(nodes), seconds, sending.refused, sending.hops / count)


@dataclass(slots=True)
class _Sending:
    """One burst under way; `ends` int32 [n, 2] are the source and destination of each message."""

    mesh: Mesh
    ends: NDArray[np.int32]
    refused: int = 0
    hops: int = 0
    _arrivals: NDArray[np.int64] = field(init=False)
    _last_at: float = 0.0

    def __post_init__(self) -> None:
        self._arrivals = np.zeros(len(self.ends), np.int64)

    async def complete(self, timeout_s: float) -> float:
        """Send everything and take everything in; seconds from first offer to last arrival."""
        start = time.monotonic()
        partitions = range(len(self.mesh.membership.placement.shard_of))
        try:
            async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
                for number in partitions:
                    group.create_task(self._receive(number))
                group.create_task(self._send())
        except TimeoutError as error:
            missing = int((self._arrivals == 0).sum())
            raise _failed(f"{missing} are missing after {timeout_s:g} s") from error
        if (self._arrivals != 1).any():
            raise _failed(f"{int((self._arrivals > 1).sum())} arrived more than once")
        return self._last_at - start

    async def _send(self) -> None:
        waiting = np.arange(len(self.ends))
        while len(waiting):
            now, waiting = waiting[:_CHUNK], waiting[_CHUNK:]
            batch = messages.build(
                self.ends[now, 0],
                self.ends[now, 1],
                [row.tobytes() for row in _payloads(now.astype(np.uint64))],
                port=PORT,
                sent_at=time.monotonic(),
            )
            answer = await self.mesh.send_batch(batch)
            again = now[answer.refusal != Refusal.NONE]
            if len(again):
                self.refused += len(again)
                waiting = np.concatenate([waiting, again])
                await asyncio.sleep(_REFUSED_S)

    async def _receive(self, partition: int) -> None:
        while not self._arrivals.all():
            received = await self.mesh.receive_batch(
                partition, port=PORT, limit=_READ_LIMIT, wait_s=_WAIT_S
            )
            if len(received.batch):
                self._note(received)
                await self.mesh.acknowledge(received)

    def _note(self, received: Received) -> None:
        batch = received.batch
        if (batch.head["flags"] & UNREACHABLE).any():
            raise _failed("some were returned as unreachable")
        if (batch.head["length"] != PAYLOAD).any():
            raise _failed("some have another length than was sent")
        where = batch.offset[:, None] + np.arange(PAYLOAD)
        words = np.ascontiguousarray(batch.payload[where]).view(np.uint64)
        number = words[:, 0]
        if (number >= len(self.ends)).any() or (words != _payloads(number)).any():
            raise _failed("some have another content than was sent")
        if (batch.head["destination"] != self.ends[number, 1]).any():
            raise _failed("some arrived at another node than they were sent to")
        np.add.at(self._arrivals, number, 1)
        self.hops += int(batch.head["hops"].sum())
        self._last_at = time.monotonic()


def _payloads(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words [n, PAYLOAD / 8] of each message: its number first, then words made from it."""
    return number[:, None] ^ _WORDS[None, :]


def _failed(why: str) -> Unavailable:
    return Unavailable(
        "the burst failed", why, "This is a defect: please report it.", retry_after_s=1.0
    )
