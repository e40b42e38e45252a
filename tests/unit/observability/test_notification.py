"""From metrics that the project's own objects export to the people who are told, each thing once.

A real Prometheus and a real Alertmanager with what is shipped (`telling` says what differs) stand
between them; people are strict stand-ins of Telegram and PagerDuty over https.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from actors.alerts.actor import AlertsActor
from actors.alerts.channels.options import ChannelOptions
from actors.alerts.contract import AlertsOptions
from actors.mesh.contract import HostOptions
from actors.mesh.host import MeshHost
from actors.mesh.journal import MemoryJournal
from actors.mesh.partition import Partition
from actors.mesh.placement import Placement
from actors.mesh.shard_metrics import ShardMetrics
from actors.runtime.clock import VirtualClock
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.lag import LoopLag
from tests.unit.alerts.routing_examples import spooled
from tests.unit.mesh.worlds import grid
from tests.unit.observability.telling import WINDOW_S, Told, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from actors.runtime.alerting import Alert

NODES = 16
LONG_S = 60.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Started once; at the end, nobody was told anything twice, and nothing was refused."""
    with told(tmp_path_factory.mktemp("told")) as found:
        yield found
        texts = found.people.told
        assert len(texts) == len(set(texts)), texts
        assert found.people.telegram.refusals == []
        assert set(found.people.pagerduty.statuses) == {202}


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + LONG_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)
    return value


async def soon(condition: Callable[[], Any]) -> Any:
    """The same, while this loop goes on."""
    return await asyncio.to_thread(until, condition)


