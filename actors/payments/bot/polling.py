"""Fetches updates, and acknowledges them only once they have been answered.

A bot that dies in between is given the same updates again, which does no harm: the same question
makes no second order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.payments.errors import TransportBusy
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.payments.bot.reception import Reception
    from actors.payments.bot.telegram import TelegramClient
    from actors.runtime.error_handler import ErrorHandler

FIRST_PAUSE_S: Final = 1.0
LAST_PAUSE_S: Final = 30.0


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
    offset, failures = 0, 0
    while True:
        try:
            updates = await client.updates(offset)
        except (TransportBusy, Conflict) as error:
            errors.handle(error, severity="warning")
            pause_s = min(LAST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures, 10))
            failures += 1
            await sleep(max(pause_s, getattr(error, "retry_after_s", 0.0)))
            continue
        failures = 0
        await asyncio.gather(*(reception.take(update) for update in updates))
        if updates:
            offset = updates[-1].update_id + 1
