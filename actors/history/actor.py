"""The historian: a thin shell around the recorder of a mesh, the collectors and the two stores."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actors.history import digest
from actors.history.collecting import EventCollector
from actors.history.contract import HISTORIAN, MOST_EVENTS, MOST_WAIT_S, HistorianContract
from actors.history.errors import NoHistory
from actors.history.event_store import EventQuery
from actors.history.mesh_recorder import MeshRecorder
from actors.runtime.alerting import raise_alert
from actors.runtime.bell import Bell
from actors.runtime.errors import Conflict, Unavailable, X0Error
from actors.runtime.shell import ActorShell
from actors.runtime.state_files import ensure_directory, write_atomic
from actors.topology.events import MESH, EventKind, EventSeverity, RecordedPage
from actors.topology.live import Watch
from actors.topology.provenance import Network
from actors.topology.samples import of_mesh

if TYPE_CHECKING:
    from actors.history.contract import HistorianOptions, Recorded
    from actors.history.event_store import EventStore, StoredEvent
    from actors.history.mesh_recorder import Recording
    from actors.runtime.actor_health import ActorHealth
    from actors.runtime.daily import DailyTime
    from actors.runtime.metrics import Metrics
    from actors.topology.events import EventPage, NetworkEvent
    from actors.topology.samples import NetworkSample

POLL_S: Final = 0.25  # interval between two polls of a source of events
MINUTE_S: Final = 60.0
SAMPLE_S: Final = 2.0  # interval between two tries to sample what was not seen in this minute
EXPIRE_S: Final = 3_600.0  # interval between two deletions of old events
DIGEST_S: Final = 20.0  # interval between two looks whether a digest is due
SAMPLED_S: Final = 600.0  # so long a digest waits for a sample of each network
LATE_S: Final = 3_600.0  # a digest that is later than this is left out
DIGEST_FILE: Final = "digest"  # holds the day of the last one
LOCK_S: Final = 5.0  # longest wait at once for an earlier historian to end
RETRY_S: Final = 5.0  # between two tries to open the stores
MOST_LINES: Final = 20  # log lines about events that were stored together
_LEVELS: Final = {
    EventSeverity.INFO: "info",
    EventSeverity.WARNING: "warning",
    EventSeverity.CRITICAL: "warning",  # of the network, not of this program
}


class HistorianActor(ActorShell):
    """Writes down what happens in networks, and what is measured in them.

    Args:
        options: options that the historian is started with.
        metrics: where it counts; None: Ray exports it.
    """

    def __init__(self, options: HistorianOptions, *, metrics: Metrics | None = None) -> None:
        super().__init__(HISTORIAN, log_level=options.log_level, metrics=metrics)
        self._options = options
        self._held = ExitStack()
        self._news = Bell()
        self._newest = 0  # id of the newest event, once the stores are open
        self._failing: dict[str, str] = {}
        self._minutes: dict[str, int] = {}  # minute of the newest sample of each source
        self._stamp: tuple[object, ...] = ()
        self._watch = None if options.mesh is None else Watch(options.mesh, self._clock)
        self._events_total = self._metrics.counter(
            "x0tta6bl4_history_events_total", "Events stored", ("network", "kind", "severity")
        )
        self._late_total = self._metrics.counter(
            "x0tta6bl4_history_late_healings_total",
            "Drills after which routes were whole later than they must be, or never",
            ("network",),
        )
        self._samples_total = self._metrics.counter(
            "x0tta6bl4_history_samples_total", "Samples of whole networks stored", ("network",)
        )
        self._bytes = self._metrics.gauge(
            "x0tta6bl4_history_metrics_bytes", "Size of all stored metrics"
        )
        self._failing_gauge = self._metrics.gauge(
            "x0tta6bl4_history_failing_sources", "Sources and stores that fail now"
        )
        self._begin(self._open(), HistorianContract)

    @property
    def _store(self) -> EventStore:
        return self._options.archive.events

    # -- start -----------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Open both stores, as the only writer, and start the loops."""
        self._waits_for = "its database is being opened"
        while True:
            if await self._opened():
                break
            await asyncio.sleep(RETRY_S)
        options = self._options
        if self._watch is not None:
            progress = await asyncio.to_thread(self._store.progress, MESH)
            self._recorder = MeshRecorder(options.session, progress)
            self._vital(self._watch.run(self._looked))
        for name, recorded in options.recorded.items():
            self._vital(self._collecting(name, recorded))
        self._vital(self._sampling())
        self._vital(self._expiring())
        if options.digest_at is not None:
            self._vital(self._digesting(options.digest_at))
        self._log.info("history is recorded", directory=str(options.archive.directory))

    async def _opened(self) -> bool:
        """Open both stores; False if another historian has them, or there is no answer."""
        try:
            await asyncio.to_thread(self._enter)
        except (Conflict, Unavailable) as error:
            if self._waits_for != str(error):
                self._errors.handle(error, severity="warning", during="start")
            self._waits_for = str(error)
            return False
        self._newest = (await asyncio.to_thread(self._store.ends))[1]
        return True

    def _enter(self) -> None:
        self._held.enter_context(self._store.alone(LOCK_S))
        self._options.archive.metrics.compact(time.time())

    # -- events ----------------------------------------------------------------------------------

    async def _looked(self) -> None:
        """Store what has happened in the mesh since the look before."""
        assert self._watch is not None  # noqa: S101 - it calls this
        mesh, silent = self._watch.mesh, self._watch.silent
        if mesh is None:
            return
        stamp = (mesh.roster.revision, mesh.changes, tuple(silent))
        if stamp == self._stamp and self._recorder.settled:
            return
        now = time.time()
        recording = await asyncio.to_thread(self._recorder.look, mesh, silent, now)
        if recording is not None and not await self._try("events", self._record(recording)):
            return  # the next look tells it
        self._stamp = stamp

    async def _record(self, recording: Recording) -> None:
        stored = await asyncio.to_thread(
            lambda: self._store.record(
                MESH,
                Network.EMULATED,
                self._recorder.session,
                recording.events,
                recording.view,
            )
        )
        self._recorder.keep(recording)
        await self._told(stored)

    async def _collecting(self, name: str, recorded: Recorded) -> None:
        collector = EventCollector(name, recorded.network, recorded.events, self._store, time.time)
        while True:
            await self._try(name, collector.collect(self._told))
            await asyncio.sleep(POLL_S)

    async def _told(self, stored: list[StoredEvent]) -> None:
        """Count events that were stored, log them, and tell who waits for them."""
        if stored:
            self._newest = stored[-1].id
            self._news.ring()
        for one in stored:
            event = one.event
            self._events_total.inc(
                network=one.network.value, kind=event.kind.value, severity=event.severity.value
            )
            if _healed_late(event):
                self._late_total.inc(network=one.network.value)
        # The most severe first: of a thousand, those that are worth a line.
        order = sorted(stored, key=lambda one: one.event.severity is EventSeverity.INFO)
        for one in order[:MOST_LINES]:
            self._log_line(one)
        if len(stored) > MOST_LINES:
            self._log.info("more happened", events=len(stored) - MOST_LINES)

    def _log_line(self, one: StoredEvent) -> None:
        event = one.event
        getattr(self._log, _LEVELS[event.severity])(
            event.what,
            kind=event.kind.value,
            severity=event.severity.value,
            network=one.network.value,
            event_id=one.id,
        )

    async def report(self, source: str, network: Network, page: EventPage) -> int:
        """See `HistorianContract.report`."""
        await self._ready()
        stored = await asyncio.to_thread(
            self._store.record, source, network, page.incarnation, page.events
        )
        await self._told(stored)
        return len(stored)

    async def events(self, after: int, most: int, wait_s: float) -> RecordedPage:
        """See `HistorianContract.events`."""
        await self._ready()
        # Only this process writes events: whoever waits costs no look at the database.
        until = self._clock.now() + min(wait_s, MOST_WAIT_S)
        while self._newest == after and (left := until - self._clock.now()) > 0:
            await self._news.wait(left)
        newest, session = self._newest, 0 if self._watch is None else self._options.session
        if newest <= after:
            return RecordedPage(newest, (), session)
        query = EventQuery(after=after, limit=max(0, min(most, MOST_EVENTS)))
        found = await asyncio.to_thread(self._store.find, query)
        return RecordedPage(newest, tuple(found), session)

    # -- samples ---------------------------------------------------------------------------------

    async def _sampling(self) -> None:
        """Sample each network once a minute, as soon in it as it can be seen."""
        tidied = -1
        while True:
            minute = int(time.time() // MINUTE_S)
            if self._watch is not None and self._due(MESH, minute):
                await self._try("samples of the mesh", self._sample_mesh(minute))
            for name, recorded in self._options.recorded.items():
                if self._due(name, minute):
                    await self._try(f"samples of {name}", self._sample(name, recorded, minute))
            if tidied != minute:
                await self._try("old samples", self._tidy())
                tidied = minute
            await asyncio.sleep(SAMPLE_S)

    def _due(self, name: str, minute: int) -> bool:
        return self._minutes.get(name) != minute

    async def _sample_mesh(self, minute: int) -> None:
        assert self._watch is not None  # noqa: S101 - the caller checks
        mesh = self._watch.mesh
        if mesh is not None and mesh.is_whole:
            sample = await asyncio.to_thread(of_mesh, mesh, tuple(self._watch.silent))
            await self._write(MESH, Network.EMULATED, sample, minute)

    async def _sample(self, name: str, recorded: Recorded, minute: int) -> None:
        await self._write(name, recorded.network, await recorded.samples.sample(), minute)

    async def _write(self, name: str, network: Network, sample: NetworkSample, minute: int) -> None:
        at = minute * MINUTE_S
        await asyncio.to_thread(self._options.archive.metrics.write, network, sample, at)
        self._minutes[name] = minute
        self._samples_total.inc(network=network.value)

    async def _tidy(self) -> None:
        metrics, options = self._options.archive.metrics, self._options

        def work() -> int:
            now = time.time()
            metrics.compact(now)
            metrics.expire(now - options.metric_s, options.metric_bytes)
            return metrics.bytes()

        self._bytes.set(await asyncio.to_thread(work))

    async def _expiring(self) -> None:
        while True:
            await self._try("old events", self._expire())
            await asyncio.sleep(EXPIRE_S)

    async def _expire(self) -> None:
        before = time.time() - self._options.event_s
        deleted = await asyncio.to_thread(self._store.expire, before)
        if deleted:
            self._log.info("old events deleted", events=deleted)

    # -- digest ----------------------------------------------------------------------------------

    async def _digesting(self, daily: DailyTime) -> None:
        """Tell once a day what got worse in it; what was due while nothing ran, for an hour."""
        while True:
            await self._try("digest", asyncio.to_thread(self._digest, daily))
            await asyncio.sleep(DIGEST_S)

    def _digest(self, daily: DailyTime) -> None:
        now = time.time()
        day, due = daily.newest(now)
        file = self._options.archive.directory / DIGEST_FILE
        told = file.read_text(encoding="ascii") if file.is_file() else ""
        if told == day.isoformat() or now - due > LATE_S:
            return
        networks = {name: each.network for name, each in self._options.recorded.items()}
        if self._options.mesh is not None:
            networks[MESH] = Network.EMULATED
        if now - due < SAMPLED_S and not networks.keys() <= self._minutes.keys():
            return  # it has just been started, and has not seen all networks yet
        for network in networks.values():
            try:
                made = digest.of_day(self._options.archive, network, now, daily.zone)
            except NoHistory as error:
                made = digest.not_known(network, error.why)
            raise_alert(digest.alert(made, network, day, now))
        ensure_directory(file.parent)
        write_atomic(file, day.isoformat().encode("ascii"))

    # -- state -----------------------------------------------------------------------------------

    async def _try(self, what: str, work: Any) -> bool:  # noqa: ANN401 - a coroutine
        """Do something that may fail for a while; whether it has been done.

        A failure is logged when it begins, and counted as long as it lasts.
        """
        try:
            await work
        except (X0Error, OSError) as error:
            if self._failing.get(what) != str(error):
                self._errors.handle(error, severity="warning", during=what)
            self._failing[what] = str(error)
        else:
            if self._failing.pop(what, None) is not None:
                self._log.info("works again", what=what)
        self._failing_gauge.set(len(self._failing))
        return what not in self._failing

    async def health(self) -> ActorHealth:
        """See `ActorContract.health`; what cannot be read or written now is its `why`."""
        health = await super().health()
        if health.state != "ready" or not self._failing:
            return health
        return replace(health, why="; ".join(f"{k}: {v}" for k, v in self._failing.items()))


_KEEPS: type[HistorianContract] = HistorianActor


def _healed_late(event: NetworkEvent) -> bool:
    """Whether it tells of a drill after which routes were whole too late, or never."""
    healed_s, bound_s = event.data.get("healed_s"), event.data.get("bound_s")
    if event.kind is not EventKind.DRILL or not isinstance(bound_s, int | float):
        return False
    return not isinstance(healed_s, int | float) or healed_s > bound_s
