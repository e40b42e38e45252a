"""Sends messages to the mesh, those of many requests together.

A request with one message waits for the batch before its own to be accepted and then goes with all
that came meanwhile. Without load nothing waits. Under load a call to the mesh costs as much as many
messages do, and those who were answered together come back together: the next call waits for them
for a moment, instead of leaving with the first few.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from actors.mesh import batch as messages
from actors.mesh import partition
from actors.mesh.errors import MailboxFull, NodeSilent
from actors.runtime.errors import Unavailable
from serve_apps.gateway.decoding import MessageRefusal, refusal_of
from serve_apps.web.errors import TooBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.mesh.batch import MessageBatch
    from actors.mesh.partition import Acceptance
    from serve_apps.gateway.decoding import Messages, One


CROWD: Final = 16  # messages of a call after which the next one waits
GATHER_S: Final = 0.015  # longest wait for as many clients to send again


class Sender(Protocol):
    """The part of `Mesh` that takes messages."""

    async def send_batch(self, batch: MessageBatch) -> Acceptance:
        """Send messages; each is accepted or refused alone."""
        ...


class SendOutcome(NamedTuple):
    """What became of the messages of a request."""

    ids: list[int]  # message ids in the order of the request; 0: refused
    refusals: dict[int, MessageRefusal]


class SendBatcher:
    """Sends messages to the mesh in batches.

    Args:
        sender: returns what takes messages; raises while the mesh is not ready.
        most: single messages that may wait.
        answer_s: seconds that the mesh may take to accept a batch.
    """

    def __init__(self, sender: Callable[[], Sender], most: int, answer_s: float) -> None:
        self._sender = sender
        self._most = most
        self._answer_s = answer_s
        self._waiting: list[tuple[One, asyncio.Future[tuple[int, int]]]] = []
        self._running: asyncio.Task[None] | None = None
        self._crowd = 0  # how many are waited for
        self._gathered = asyncio.Event()

    async def one(self, message: One, node: str) -> int:
        """Send one message; its id.

        Raises:
            TooBusy: too many wait.
            MailboxFull: the source has too many messages open.
            NodeSilent: the source has failed.
            Unavailable: the mesh does not answer.
        """
        if len(self._waiting) >= self._most:
            raise TooBusy(
                "too many messages wait",
                f"{self._most} have not been accepted yet",
                "Retry after the time in Retry-After; send messages in batches.",
                retry_after_s=1.0,
            )
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[tuple[int, int]] = loop.create_future()
        self._waiting.append((message, answer))
        if self._running is None:
            self._running = loop.create_task(self._carry())
        elif len(self._waiting) >= self._crowd:
            self._gathered.set()
        number, refusal = await answer
        match partition.Refusal(refusal):
            case partition.Refusal.MAILBOX_FULL:
                raise MailboxFull(node, capacity=None, retry_after_s=1.0)
            case partition.Refusal.NODE_SILENT:
                raise NodeSilent(node)
        return number

    async def _carry(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, []
                await self._together(taken)
                if len(taken) >= CROWD:
                    await self._gather(len(taken))
        finally:
            self._running = None

    async def _gather(self, crowd: int) -> None:
        if len(self._waiting) >= crowd:
            return
        self._crowd = crowd
        self._gathered.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._gathered.wait()

    async def _together(self, taken: list[tuple[One, asyncio.Future[tuple[int, int]]]]) -> None:
        try:
            batch = messages.build(
                [m.source for m, _ in taken],
                [m.destination for m, _ in taken],
                [m.payload for m, _ in taken],
                port=[m.port for m, _ in taken],
                sent_at=time.time(),
            )
            accepted = await self._send(batch)
        except Exception as error:  # noqa: BLE001 - each request is told
            for _, answer in taken:
                if not answer.done():
                    answer.set_exception(error)
            return
        rows = zip(taken, accepted.ids.tolist(), accepted.refusal.tolist(), strict=True)
        for (_, answer), number, refusal in rows:
            if not answer.done():  # else its request has gone
                answer.set_result((number, refusal))

    async def many(self, found: Messages, names: tuple[str, ...]) -> SendOutcome:
        """Send the messages of a request that can be sent.

        Raises:
            Unavailable: the mesh does not answer.
        """
        ids = np.zeros(found.count, np.uint64)
        refusals = dict(found.refusals)
        if len(found.rows):
            batch = messages.build(
                found.source,
                found.destination,
                found.payloads,
                port=found.port,
                sent_at=time.time(),
            )
            accepted = await self._send(batch)
            ids[found.rows] = accepted.ids
            for row in np.flatnonzero(accepted.refusal).tolist():
                node = names[int(found.source[row])]
                refusals[int(found.rows[row])] = _refusal(int(accepted.refusal[row]), node)
        return SendOutcome(ids.tolist(), dict(sorted(refusals.items())))

    async def _send(self, batch: MessageBatch) -> Acceptance:
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._sender().send_batch(batch)
        except TimeoutError:
            raise Unavailable(
                "the mesh does not answer",
                f"it took more than {self._answer_s:g} s; the message may have been accepted",
                "Retry, and let the receiver ignore what it has seen.",
                retry_after_s=1.0,
            ) from None


def _refusal(code: int, node: str) -> MessageRefusal:
    if code == partition.Refusal.MAILBOX_FULL:
        return refusal_of(MailboxFull(node, capacity=None, retry_after_s=1.0))
    return refusal_of(NodeSilent(node))
