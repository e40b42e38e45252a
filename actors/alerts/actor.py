"""The Ray actor that tells people of alerts: a thin shell around the outbox and its senders."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from actors.alerts import documents, listing
from actors.alerts.alert_thread import Acknowledgement, fingerprint
from actors.alerts.alertmanager_way import AlertmanagerWay
from actors.alerts.channels.configured import configured
from actors.alerts.contract import (
    ALERTS,
    MOST_LISTED,
    AlertsContract,
    AlertState,
    ChannelHealth,
    ChannelState,
    TestDelivery,
)
from actors.alerts.errors import AlertOver, AlreadyAcknowledged, UnknownAlert
from actors.alerts.event_reading import SOURCE, EventReader
from actors.alerts.network_alerts import AlertRules, NetworkAlerts
from actors.alerts.notice import Change, Notice
from actors.alerts.outbox import MOST_BY, Outbox
from actors.alerts.quiet_hours import QuietHours
from actors.alerts.router import Rules
from actors.alerts.schema import TABLES
from actors.alerts.sender import Sender
from actors.alerts.ways import ALERTMANAGER, Ways
from actors.runtime import alert_spool
from actors.runtime.alert_spool import SpooledAlert
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.runtime.database import Database
from actors.runtime.errors import Conflict, InvalidInput, Unavailable, X0Error
from actors.runtime.shell import ActorShell

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from actors.alerts.channels.configured import Configured
    from actors.alerts.channels.options import ChannelOptions
    from actors.alerts.contract import AlertsOptions, AlertStatus, Silence, SilenceRequest
    from actors.alerts.event_reading import EventAlerts
    from actors.alerts.outbox import Taken
    from actors.alerts.thread_rows import Kept
    from actors.runtime.actor_health import ActorHealth
    from actors.runtime.metrics import Metrics

DATABASE: Final = "alerts.db"
NO_CHANNEL: Final = (
    "no channel is configured (log only); set X0TTA6BL4_ALERTS_ALERTMANAGER_URL,"
    " or X0TTA6BL4_ALERTS_TELEGRAM_TOKEN and _CHAT, or another channel of the README"
)
DECIDE_S: Final = 0.5  # interval between two looks for what is due
ADOPT_S: Final = 2.0  # interval between two looks for spools whose process has ended
TIDY_S: Final = 60.0
COUNT_S: Final = 5.0  # interval between two looks at what waits
REACH_S: Final = 1.0  # interval between two questions whether Alertmanager can be reached
CHECK_S: Final = 60.0  # the same of direct channels
LOCK_S: Final = 5.0  # longest wait at once for an earlier actor to end
RETRY_S: Final = 1.0  # between two tries to open the database
_LEVELS: Final = {AlertSeverity.CRITICAL: "error", AlertSeverity.ERROR: "error"}


class AlertsActor(ActorShell):
    """Takes alerts over, and tells people of them, once.

    Args:
        options: what it is started with.
        metrics: where it counts; None: Ray exports it.
        channels: makes the channels.
        interpret: makes alerts of what happens in networks, from what it exported last; None: as
            the options say.
    """

    def __init__(
        self,
        options: AlertsOptions,
        *,
        metrics: Metrics | None = None,
        channels: Callable[[ChannelOptions], Configured] = configured,
        interpret: Callable[[Mapping[str, Any] | None], EventAlerts] | None = None,
    ) -> None:
        super().__init__(ALERTS, log_level=options.log_level, metrics=metrics)
        self._options = options
        self._make_channels = channels
        rules = AlertRules(links_down=options.links_share)
        self._interpret = interpret or (lambda state: NetworkAlerts(rules, state))
        self._held = contextlib.ExitStack()
        self._senders: dict[str, Sender] = {}
        self._failing = ""
        self._reader: EventReader | None = None
        self._raised_total = self._metrics.counter(
            "x0tta6bl4_alerts_raised_total", "Alerts that were raised", ("name",)
        )
        self._notices_total = self._metrics.counter(
            "x0tta6bl4_alerts_notices_total", "What people were to be told", ("change", "severity")
        )
        self._delivered_total = self._metrics.counter(
            "x0tta6bl4_alerts_delivered_total", "Notices that a service has taken", ("channel",)
        )
        self._failures_total = self._metrics.counter(
            "x0tta6bl4_alerts_failures_total", "Failures of channels", ("channel",)
        )
        self._pending = self._metrics.gauge(
            "x0tta6bl4_alerts_pending", "Notices that wait for a channel", ("channel",)
        )
        self._up = self._metrics.gauge(
            "x0tta6bl4_alerts_channel_up", "1 for a channel whose last use was well", ("channel",)
        )
        self._active = self._metrics.gauge("x0tta6bl4_alerts_active", "Alerts that last")
        self._begin(self._open(), AlertsContract)

    # -- start -----------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Open the database, as the only actor that sends from it, and start the loops."""
        self._rules = Rules(QuietHours.of(self._options.quiet_hours), self._options.change_s)
        made = self._make_channels(self._options.channels)
        for keeping in made.upkeep:
            self._vital(keeping)
        self._waits_for = "its database is being opened"
        while True:
            if await self._opened():
                break
            await asyncio.sleep(RETRY_S)
        direct = tuple(channel.name for channel in made.direct)
        ways = Ways(alertmanager=made.alertmanager is not None, direct=direct)
        self._way = AlertmanagerWay(self._outbox, ways)
        await asyncio.to_thread(self._outbox.recover, time.time(), ways)
        for channel in (made.alertmanager, *made.direct):
            if channel is not None:
                sender = Sender(
                    channel, self._outbox.deliveries, time.time, self._errors, self._told
                )
                self._senders[channel.name] = sender
        for name, sender in self._senders.items():
            self._vital(sender.run())
            if name == ALERTMANAGER:
                self._vital(self._reaching(sender))
                self._vital(self._reposting(sender))
            else:
                self._vital(self._checking(sender))
        for loop in (self._deciding(), self._adopting(), self._tidying(), self._counting()):
            self._vital(loop)
        await self._listen()
        if not self._senders:
            self._log.warning(NO_CHANNEL)

    async def _opened(self) -> bool:
        try:
            self._outbox = await asyncio.to_thread(self._enter)
        except (Conflict, Unavailable) as error:
            if self._waits_for != str(error):
                self._errors.handle(error, severity="warning", during="start")
            self._waits_for = str(error)
            return False
        return True

    def _enter(self) -> Outbox:
        database = Database(SecretStr(f"sqlite:///{self._options.directory / DATABASE}"), TABLES)
        self._held.enter_context(database.alone("alerts", timeout_s=LOCK_S))
        return Outbox(database)

    async def _listen(self) -> None:
        if self._options.events is None:
            return
        cursor = await asyncio.to_thread(self._outbox.cursor, SOURCE)
        self._reader = EventReader(self._options.events, self._interpret, self._take_events, cursor)
        self._vital(self._reader.run())

    # -- taking over -----------------------------------------------------------------------------

    async def take(self, batch: Sequence[SpooledAlert]) -> int:
        """See `AlertsContract.take`."""
        await self._ready()
        return len((await self._take(batch)).alerts)

    async def _take_events(self, batch: list[SpooledAlert], cursor: tuple[str, int, bytes]) -> None:
        await self._take(batch, cursor)

    async def _take(
        self, batch: Sequence[SpooledAlert], cursor: tuple[str, int, bytes] | None = None
    ) -> Taken:
        taken = await asyncio.to_thread(
            lambda: self._outbox.take(
                batch, time.time(), self._rules, self._way.ways, cursor=cursor
            )
        )
        for alert in taken.alerts:
            self._raised_total.inc(name=alert.name.value)
        self._note(taken.notices)
        return taken

    def _note(self, notices: Sequence[Notice]) -> None:
        """Log what is to be told, and have it sent."""
        for notice in notices:
            first = notice.alerts[0]
            level = _LEVELS.get(notice.severity, "warning")
            if notice.change is Change.RESOLVED:
                level = "info"
            getattr(self._log, level)(
                "alert",
                change=notice.change.value,
                severity=notice.severity.value,
                name=first.name.value,
                summary=first.summary,
                alerts=len(notice.alerts),
                thread=notice.thread,
            )
            self._notices_total.inc(change=notice.change.value, severity=notice.severity.value)
        if notices:
            self._wake()

    def _wake(self) -> None:
        for sender in self._senders.values():
            sender.wake()

    async def _adopting(self) -> None:
        """Take over what processes have raised and not handed over before they ended."""
        directory = self._options.directory / alert_spool.SPOOL
        while True:
            with self._errors.guard(severity="warning", during="adopting spools"):
                while await self._adopt_one(directory):
                    pass
            await asyncio.sleep(ADOPT_S)

    async def _adopt_one(self, directory: pathlib.Path) -> bool:
        with alert_spool.adopted(directory, self._options.namespace) as orphan:
            if orphan.alerts:
                await self._take(orphan.alerts)
            return orphan.found

    async def _deciding(self) -> None:
        """Tell what was held back when its time has come."""
        while True:
            due = await asyncio.to_thread(self._outbox.next_due)
            if due is not None and due <= time.time():
                await self._decide()
            await asyncio.sleep(DECIDE_S)

    async def _decide(self) -> None:
        self._note(
            await asyncio.to_thread(self._outbox.decide, time.time(), self._rules, self._way.ways)
        )

    # -- the way to Alertmanager, and past it ----------------------------------------------------

    async def _reaching(self, sender: Sender) -> None:
        """Ask again and again whether Alertmanager can be reached."""
        while True:
            if await sender.check():
                sender.reached()
                await self._way.reached(sender)
            else:
                await self._missed()
            self._count(sender)
            await asyncio.sleep(REACH_S)

    async def _missed(self) -> None:
        if await self._way.missed():
            self._wake()

    async def _reposting(self, sender: Sender) -> None:
        """Tell Alertmanager again and again what lasts: else it takes it to be over."""
        while True:
            await asyncio.sleep(self._options.repost_s)
            with contextlib.suppress(X0Error):  # `_reaching` notices it as well
                await self._way.repost(sender)

    async def _checking(self, sender: Sender) -> None:
        while True:
            await sender.check()
            self._count(sender)
            await asyncio.sleep(CHECK_S)

    def _told(self, sender: Sender) -> None:
        """A channel has delivered, has refused or has failed."""
        self._count(sender)
        if sender.name == ALERTMANAGER and sender.state is not ChannelState.UP:
            self._start(self._missed())

    def _count(self, sender: Sender) -> None:
        self._delivered_total.inc(sender.delivered, channel=sender.name)
        self._failures_total.inc(sender.failed, channel=sender.name)
        sender.delivered = sender.failed = 0
        self._up.set(float(sender.state is ChannelState.UP), channel=sender.name)

    # -- upkeep ----------------------------------------------------------------------------------

    async def _tidying(self) -> None:
        while True:
            with self._errors.guard(severity="warning", during="tidying"):
                given_up = await asyncio.to_thread(
                    self._outbox.tidy, time.time(), self._options.keep_s
                )
                if given_up:
                    self._log.error(
                        "notices are given up: they could not be told", notices=given_up
                    )
            await asyncio.sleep(TIDY_S)

    async def _counting(self) -> None:
        while True:
            with self._errors.guard(severity="warning", during="counting"):
                for name in self._senders:
                    backlog = await asyncio.to_thread(self._outbox.deliveries.backlog, name)
                    self._pending.set(backlog.pending, channel=name)
                threads = await asyncio.to_thread(self._outbox.open)
                now = time.time()
                lasting = [
                    raised
                    for kept in threads
                    for raised in kept.thread.faults.values()
                    if raised.lasts(now)
                ]
                self._active.set(len(lasting))
            await asyncio.sleep(COUNT_S)

    # -- questions -------------------------------------------------------------------------------

    async def active(self) -> tuple[AlertStatus, ...]:
        """See `AlertsContract.active`."""
        await self._ready()
        statuses = await self._listed(await asyncio.to_thread(self._outbox.open))
        lasting = [each for each in statuses if each.state is AlertState.ACTIVE]
        return tuple(listing.worst_first(lasting)[:MOST_LISTED])

    async def recent(self, since: float, most: int = MOST_LISTED) -> tuple[AlertStatus, ...]:
        """See `AlertsContract.recent`."""
        await self._ready()
        if not 1 <= most <= MOST_LISTED:
            raise InvalidInput(
                f"{most} alerts are too many or too few",
                f"one answer lists 1 to {MOST_LISTED}",
                "Ask for fewer, and again from the last one on.",
                entry="most",
            )
        statuses = await self._listed(await asyncio.to_thread(self._outbox.since, since, most))
        newest = sorted(statuses, key=lambda each: -each.last_raised)
        return tuple(each for each in newest if each.last_raised >= since)[:most]

    async def _listed(self, threads: Sequence[Kept]) -> list[AlertStatus]:
        now = time.time()
        told = await asyncio.to_thread(self._outbox.deliveries.told, [kept.id for kept in threads])
        silences = await asyncio.to_thread(self._outbox.silences.all, now)
        return listing.listed(threads, told, silences, now)

    async def resolve(self, fingerprint: str, by: str) -> AlertStatus:
        """See `AlertsContract.resolve`."""
        one = await self._lasting_alert(fingerprint)
        now = time.time()
        details = (*one.alert.details, f"Ended by {by}.")
        over = replace(one.alert, ended=now, details=details)
        await self._take([SpooledAlert(uuid.uuid4().hex, over)])
        self._log.info("an alert is ended by a person", fingerprint=one.fingerprint, by=by)
        return replace(one, alert=over, state=AlertState.OVER)

    async def acknowledge(self, fingerprint: str, by: str) -> AlertStatus:
        """See `AlertsContract.acknowledge`."""
        one = await self._lasting_alert(fingerprint)
        given = Acknowledgement(by[:MOST_BY], time.time())
        known = await asyncio.to_thread(
            self._outbox.acknowledge, one.fingerprint, given, self._way.ways
        )
        if known is None:
            raise AlertOver(one.fingerprint, one.alert.summary)
        if known is not given:
            raise AlreadyAcknowledged(one.fingerprint, known.by, documents.iso(known.at) or "")
        self._log.info("an alert is acknowledged", fingerprint=one.fingerprint, by=given.by)
        self._wake()
        return replace(one, acknowledged=given.at, acknowledged_by=given.by)

    async def _lasting_alert(self, fingerprint: str) -> AlertStatus:
        """The alert that lasts and whose fingerprint begins so.

        Raises:
            UnknownAlert: there is none.
            AlertOver: it is over.
            InvalidInput: there are several.
        """
        found = _beginning(await self.active(), fingerprint)
        if not found:
            over = _beginning(await self.recent(0.0), fingerprint)
            if len({each.fingerprint for each in over}) == 1:
                raise AlertOver(over[0].fingerprint, over[0].alert.summary)
            raise UnknownAlert(fingerprint)
        if len(found) > 1:
            raise InvalidInput(
                f"{fingerprint} is not one alert",
                f"{len(found)} fingerprints begin with it",
                "Give more of it.",
                entry="fingerprint",
            )
        return found[0]

    async def silence(self, request: SilenceRequest) -> Silence:
        """See `AlertsContract.silence`."""
        await self._ready()
        now = time.time()
        silence = await asyncio.to_thread(self._outbox.silences.add, request, now)
        self._log.info("alerts are silenced", id=silence.id, by=request.by, why=request.comment)
        return silence

    async def silences(self) -> tuple[Silence, ...]:
        """See `AlertsContract.silences`."""
        await self._ready()
        return await asyncio.to_thread(self._outbox.silences.all, time.time())

    async def unsilence(self, silence: str) -> Silence:
        """See `AlertsContract.unsilence`."""
        await self._ready()
        ended = await asyncio.to_thread(self._outbox.silences.end, silence, time.time())
        self._log.info("a silence is ended", id=silence)
        await self._decide()
        return ended

    async def test(self, by: str) -> tuple[TestDelivery, ...]:
        """See `AlertsContract.test`."""
        await self._ready()
        now = time.time()
        alert = Alert(
            AlertName.ALERT_TEST,
            uuid.uuid4().hex,
            f"A test of alerts, by {by}",
            now,
            severity=AlertSeverity.INFO,
            momentary=True,
        )
        thread = fingerprint(alert.name, alert.key)
        notice = Notice(thread, thread, Change.FIRED, AlertSeverity.INFO, (alert,), now)
        answers = (_tried(sender, notice) for sender in self._senders.values())
        return tuple(await asyncio.gather(*answers))

    async def channels(self) -> tuple[ChannelHealth, ...]:
        """See `AlertsContract.channels`."""
        await self._ready()
        found: list[ChannelHealth] = []
        for name, sender in self._senders.items():
            backlog = await asyncio.to_thread(self._outbox.deliveries.backlog, name)
            found.append(
                ChannelHealth(
                    name,
                    sender.state,
                    sender.why,
                    backlog.pending,
                    backlog.oldest,
                    backlog.delivered,
                    backlog.refused,
                )
            )
        return tuple(found)

    async def health(self) -> ActorHealth:
        """See `ActorContract.health`; that nobody can be told is its `why`."""
        health = await super().health()
        if health.state != "ready":
            return health
        if not self._senders:
            return replace(health, why=NO_CHANNEL)
        wrong = [
            f"{name}: {sender.state.value}, {sender.why}"
            for name, sender in self._senders.items()
            if sender.state in {ChannelState.DOWN, ChannelState.REFUSING}
        ]
        if self._reader is not None and self._reader.failing:
            wrong.append(f"events: {self._reader.failing}")
        return replace(health, why="; ".join(wrong))


def _beginning(statuses: Sequence[AlertStatus], fingerprint: str) -> list[AlertStatus]:
    """Those whose fingerprint begins so."""
    return [each for each in statuses if fingerprint and each.fingerprint.startswith(fingerprint)]


async def _tried(sender: Sender, notice: Notice) -> TestDelivery:
    try:
        await sender.tell_in_turn([notice])
    except X0Error as error:
        return TestDelivery(sender.name, delivered=False, why=str(error))
    return TestDelivery(sender.name, delivered=True)


_KEEPS: type[AlertsContract] = AlertsActor
