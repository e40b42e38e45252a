"""Reads what happens in networks, and has alerts made of it, each event once."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Protocol

from actors.runtime import log
from actors.runtime.alert_spool import SpooledAlert
from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from actors.runtime.alerting import Alert
    from actors.topology.events import RecordedEvent, RecordedEvents

SOURCE: Final = "history"  # name of the cursor
BATCH: Final = 500  # most events that are read at once
WAIT_S: Final = 20.0  # longest wait for an event
OLDEST_S: Final = 600.0  # what happened longer before the first start is no news
RETRY_S: Final = 1.0  # between two tries to reach the history
_log = log.get(__name__)


class EventAlerts(Protocol):
    """Makes alerts of events; pure."""

    def events(self, events: Sequence[RecordedEvent], at: float) -> list[Alert]:
        """Take events in at a Unix time, s; what is to be raised now."""
        ...

    def begun(self, session: int, at: float) -> list[Alert]:
        """Note which session's mesh is emulated; what is to be raised at a Unix time, s."""
        ...

    def due(self, at: float) -> list[Alert]:
        """What is to be raised at a Unix time, s, although nothing has happened."""
        ...

    @property
    def next_due(self) -> float | None:
        """Unix time at which something is to be raised, s; None: nothing is."""
        ...

    def export(self) -> dict[str, Any]:
        """All that is needed to continue, as JSON."""
        ...


class EventReader:
    """Reads events and hands over what they mean, together with how far it has read.

    Args:
        source: the events of all networks.
        make: makes alerts of events, from what `export` gave; None: for the first time.
        take: takes alerts over, and the cursor, in one transaction.
        cursor: how far the events were read, and what `export` gave then, as JSON.
    """

    def __init__(
        self,
        source: RecordedEvents,
        make: Callable[[Mapping[str, Any] | None], EventAlerts],
        take: Callable[[list[SpooledAlert], tuple[str, int, bytes]], Awaitable[None]],
        cursor: tuple[int, bytes | None],
    ) -> None:
        self._source = source
        self._take = take
        self._after, view = cursor
        self._alerts = make(None if view is None else _view(view))
        self._since = time.time() - OLDEST_S if view is None else 0.0
        self._session = 0
        self.failing = ""

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            X0Error: what was made of events cannot be stored. A restart reads them again.
        """
        while True:
            stored = self._after
            events = await self._read()
            now = time.time()
            alerts = self._alerts.events(events, now) if events else []
            alerts += self._alerts.begun(self._session, now) if self._session else []
            alerts += self._alerts.due(now)
            if alerts or self._after != stored:
                view = json.dumps(self._alerts.export()).encode()
                spooled = [SpooledAlert(uuid.uuid4().hex, alert) for alert in alerts]
                await self._take(spooled, (SOURCE, self._after, view))

    async def _read(self) -> tuple[RecordedEvent, ...]:
        due = self._alerts.next_due
        wait_s = WAIT_S if due is None else min(max(due - time.time(), 0.0), WAIT_S)
        try:
            page = await self._source.events(self._after, BATCH, wait_s)
        except X0Error as error:
            if self.failing != str(error):
                _log.warning("what happens in networks is not heard", why=str(error))
            self.failing = str(error)
            await asyncio.sleep(min(RETRY_S, wait_s) if due is not None else RETRY_S)
            return ()
        if self.failing:
            _log.info("what happens in networks is heard again")
        self.failing = ""
        self._session = page.session
        if page.newest < self._after:  # the history was begun anew
            self._after = 0
        elif page.events:
            self._after = page.events[-1].id
        return tuple(each for each in page.events if each.event.at >= self._since)


def _view(raw: bytes) -> Mapping[str, Any] | None:
    try:
        view = json.loads(raw)
    except ValueError as error:
        _log.error("what was open in networks is forgotten: its record is damaged", why=str(error))
        return None
    return view if isinstance(view, dict) else None
