"""Asks the watchers of payments how they are, for operators."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.payments.contract import PaymentsWatcherContract, WatcherState
from actors.runtime import remote
from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_S: Final = 5.0  # for each answer of a watcher


async def states(names: Iterable[str], *, timeout_s: float = TIMEOUT_S) -> tuple[WatcherState, ...]:
    """How the watchers of these names are, all asked at once.

    Args:
        names: names of their actors.
        timeout_s: after which a watcher counts as silent.
    """
    return tuple(await asyncio.gather(*(_state(name, timeout_s) for name in names)))


async def _state(name: str, timeout_s: float) -> WatcherState:
    watcher = remote.proxy(PaymentsWatcherContract, name, timeout_s=timeout_s)
    try:
        health = await watcher.health()
        if health.state != "ready":
            return WatcherState(name, health.state, health.why)
        return WatcherState(name, "watching", (await watcher.status()).error)
    except X0Error as error:
        return WatcherState(name, "silent", str(error))
