"""The normal path: a real Alertmanager with the shipped configuration, before strict stand-ins."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from actors.alerts.channels import alertmanager as channel_module
from actors.alerts.channels.alertmanager import AlertmanagerChannel, postable
from actors.alerts.channels.configured import configured
from actors.alerts.channels.options import ChannelOptions
from actors.alerts.errors import ChannelRefused, ChannelUnavailable
from actors.alerts.notice import Change
from actors.alerts.wording import Reader, visible
from actors.runtime.alerting import AlertName, AlertSeverity
from tests.alert_services import alert_services
from tests.examples import share
from tests.prometheus_servers import LONG_S, alertmanager
from tests.unit.alerts.told import BREAKING, alert, notice, texts
from tests.unit.observability.telling import alertmanager_config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from actors.alerts.notice import Notice
    from tests.alert_services import AlertServices
    from tests.prometheus_servers import Server

NOW = time.time()


class Path:
    """From a notice to people, over Alertmanager."""

    def __init__(self, server: Server, people: AlertServices) -> None:
        self.server = server
        self.people = people

    def with_channel(self, act: Callable[[AlertmanagerChannel], Awaitable[Any]]) -> Any:
        """What an act with a channel of its own returns."""

        async def run() -> Any:
            channel = configured(ChannelOptions(self.server.url)).alertmanager
            assert isinstance(channel, AlertmanagerChannel)
            try:
                return await act(channel)
            finally:
                await channel.close()

        return asyncio.run(run())

    def deliver(self, *notices: Notice) -> None:
        """Tell notices."""
        receipts = self.with_channel(lambda channel: channel.deliver(notices))
        assert receipts == [""] * len(notices)

    def heard(self, words: str) -> list[str]:
        """What was said in the chat with these words."""
        return [text for text in self.people.told if words in text]

    def wait(self, words: str, times: int = 1) -> list[str]:
        """As `heard`, once it was said so often."""
        return until(lambda: self.heard(words) if len(self.heard(words)) >= times else None)

    def settle(self) -> None:
        """Wait until what is posted now has been told: all that was due before it has been, too."""
        self.deliver(now(alert(AlertName.MAP_STALE, mark := f"mark-{time.monotonic_ns()}")))
        self.wait(mark)

    def active(self, **labels: str) -> list[dict[str, Any]]:
        """The alerts of Alertmanager with these labels."""
        chosen = [f'{name}="{value}"' for name, value in labels.items()]
        found: list[dict[str, Any]] = self.server.get("/api/v2/alerts", filter=chosen)
        return found


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition."""
    deadline = time.monotonic() + LONG_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.05)
    return value


def now(*alerts: Any, **changes: Any) -> Notice:
    """A notice of now, in a thread of its first alert."""
    told = [replace(one, started=NOW) for one in alerts]
    return replace(notice(*told), **({"thread": told[0].key, "at": time.time()} | changes))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Started once; at the end nobody was told anything twice, and nothing was refused."""
    folder = tmp_path_factory.mktemp("alertmanager")
    with alert_services(folder, throttles=False) as people:
        trusted = {"SSL_CERT_FILE": str(people.authority.bundle)}
        config = alertmanager_config(folder, people)
        with alertmanager(folder, config, environment=trusted) as server:
            yield Path(server, people)
        assert [text for text, times in Counter(people.told).items() if times > 1] == []
        assert people.telegram.refusals == []
        assert set(people.pagerduty.statuses) == {202}


def test_an_incident_is_told_once_when_it_begins_changes_and_ends(path: Path) -> None:
    """However often it is posted; that a rule still sees it is told nobody."""
    one = alert(key="gw-1", severity=AlertSeverity.ERROR, labels={"network": "emulated"})
    first = now(one)
    for _ in range(3):
        path.deliver(first)
    path.wait("Node gw-1 is offline")
    worse = replace(first.alerts[0], severity=AlertSeverity.CRITICAL)
    changed = replace(
        first, alerts=(worse,), change=Change.CHANGED, before=first.alerts, at=time.time()
    )
    path.deliver(changed)
    (left,) = until(lambda: path.active(key="gw-1", severity="critical"))
    assert left["labels"]["thread"] == "gw-1"
    until(lambda: not path.active(key="gw-1", severity="error"))
    path.wait("Node gw-1 is offline (told anew, with other labels)")

    ended = replace(worse, ended=time.time())
    path.deliver(replace(changed, alerts=(ended,), change=Change.RESOLVED, at=time.time()))
    path.wait("Over: Node gw-1 is offline")
    (page,) = {one.key for one in path.people.pagerduty.events if "gw-1" in one.summary}
    until(lambda: page not in path.people.pagerduty.open)
    assert path.people.pagerduty.pages.count(page) == 1
    assert len(path.heard("gw-1")) == 3  # it began, got worse, and ended
    rule = {
        "labels": {
            "alertname": "NodeOffline",
            "network": "emulated",
            "severity": "error",
            "source": "prometheus",
        },
        "annotations": {"summary": "a rule sees that a node was lost"},
    }
    url = f"{path.server.url}/api/v2/alerts"
    httpx.post(url, json=[rule], trust_env=False).raise_for_status()
    (seen,) = until(lambda: path.active(source="prometheus"))
    until(lambda: path.active(source="prometheus")[0]["status"]["state"] == "suppressed")
    path.settle()
    assert seen["labels"]["alertname"] == "NodeOffline"
    assert path.heard("a rule sees") == path.heard("This has ended") == []


def test_what_has_happened_once_is_told_once_and_never_as_over(path: Path) -> None:
    """An order that was paid has no end."""
    paid = alert(AlertName.ORDER_PAID, "o-1", summary="Order o-1 is paid", momentary=True)
    path.deliver(now(replace(paid, severity=AlertSeverity.INFO)))
    (text,) = path.wait("Order o-1 is paid")
    assert text.startswith("Order o-1 is paid\nAt ")


def test_of_a_mixed_batch_the_bad_alert_is_found_and_the_others_are_told(path: Path) -> None:
    """Alertmanager does not say which one is bad, and keeps the good ones."""
    at = time.time()
    good = [next(postable(now(alert(key=f"good-{n}")), Reader(), at)) for n in range(7)]
    bad = [
        {**good[0], "labels": {**good[0]["labels"], "no label": "x"}},
        {"labels": {"alertname": "x"}, "startsAt": "yesterday"},
    ]
    batch = [*good[:3], bad[0], *good[3:], bad[1]]
    assert path.with_channel(lambda channel: channel.post(batch)) == [3, 8]
    for number in range(7):
        path.wait(f"Node good-{number} is offline")
    path.settle()
    assert len(path.heard("Node good-")) == 7


def test_labels_of_any_name_are_taken(path: Path) -> None:
    """They get the nearest name that Prometheus takes; the actor's own cannot be replaced."""
    labels = {"bad-name": "x", "9": "y", "": "z", "ж": "", "source": "a", "thread": "b"}
    path.deliver(now(alert(key="labels", labels=labels)))
    (found,) = until(lambda: path.active(key="labels"))
    own = {"alertname", "severity", "key"}
    assert {name: text for name, text in found["labels"].items() if name not in own} == {
        "bad_name": "x",
        "_9": "y",
        "_": "z",
        "source": "x0tta6bl4",
        "thread": "labels",
    }