async def ended(actor: AlertsActor) -> None:
    """End its loops, and let go of its database."""
    tasks = list(actor._tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    actor._held.close()


def heard(world: Told, words: str) -> list[str]:
    """What was said in the chat with these words."""
    return [text for text in world.people.told if words in text]


def paged(world: Told, action: str, words: str) -> list[str]:
    """Keys of the events of PagerDuty with these words; those that resolve have none."""
    return [
        event.key
        for event in world.people.pagerduty.events
        if event.action == action and (action == "resolve" or words in event.summary)
    ]


def alert(name: str, summary: str, **labels: str) -> dict[str, Any]:
    """An alert of the API, as the project's actor posts it."""
    own = {"alertname": name, "severity": "warning", "source": "x0tta6bl4", "thread": summary}
    return {"labels": own | labels, "annotations": {"summary": summary, "description": "More."}}


def post(world: Told, *alerts: dict[str, Any]) -> int:
    """The status that Alertmanager answers with."""
    url = f"{world.alertmanager.url}/api/v2/alerts"
    return httpx.post(url, json=alerts, trust_env=False).status_code


def active(world: Told, **labels: str) -> list[dict[str, Any]]:
    """The alerts of Alertmanager with these labels."""
    chosen = [f'{name}="{value}"' for name, value in labels.items()]
    found: list[dict[str, Any]] = world.alertmanager.get("/api/v2/alerts", filter=chosen)
    return found


def nothing_more(world: Told, mark: str) -> None:
    """Wait until what is posted now has been told: all that was due before it has been, too."""
    assert post(world, alert("MapStale", mark)) == 200
    until(lambda: heard(world, mark))


def test_links_of_a_real_shard_go_down_and_come_back(world: Told) -> None:
    """One message and one page when they go, however often it is scraped, and one at the end."""
    topology = grid(4, 4)
    placement = Placement(1, np.zeros(NODES, np.int16), ("a",))
    host = MeshHost("a", topology, placement, HostOptions(), 0.0)
    partition = Partition(0, NODES, MemoryJournal(), capacity=1)
    partition.recover()
    host.adopt(partition, 0.0)
    shown = ShardMetrics("a", world.metrics, LoopLag(VirtualClock()))
    shown.publish(host, np.ones(NODES, bool))  # no Hello was heard yet
    words = "100% of all links of the emulated network are down"
    until(lambda: heard(world, words) and paged(world, "trigger", words))
    (page,) = paged(world, "trigger", words)
    nothing_more(world, "the first map is stale")
    assert len(heard(world, words)) == 1
    assert "Look for one cause: weather" in heard(world, words)[0]
    for now in np.arange(0.0, 60.0, 0.5).tolist():
        host.step(now)
    shown.publish(host, np.ones(NODES, bool))
    until(lambda: heard(world, f"Over: {words}") and page not in world.people.pagerduty.open)
    assert len(heard(world, words)) == 2


def test_what_is_silenced_is_not_told(world: Told) -> None:
    """By a label of the network, as a person does on Alertmanager's page."""
    now = dt.datetime.now(dt.UTC)
    silence = {
        "matchers": [{"name": "thread", "value": "the mast", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + dt.timedelta(hours=1)).isoformat(),
        "createdBy": "a test",
        "comment": "the mast is being painted",
    }
    url = f"{world.alertmanager.url}/api/v2/silences"
    number = httpx.post(url, json=silence, trust_env=False).raise_for_status().json()["silenceID"]
    assert post(world, alert("NodeOffline", "mast-north is gone", thread="the mast")) == 200
    nothing_more(world, "the second map is stale")
    (kept,) = active(world, thread="the mast")
    assert kept["status"]["silencedBy"] == [number]
    assert heard(world, "mast-north") == []
    path = f"{world.alertmanager.url}/api/v2/silence/{number}"
    httpx.delete(path, trust_env=False).raise_for_status()
    until(lambda: heard(world, "mast-north is gone"))


def test_of_a_mixed_batch_the_good_alert_is_told_once(world: Told) -> None:
    """Alertmanager answers 400 and keeps it; posting it again tells nobody anew."""
    good = alert("NodeOffline", "the good one is gone")
    bad = alert("NodeOffline", "the bad one is gone", **{"no label": "x"})
    assert post(world, good, bad) == 400
    until(lambda: heard(world, "the good one"))
    assert post(world, good) == 200
    nothing_more(world, "the third map is stale")
    assert len(heard(world, "the good one")) == 1
    assert heard(world, "the bad one") == []


def test_the_alerts_of_one_thread_are_one_message(world: Told) -> None:
    """Whatever their names are; any character passes as it is."""
    odd = "tower_*[north]* <b>&amp;</b> \\ `x` 🗼 is gone"
    one = alert("NodeOffline", odd, thread="storm", severity="error")
    two = alert("GatewayLost", "200 nodes have no gateway", thread="storm", severity="critical")
    assert post(world, one, two) == 200
    until(lambda: heard(world, odd))
    nothing_more(world, "the fourth map is stale")
    (text,) = heard(world, odd)
    assert text in heard(world, "200 nodes have no gateway")
    assert len(paged(world, "trigger", "(of 2 alerts)")) == 1


def test_api_v1_is_not_needed(world: Told) -> None:
    """Both of what is shipped use API v2 only: v1 answers 410 since Alertmanager 0.27."""
    status = world.prometheus.get("/api/v1/status/config")["data"]["yaml"]
    assert "api_version: v2" in status


async def test_a_critical_error_is_told_once_by_the_actor_or_else_by_the_rule(
    world: Told, tmp_path: Path
) -> None:
    """Of what the actor has told, the rule's alert is held back; of neither, that it is over.

    One handler of errors both counts one and alerts. The first count of an error makes its series.
    Its window passes, and the rule is silent.
    """
    scraped = f"up offset {WINDOW_S}s"
    await soon(lambda: world.prometheus.get("/api/v1/query", query=scraped)["data"]["result"])
    raised: list[Alert] = []
    told_twice = ErrorHandler("historian", world.metrics, raised.append)
    told_twice.handle(KeyError("a defect"), severity="critical")
    unheard = ErrorHandler("gateway", world.metrics)  # its alerts go nowhere, as with a dead actor
    unheard.handle(OSError("the disk is full"), severity="critical")
    channels = ChannelOptions(alertmanager_url=world.alertmanager.url)
    actor = AlertsActor(AlertsOptions(tmp_path, channels), metrics=world.metrics)
    try:
        assert await actor.take(spooled(*raised)) == 1
        of_actor, of_rule = "historian: 'a defect'", "gateway has met a critical error: OSError"
        await soon(lambda: heard(world, of_actor) and paged(world, "trigger", of_actor))
        (rule,) = await soon(lambda: active(world, source="prometheus", context="historian"))
        assert rule["status"]["state"] == "suppressed"
        assert rule["status"]["inhibitedBy"]
        await soon(lambda: heard(world, of_rule) and paged(world, "trigger", of_rule))
        await soon(lambda: not active(world, source="prometheus", alertname="ErrorCritical"))
    finally:
        await ended(actor)
    nothing_more(world, "the last map is stale")
    for said in (of_actor, of_rule):
        assert len(heard(world, said)) == len(paged(world, "trigger", said)) == 1
    assert heard(world, "historian has met") == []
