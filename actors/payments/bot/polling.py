"""Fetches updates, and acknowledges them once they have been answered.

A bot that dies in between is given the same updates again, which does no harm: the same question
makes no second order. Telegram keeps no more than the place up to which all is acknowledged, so an
answer that takes long would hold up the updates of everybody: after `HOLD_S` its update counts as
taken, and the answer goes on by itself.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from actors.payments.errors import BotRefused, TransportBusy
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from actors.payments.bot.reception import Reception
    from actors.payments.bot.telegram import TelegramClient, TelegramUpdate
    from actors.runtime.error_handler import ErrorHandler

FIRST_PAUSE_S: Final = 1.0
LAST_PAUSE_S: Final = 30.0
HOLD_S: Final = 5.0  # for which an update that is being answered is not acknowledged
SOON_S: Final = 0.2  # before new updates are asked for while others are being answered


async def poll(
    client: TelegramClient,
    reception: Reception,
    errors: ErrorHandler,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Answer updates until cancelled.

    Raises:
        BotRefused: Telegram refuses the token.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            answering = _Answering(reception, tasks)
            await _fetch(client, answering, errors, sleep)
    except* BotRefused as group:
        raise group.exceptions[0] from None


async def _fetch(
    client: TelegramClient,
    answering: _Answering,
    errors: ErrorHandler,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    failures = 0
    while True:
        try:
            updates = await client.updates(answering.offset())
        except (TransportBusy, Conflict) as error:
            errors.handle(error, severity="warning")
            pause_s = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
            failures += 1
            await sleep(max(pause_s, getattr(error, "retry_after_s", 0.0)))
            continue
        failures = 0
        answering.begin(updates)
        await answering.progress()


class _Answering:
    """The updates that are being answered, each by a task of its own.

    Args:
        reception: answers them.
        tasks: holds the tasks.
    """

    def __init__(self, reception: Reception, tasks: asyncio.TaskGroup) -> None:
        self._reception = reception
        self._tasks = tasks
        self._next = 0  # above all updates that were fetched
        self._held: dict[int, tuple[asyncio.Task[None], float]] = {}  # with when it began, s

    def offset(self) -> int:
        """The first update that may not be acknowledged yet."""
        given_up = time.monotonic() - HOLD_S
        self._held = {
            number: (task, began)
            for number, (task, began) in self._held.items()
            if began > given_up and not task.done()
        }
        return min(self._held, default=self._next)

    def begin(self, updates: Iterable[TelegramUpdate]) -> None:
        """Answer those that are new; Telegram repeats what is not acknowledged."""
        for update in updates:
            if update.number < self._next:
                continue
            self._next = update.number + 1
            if update.content is not None:
                task = self._tasks.create_task(self._reception.take(update.content))
                self._held[update.number] = (task, time.monotonic())

    async def progress(self) -> None:
        """Wait until one is answered, but not for long: there may be others to fetch."""
        if self._held:
            held = [task for task, _ in self._held.values()]
            await asyncio.wait(held, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
