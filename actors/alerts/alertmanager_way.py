"""The way to Alertmanager, and past it while it cannot be reached.

While it cannot be reached, the direct channels tell what nobody was told of yet; once it can be
again, it is told to forget what they have told, and tells the rest.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.alerts.notice import Change, Notice
from actors.alerts.ways import Path
from actors.runtime import log
from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from actors.alerts.outbox import Outbox
    from actors.alerts.sender import Sender
    from actors.alerts.thread_rows import Kept
    from actors.alerts.ways import Ways

_log = log.get(__name__)


class AlertmanagerWay:
    """By which way people are told now.

    Args:
        outbox: what is to be told.
        ways: the channels.

    Attributes:
        ways: the channels, and whether Alertmanager answers.
    """

    def __init__(self, outbox: Outbox, ways: Ways) -> None:
        self.ways = ways
        self._outbox = outbox
        self._doubtful: list[Notice] = []  # that Alertmanager may have, although others were told

    async def missed(self) -> bool:
        """Alertmanager cannot be reached; whether direct channels are to tell in its place."""
        if not self.ways.direct:
            return False
        if self.ways.reached:
            self.ways = replace(self.ways, reached=False)
            _log.warning("Alertmanager cannot be reached: direct channels tell")
        doubtful = await asyncio.to_thread(
            self._outbox.reroute, Path.ALERTMANAGER, self.ways, Path.DIRECT
        )
        self._doubtful.extend(doubtful)
        return True

    async def reached(self, sender: Sender) -> None:
        """Alertmanager can be reached (again): it tells what nobody was told of yet."""
        if self.ways.reached:
            return
        try:
            await sender.tell_in_turn([_taken_back(each) for each in self._doubtful])
            self._doubtful.clear()
            await self.repost(sender)
        except X0Error:
            return  # it is asked again
        self.ways = replace(self.ways, reached=True)
        _log.info("Alertmanager can be reached again")
        await asyncio.to_thread(self._outbox.reroute, Path.DIRECT, self.ways, Path.ALERTMANAGER)
        sender.retry()

    async def repost(self, sender: Sender) -> None:
        """Tell Alertmanager once more what lasts: else it takes it to be over.

        Raises:
            X0Error: it does not answer.
        """
        threads = await asyncio.to_thread(self._outbox.open)
        told = await asyncio.to_thread(self._outbox.deliveries.told, [kept.id for kept in threads])
        now = time.time()
        again = [_lasting(kept, now) for kept in threads if kept.path is Path.ALERTMANAGER]
        known = {kept.thread.name for kept in threads if told.get(kept.id, (None, ()))[0]}
        await sender.tell_in_turn([each for each in again if each and each.thread in known])


def _taken_back(notice: Notice) -> Notice:
    """What tells Alertmanager to forget alerts of which others have told."""
    now = time.time()
    alerts = tuple(replace(alert, ended=alert.ended or now) for alert in notice.alerts)
    return replace(notice, change=Change.RESOLVED, alerts=alerts, at=now)


def _lasting(kept: Kept, now: float) -> Notice | None:
    """What people were told of a thread and have not been told to be over."""
    told = kept.thread.told
    if told is None:
        return None
    alerts = tuple(
        replace(raised.alert, ended=None)
        for raised in kept.thread.worst_first()
        if raised.fingerprint in told.faults and not told.faults[raised.fingerprint][1]
    )
    if not alerts:
        return None
    notice_id = f"{kept.thread.name}:{kept.thread.notices}"
    return Notice(notice_id, kept.thread.name, Change.CHANGED, told.severity, alerts, now)
