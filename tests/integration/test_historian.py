"""The historian's actor writes what happens and what is measured; no failure stops the rest."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import SecretStr

from actors.history import actor as module
from actors.history.actor import HistorianActor
from actors.history.archive import Archive
from actors.history.contract import HistorianOptions, Recorded
from actors.history.event_store import EventQuery
from actors.runtime import alerting
from actors.runtime.alerting import AlertName
from actors.runtime.daily import DailyTime
from actors.runtime.errors import ActorUnavailable
from actors.runtime.metrics import MemoryMetrics
from actors.topology.events import EventKind, EventPage, RecordedPage
from actors.topology.provenance import Network
from tests.unit.history.happenings import Source, event, sample
from tests.unit.topology.test_mesh_events import mesh

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from actors.runtime.alerting import Alert
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.samples import NetworkSample

REAL, LAB = Network.OBSERVED, Network.EMULATED


class Mesh:
    """One shard of a mesh, some of whose links are down."""

    def __init__(self) -> None:
        self.down: set[int] = set()
        self.silent = False

    async def roster(self) -> Roster:
        return mesh().roster

    async def link_state(self, shard: str, _known: object) -> LinkState | None:
        if self.silent:
            raise ActorUnavailable(shard)
        return mesh(self.down).parts[shard]


class Samples:
    async def sample(self) -> NetworkSample:
        return sample({("a", "b"): 0.5})


def options(tmp_path: Path, seen: Mesh, **recorded: Recorded) -> HistorianOptions:
    archive = Archive(SecretStr(f"sqlite:///{tmp_path / 'history.db'}"), tmp_path / "history")
    # The events of these tests are of a fixed day: none of them may be old.
    return HistorianOptions(archive, 1, seen, 1e9, 1e9, 2**30, "INFO", recorded)


async def _until(condition: object, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await asyncio.to_thread(condition):  # type: ignore[arg-type]
                return
            await asyncio.sleep(0.05)


async def test_the_historian_writes_what_happens_and_what_is_measured(tmp_path: Path) -> None:
    """Of the mesh, of other sources, and what is reported; one at a time on one history."""
    seen, metrics = Mesh(), MemoryMetrics()
    observer = Recorded(REAL, Source([event(1), event(2)]), Samples())
    given = options(tmp_path, seen, observer=observer)
    actor = HistorianActor(given, metrics=metrics)
    await actor._ready()
    store, samples = given.archive.events, given.archive.metrics
    await _until(lambda: samples.newest(LAB) and samples.newest(REAL) and store.ends()[1] == 2)
    seen.down = {3}
    await _until(lambda: store.ends()[1] == 5)
    kinds = [one.event.kind.value for one in store.find(EventQuery(network=LAB))]
    assert kinds == ["link_down", "split", "gateway_lost"]
    data = {"healed_s": None, "bound_s": 4.5}
    drill = EventPage(9, 0, (event(1, kind=EventKind.DRILL, **data),))
    assert await actor.report("drill", LAB, drill) == 1
    assert await actor.report("drill", LAB, drill) == 0
    assert store.ends() == (1, 6)
    assert (await actor.health()).why == ""
    name = "x0tta6bl4_history_events_total"
    assert metrics.value(name, network="emulated", kind="split", severity="critical") == 1
    assert metrics.value("x0tta6bl4_history_late_healings_total", network="emulated") == 1


async def test_who_waits_for_events_has_them_in_the_order_of_storage(tmp_path: Path) -> None:
    """All sources are read by one number; without news the answer comes empty, and in time."""
    seen = Mesh()
    kept = Source([event(1), event(2)])
    given = options(tmp_path, seen, observer=Recorded(REAL, kept, Samples()))
    actor = HistorianActor(given, metrics=MemoryMetrics())
    page = await actor.events(0, 1, 60)
    assert [(one.id, one.source, one.incarnation) for one in page.events] == [(1, "observer", 7)]
    page = await actor.events(1, 10, 60)
    assert (page.newest, [one.id for one in page.events]) == (2, [2])
    assert await actor.events(2, 10, 0.05) == RecordedPage(2, (), 1)
    waiting = [asyncio.create_task(actor.events(2, 10, 60)) for _ in range(2)]
    kept.kept.append(event(3))
    for each in waiting:
        (new,) = (await each).events
        assert (new.id, new.network, new.event.number) == (3, REAL, 3)
    # Whoever has read another history sees that this one is younger.
    assert await actor.events(99, 10, 60) == RecordedPage(3, (), 1)


async def test_the_digest_is_told_once_a_day_over_restarts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What got worse, of each network; where yesterday is not known, that is said."""
    alerts: list[Alert] = []
    alerting.send_alerts_to(alerts.append)
    monkeypatch.setattr(module, "DIGEST_S", 0.05)
    due = datetime.now(UTC) - timedelta(minutes=1)
    given = replace(options(tmp_path, Mesh()), digest_at=DailyTime(due.time(), UTC))
    try:
        first = HistorianActor(given, metrics=MemoryMetrics())
        await _until((tmp_path / "history" / module.DIGEST_FILE).is_file)
        (told,) = alerts
        assert (told.name, told.key) == (AlertName.MORNING_DIGEST, f"emulated:{due.date()}")
        assert "not known" in told.summary
        await asyncio.to_thread(first._digest, given.digest_at)
        first._held.close()
        second = HistorianActor(given, metrics=MemoryMetrics())
        await second._ready()
        await asyncio.to_thread(second._digest, given.digest_at)
    finally:
        alerting._sinks.clear()
    assert alerts == [told]


async def test_a_source_that_fails_is_told_and_the_others_are_recorded(tmp_path: Path) -> None:
    """It is told while it lasts, and nothing of the rest waits for it."""

    class Absent:
        async def events(self, _after: int, _most: int) -> EventPage:
            raise ActorUnavailable("observer")

        async def sample(self) -> NetworkSample:
            raise ActorUnavailable("observer")

    seen = Mesh()
    given = options(tmp_path, seen, observer=Recorded(REAL, Absent(), Absent()))
    actor = HistorianActor(given, metrics=MemoryMetrics())
    await _until(lambda: given.archive.metrics.newest(LAB))
    health = await actor.health()
    assert health.state == "ready"
    assert {part.partition(":")[0] for part in health.why.split("; ")} == {
        "observer",
        "samples of observer",
    }
    seen.silent = True
    await _until(lambda: given.archive.events.ends()[1] == 1)
    (down,) = given.archive.events.find(EventQuery())
    assert (down.event.kind, down.event.data["shard"]) == (EventKind.SHARD_DOWN, "s0")


async def test_a_second_historian_waits_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes over when the first has ended."""
    monkeypatch.setattr(module, "LOCK_S", 0.1)
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    given = options(tmp_path, Mesh())
    with given.archive.events.alone(0):
        second = HistorianActor(options(tmp_path, Mesh()), metrics=MemoryMetrics())
        async with asyncio.timeout(60):
            while True:
                health = await second.health()
                if "another process" in health.why:
                    break
                await asyncio.sleep(0.05)
        assert health.state == "starting"
    async with asyncio.timeout(60):
        await second._ready()
