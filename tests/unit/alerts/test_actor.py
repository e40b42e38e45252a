"""The actor of alerts: takes over, decides, has channels told, and answers who asks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from actors.alerts import actor as alerts_actor
from actors.alerts.actor import NO_CHANNEL, AlertsActor
from actors.alerts.channels.configured import Configured
from actors.alerts.contract import AlertsOptions, AlertState, ChannelState, SilenceRequest
from actors.alerts.errors import (
    AlertOver,
    AlreadyAcknowledged,
    ChannelRefused,
    ChannelUnavailable,
    UnknownAlert,
    UnknownSilence,
)
from actors.alerts.notice import Change
from actors.runtime.alert_spool import AlertSpool
from actors.runtime.alerting import AlertName
from actors.runtime.errors import InvalidInput
from actors.runtime.metrics import MemoryMetrics
from tests.unit.alerts.routing_examples import fired, over, spooled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from actors.alerts.notice import Notice

WAIT_S = 60.0


class Heard:
    """A channel that keeps what it is told, hangs, or fails."""

    most = 1
    pause_s = 0.0

    def __init__(self, name: str, *, deadline_s: float = 30.0) -> None:
        self.name = name
        self.deadline_s = deadline_s
        self.heard: list[Notice] = []
        self.fails: Exception | None = None
        self.hangs = False

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        await self.check()
        self.heard.extend(notices)
        return [f"receipt {len(self.heard)}"] * len(notices)

    async def check(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    async def close(self) -> None:
        return

    def told(self) -> list[tuple[str, Change]]:
        return [(each.alerts[0].key, each.change) for each in self.heard]


class House:
    """An actor with its channels, which ends with the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.alertmanager: Heard | None = None
        self.direct: list[Heard] = []
        self.metrics = MemoryMetrics()

    def start(self, **options: Any) -> AlertsActor:
        made = Configured(self.alertmanager, tuple(self.direct))
        return AlertsActor(
            AlertsOptions(self.directory, **options),
            metrics=self.metrics,
            channels=lambda _options: made,
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - the condition is the test's
            await asyncio.sleep(0.02)


async def stop(actor: AlertsActor) -> None:
    """End its loops, and let go of its database."""
    for task in list(actor._tasks):
        task.cancel()
    await asyncio.gather(*actor._tasks, return_exceptions=True)
    actor._held.close()


async def test_without_a_channel_alerts_are_kept_and_listed(house: House) -> None:
    """The state says that nobody is told, and what to set."""
    actor = house.start()
    assert await actor.take(spooled(fired("a"), fired("b"), over("b"))) == 3
    assert (await actor.health()).why == NO_CHANNEL
    assert await actor.channels() == ()
    assert await actor.test("me") == ()
    (active,) = await actor.active()
    assert (active.alert.key, active.path, active.told) == ("a", "log", None)
    assert {each.alert.key: each.state for each in await actor.recent(0)} == {
        "a": AlertState.ACTIVE,
        "b": AlertState.OVER,
    }
    with pytest.raises(InvalidInput):
        await actor.recent(0, 0)
    assert house.metrics.value("x0tta6bl4_alerts_raised_total", name="NodeOffline") == 3
    await stop(actor)


async def test_a_person_ends_an_alert_and_silences_others(house: House) -> None:
    """What is ended is told to be over; what is silenced is told when the silence ends."""
    telegram = Heard("telegram")
    house.direct = [telegram]
    actor = house.start()
    await actor.take(spooled(fired("a")))
    await until(lambda: len(telegram.heard) == 1)
    (active,) = await actor.active()
    for asks in (actor.resolve, actor.acknowledge):
        with pytest.raises(UnknownAlert):
            await asks("0" * 32, "me")
    ended = await actor.resolve(active.fingerprint[:8], "me")
    assert (ended.state, ended.alert.details) == (AlertState.OVER, ("Ended by me.",))
    await until(lambda: telegram.told() == [("a", Change.FIRED), ("a", Change.RESOLVED)])
    assert telegram.heard[1].receipt == "receipt 1"

    now = time.time()
    anything = SilenceRequest(now, now + 60, "work", "me")
    for wrong in (
        anything,
        replace(anything, names=frozenset([AlertName.NODE_OFFLINE]), ends=now - 1),
        replace(anything, names=frozenset([AlertName.NODE_OFFLINE]), ends=now + 1e9),
    ):
        with pytest.raises(InvalidInput):
            await actor.silence(wrong)
    silence = await actor.silence(replace(anything, names=frozenset([AlertName.NODE_OFFLINE])))
    await actor.take(spooled(fired("quiet"), first=9))
    (silenced,) = await actor.active()
    assert silenced.silenced_by == (silence.id,)
    # What it keeps back now: not that of which people were told before it.
    assert {each.alert.key: each.silenced_by for each in await actor.recent(0)} == {
        "quiet": (silence.id,),
        "a": (),
    }
    assert await actor.silences() == (silence,)
    assert await actor.unsilence(silence.id) == silence
    with pytest.raises(UnknownSilence):
        await actor.unsilence(silence.id)
    await until(lambda: telegram.told()[2:] == [("quiet", Change.FIRED)])
    await stop(actor)


async def test_who_looks_after_an_incident_is_known_and_told_to_pagerduty_alone(
    house: House,
) -> None:
    """Once, also after a restart; who comes second is told who was first."""
    pagerduty, telegram = Heard("pagerduty"), Heard("telegram")
    house.direct = [pagerduty, telegram]
    actor = house.start()
    await actor.take(spooled(fired("a", thread="one"), fired("b", thread="one"), fired("c")))
    first, *_ = [each for each in await actor.active() if each.alert.key == "a"]
    given = await actor.acknowledge(first.fingerprint[:10], "anna")
    await until(lambda: ("a", Change.ACKNOWLEDGED) in pagerduty.told())
    assert given.acknowledged_by == "anna"
    await stop(actor)
    actor = house.start()
    listed = {each.alert.key: each for each in await actor.active()}
    assert (listed["b"].acknowledged, listed["b"].acknowledged_by) == (given.acknowledged, "anna")
    assert (listed["c"].acknowledged, listed["c"].acknowledged_by) == (None, "")
    with pytest.raises(AlreadyAcknowledged, match="anna looks after"):
        await actor.acknowledge(listed["b"].fingerprint, "ben")
    await actor.take(spooled(over("c"), first=9))
    for asks in (actor.acknowledge, actor.resolve):
        with pytest.raises(AlertOver):
            await asks(listed["c"].fingerprint, "ben")
    await until(lambda: ("c", Change.RESOLVED) in telegram.told())
    assert [change for _, change in pagerduty.told()].count(Change.ACKNOWLEDGED) == 1
    assert Change.ACKNOWLEDGED not in {change for _, change in telegram.told()}
    await stop(actor)


async def test_a_channel_that_hangs_or_fails_holds_no_other_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it hold up who raises: taking over returns while every channel but one hangs."""
    monkeypatch.setattr(alerts_actor, "COUNT_S", 0.05)
    hanging, failing, refusing, well = map(Heard, ("email", "webhook", "pagerduty", "telegram"))
    hanging.hangs = True
    failing.fails = ZeroDivisionError("a defect")
    refusing.fails = ChannelRefused("pagerduty", "wrong key", "Correct it.")
    house.direct = [hanging, failing, refusing, well]
    actor = house.start()
    await actor.take(spooled(fired("a"), fired("b")))
    await until(lambda: len(well.heard) == 2)
    assert not hanging.heard
    states = {each.name: each for each in await actor.channels()}
    assert states["telegram"].state is ChannelState.UP
    assert states["webhook"].state is ChannelState.DOWN
    assert states["webhook"].pending == 2
    pending, up = "x0tta6bl4_alerts_pending", "x0tta6bl4_alerts_channel_up"
    await until(lambda: house.metrics.value(pending, channel="webhook") == 2)
    assert house.metrics.value(up, channel="webhook") == 0
    await until(lambda: actor._senders["pagerduty"].state is ChannelState.REFUSING)
    assert "wrong key" in (await actor.health()).why
    await stop(actor)


async def test_direct_channels_tell_while_alertmanager_is_away_and_only_then(house: House) -> None:
    """A thread that others have told stays with them; later ones are Alertmanager's again."""
    alertmanager, telegram = Heard("alertmanager"), Heard("telegram")
    house.alertmanager, house.direct = alertmanager, [telegram]
    actor = house.start()
    await actor.take(spooled(fired("first")))
    await until(lambda: len(alertmanager.heard) == 1)
    alertmanager.fails = ChannelUnavailable("alertmanager", "refused")
    await actor.take(spooled(fired("meanwhile"), first=1))
    await until(lambda: telegram.told() == [("meanwhile", Change.FIRED)])
    alertmanager.fails = None
    await until(lambda: actor._way.ways.reached)
    await actor.take(spooled(fired("later"), over("meanwhile"), over("first"), first=2))
    await until(lambda: ("first", Change.RESOLVED) in alertmanager.told())
    await until(lambda: len(telegram.heard) == 2)
    assert telegram.told() == [("meanwhile", Change.FIRED), ("meanwhile", Change.RESOLVED)]
    assert not [key for key, _ in alertmanager.told() if key == "meanwhile"]
    assert house.metrics.value("x0tta6bl4_alerts_channel_up", channel="alertmanager") == 1
    await stop(actor)


async def test_alertmanager_is_told_again_of_what_lasts(house: House) -> None:
    """It forgets what it has not been told of for five minutes."""
    alertmanager = Heard("alertmanager")
    house.alertmanager = alertmanager
    actor = house.start(repost_s=0.05)
    await actor.take(spooled(fired("a"), fired("b"), over("b")))
    await until(lambda: alertmanager.told().count(("a", Change.CHANGED)) > 2)
    assert ("b", Change.CHANGED) not in alertmanager.told()[3:]
    await stop(actor)


async def test_what_a_process_left_behind_is_taken_over(house: House) -> None:
    """Its spool is adopted when its lock is free, and goes; of another namespace's it is not."""
    telegram = Heard("telegram")
    house.direct = [telegram]
    spools = house.directory / "spool"
    for namespace in ("x0", "other"):
        spool = AlertSpool(spools, namespace)
        spool.append(fired(namespace))
        spool.close()
    living = AlertSpool(spools, "x0")
    living.append(fired("living"))
    actor = house.start()
    await until(lambda: telegram.told() == [("x0", Change.FIRED)])
    await until(lambda: len(list(spools.iterdir())) == 2)
    living.close()
    await until(lambda: len(telegram.heard) == 2)
    await stop(actor)


async def test_after_a_restart_all_goes_on(house: House) -> None:
    """What waited is told by the next process; what was told is not told again."""
    telegram = Heard("telegram")
    house.direct = [telegram]
    actor = house.start()
    await actor.take(spooled(fired("told")))
    await until(lambda: len(telegram.heard) == 1)
    telegram.fails = ChannelUnavailable("telegram", "no route")
    await actor.take(spooled(fired("waits"), first=1))
    await until(lambda: actor._senders["telegram"].state is ChannelState.DOWN)
    await stop(actor)
    telegram.fails = None
    house.metrics = MemoryMetrics()
    actor = house.start()
    assert await actor.take(spooled(fired("told"))) == 0
    await until(lambda: len(telegram.heard) == 2)
    assert telegram.told() == [("told", Change.FIRED), ("waits", Change.FIRED)]
    await stop(actor)
