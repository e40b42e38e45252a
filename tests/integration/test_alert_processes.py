"""Alerts of processes that are killed, and a real Alertmanager, which goes down and returns."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr

from actors.alerts.channels.options import ChannelOptions
from actors.alerts.contract import ALERTS, AlertsContract, AlertsOptions
from actors.runtime import remote
from tests.alert_process import NAMESPACE, environment_of, options_file, process, tell
from tests.alert_services import WEBHOOK_SECRET, Delivery, WebhookReceiver, alert_services
from tests.prometheus_servers import alertmanager
from tests.telegram_api import TOKEN
from tests.unit.observability.telling import alertmanager_config

if TYPE_CHECKING:
    from pathlib import Path

ALERTS_RAISED = 500  # 250 faults that begin and are over


@pytest.fixture
def scope() -> str:
    """Names the session of this test alone."""
    return f"session-{secrets.token_hex(8)}"


def changes(taken: list[Delivery]) -> dict[str, list[str]]:
    """What was told of each thread, in order."""
    found: dict[str, list[str]] = {}
    for each in taken:
        found.setdefault(each.document["data"]["thread"], []).append(each.document["type"])
    return found


def test_what_is_raised_while_all_is_down_arrives_once(tmp_path: Path, scope: str) -> None:
    """500 alerts of raisers that are killed, an actor that is killed: each told once, in order."""
    webhook = WebhookReceiver(None)
    with webhook.server.running():
        pass  # it has an address now, and is down
    options = AlertsOptions(
        tmp_path / "alerts",
        ChannelOptions(webhook_url=webhook.url, webhook_secret=SecretStr(WEBHOOK_SECRET)),
    )
    environment = environment_of(tmp_path, os.environ)
    file = options_file(tmp_path / "options", options)
    half = ALERTS_RAISED // 4
    with process(environment, "actor", scope, file) as actor:
        with process(environment, "raiser", scope, "0", str(half)):
            pass  # it is killed as soon as all is raised
        actor.kill()
    with process(environment, "raiser", scope, str(half), str(2 * half)):
        pass
    with process(environment, "actor", scope, file):
        pass
    with webhook.running():
        with process(environment, "actor", scope, file):
            webhook.wait(lambda: len(webhook.taken) >= 100)
        with process(environment, "actor", scope, file):
            webhook.wait(lambda: len(webhook.taken) >= ALERTS_RAISED)
            with remote.by_sockets(scope, NAMESPACE):
                assert asyncio.run(_tested()) == {"webhook": True}
    of_faults = changes(webhook.taken[:ALERTS_RAISED])
    assert Counter(map(tuple, of_faults.values())) == {("alert.fired", "alert.resolved"): 2 * half}
    assert len(webhook.again) <= 1  # that which was under way when the actor was killed


async def _tested() -> dict[str, bool]:
    """What became of a test, asked by the actor's socket."""
    actor = remote.proxy(AlertsContract, ALERTS, timeout_s=60)
    return {each.channel: each.delivered for each in await actor.test("me")}


def test_others_tell_while_alertmanager_is_down_and_nothing_twice(
    tmp_path: Path, scope: str
) -> None:
    """A fault is told by Alertmanager or by the bot itself, and by the same when it is over."""
    environment = environment_of(tmp_path, os.environ)
    with alert_services(tmp_path, throttles=False) as people:
        config = alertmanager_config(tmp_path, people)
        trusted = {"SSL_CERT_FILE": str(people.authority.bundle)}
        with alertmanager(tmp_path, config, environment=trusted) as manager:
            channels = ChannelOptions(
                alertmanager_url=manager.url,
                telegram_token=SecretStr(TOKEN),
                telegram_chat=str(people.chat),
                telegram_url=people.telegram.url,
                ca_file=str(people.authority.bundle),
            )
            options = AlertsOptions(tmp_path / "alerts", channels, repost_s=1.0)
            file = options_file(tmp_path / "options", options)

            def heard(key: str, *, over: bool = False) -> list[str]:
                told = [text for text in people.told if f"Node {key} is offline" in text]
                return [text for text in told if text.startswith("Over") == over]

            def known() -> list[str]:
                """What Alertmanager knows of."""
                return [one["labels"].get("key") for one in manager.get("/api/v2/alerts")]

            def noted() -> float:
                """How often Alertmanager has looked whom it has told of what."""
                text = httpx.get(f"{manager.url}/metrics", trust_env=False).text
                (line,) = re.findall(r"^alertmanager_nflog_queries_total (.+)$", text, re.MULTILINE)
                return float(line)

            wait = people.pagerduty.wait
            with (
                process(environment, "actor", scope, file),
                process(environment, "raiser", scope, "0", "0") as raiser,
            ):
                tell(raiser, "fired", "first")
                wait(lambda: heard("first"))
                looks = noted() + 6  # after some, it has written down whom it has told
                wait(lambda: noted() >= looks)
                manager.stop()
                tell(raiser, "fired", "meanwhile")
                wait(lambda: heard("meanwhile"))
                manager.start()
                wait(lambda: "first" in known())  # it has forgotten it, and is told again
                tell(raiser, "over", "meanwhile")
                tell(raiser, "over", "first")
                wait(lambda: heard("meanwhile", over=True))
                wait(lambda: heard("first", over=True))
                tell(raiser, "fired", "later")
                wait(lambda: heard("later"))
            # Alertmanager goes on telling what it knows; it has been asked for seconds by now.
            assert [len(heard(key)) for key in ("first", "meanwhile", "later")] == [1, 1, 1]
            assert [len(heard(key, over=True)) for key in ("first", "meanwhile")] == [1, 1]
            assert "later" in known()
            assert "meanwhile" not in known()
