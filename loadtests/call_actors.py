"""Two actors that call each other: one asks, the other gives back what it is given."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from actors.mesh import batch as messages
from actors.runtime import remote
from loadtests import payload
from loadtests.load_plan import serials

if TYPE_CHECKING:
    from actors.mesh.batch import MessageBatch

MESSAGES: Final = 8  # messages in a batch


class Called(NamedTuple):
    """What calls of one kind, in one turn, took.

    Attributes:
        calls: number of calls that were answered.
        seconds: time from the first question to the last answer.
        caller_s, actor_s: processor time of each process, all its threads.
    """

    calls: int
    seconds: float
    caller_s: float
    actor_s: float


class Echo:
    """Gives back what it is given.

    Args:
        name: name of this actor.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def open(self) -> None:
        """Answer over a Unix socket from now on; until then, callers go through Ray."""
        self._door = await remote.serve(self._name, self, Echo)

    async def echo(self, batch: MessageBatch) -> MessageBatch:
        """The batch."""
        return batch

    async def spent(self) -> float:
        """Processor time of this process so far, s."""
        return time.process_time()


class Asking:
    """Calls an `Echo`, as one actor calls another."""

    def __init__(self) -> None:
        numbers = range(MESSAGES)
        said = payload.write(serials(0, 0, MESSAGES))
        self._batch = messages.build(numbers, numbers, [each.tobytes() for each in said])

    async def ask(self, name: str, callers: int, seconds: float) -> Called:
        """Have so many callers ask the actor `name` again and again, for so long.

        Raises:
            ValueError: the actor gave something else back.
        """
        to, batch, calls = remote.to(name), self._batch, 0
        back: MessageBatch = await to.call("echo", batch)
        if not np.array_equal(back.head, batch.head) or bytes(back.payload) != bytes(batch.payload):
            raise ValueError(f"{name} gave something else back")
        actor_s: float = await to.call("spent")
        caller_s, begun = time.process_time(), time.monotonic()
        end = begun + seconds

        async def call() -> None:
            nonlocal calls
            while time.monotonic() < end:
                await to.call("echo", batch)
                calls += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call())
        took, caller_s = time.monotonic() - begun, time.process_time() - caller_s
        return Called(calls, took, caller_s, await to.call("spent") - actor_s)
