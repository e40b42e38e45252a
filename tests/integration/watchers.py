"""A watcher whose loop can be broken; workers import it from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.payments import watcher
from actors.payments.actor import PaymentsWatcher

if TYPE_CHECKING:
    from actors.payments.contract import WatcherOptions


class BreakableWatcher(PaymentsWatcher):
    """Polls at once again, so that it notices soon that its loop is broken."""

    def __init__(self, options: WatcherOptions) -> None:
        watcher.POLL_S = 0.05  # type: ignore[misc]  # in the process of this actor only
        super().__init__(options)

    async def break_loop(self) -> None:
        self._watcher.poll = None  # type: ignore[union-attr, assignment, method-assign]