def test_an_alert_that_is_refused_is_told_without_its_own_labels(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than not at all; one that is refused even so is an error."""
    monkeypatch.setattr(channel_module, "label_name", lambda name: name)
    path.deliver(now(alert(key="bare", labels={"no label": "x"})))
    path.wait("Node bare is offline")
    monkeypatch.setattr(channel_module, "SOURCE", "")
    monkeypatch.setattr(channel_module, "rfc3339", lambda _: "yesterday")
    with pytest.raises(ChannelRefused):
        path.deliver(now(alert(key="never")))


def test_a_thread_of_many_alerts_is_told_as_one(path: Path) -> None:
    """With what the worst of them mean, and no more than Alertmanager can carry of the others."""
    many = [alert(key=f"many-{number}") for number in range(40)]
    path.deliver(now(*many, thread="many"))
    until(lambda: len(path.active(thread="many")) == 40)
    path.wait("Node many-0 is offline")
    path.settle()
    assert len(path.heard("Node many-0 is offline")) == 1
    assert "description" in path.active(key="many-0")[0]["annotations"]
    assert "description" not in path.active(key="many-39")[0]["annotations"]


def test_no_request_grows_without_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for one is posted in parts."""
    monkeypatch.setattr(channel_module, "MOST_ALERTS", 3)
    path.deliver(*(now(alert(key=f"part-{number}")) for number in range(7)))
    until(lambda: all(path.active(key=f"part-{number}") for number in range(7)))


@settings(
    max_examples=share(0.15),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=st.lists(texts.map(lambda text: text[:30]), min_size=4, max_size=4))
@example(told=list(BREAKING[:4]))
@example(told=list(BREAKING[-4:]))
def test_what_breaks_markup_passes_through_alertmanager(path: Path, told: list[str]) -> None:
    """Its templates and its own clients of Telegram and PagerDuty change none of it."""
    summary, cause, subject, key = told
    mark = f"m{time.monotonic_ns()}"
    sent = alert(
        key=f"{key}{mark}",
        summary=f"{mark} {summary}.",
        probable_cause=f"{cause}.",
        subjects=(f"{subject}.",),
        labels={"x": subject},
    )
    path.deliver(now(sent))
    (text,) = path.wait(mark)
    event = until(
        lambda: next((one for one in path.people.pagerduty.events if mark in one.summary), None)
    )
    for read in (text, event.body["payload"]["custom_details"]["words"]):
        lines = read.split("\n")
        assert lines[0] == f"{mark} {visible(summary)}."
        assert f"Probable cause: {visible(cause)}." in lines
        assert f"Concerned: {visible(subject)}." in lines
    assert event.summary == f"{mark} {visible(summary)}."


def test_one_that_is_down_is_unavailable_and_is_ready_again_later(path: Path) -> None:
    """Both as it is asked and as it is told something."""
    path.with_channel(lambda channel: channel.check())
    path.server.stop()
    with pytest.raises(ChannelUnavailable, match="alertmanager cannot be reached"):
        path.with_channel(lambda channel: channel.check())
    with pytest.raises(ChannelUnavailable):
        path.deliver(now(alert(key="down")))
    path.server.start()
    path.with_channel(lambda channel: channel.check())


def test_one_at_another_address_refuses(path: Path) -> None:
    """Something else answers there."""
    options = ChannelOptions(f"{path.server.url}/other")

    async def run() -> None:
        channel = configured(options).alertmanager
        assert channel is not None
        await channel.deliver([now(alert())])

    with pytest.raises(ChannelRefused, match="it answers 40"):
        asyncio.run(run())
