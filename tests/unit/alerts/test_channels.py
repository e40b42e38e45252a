"""The channels, over TLS to strict stand-ins: what arrives, once, and what becomes of refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from actors.alerts.channels.configured import configured
from actors.alerts.channels.options import ChannelOptions
from actors.alerts.notice import Change
from tests.alert_services import (
    MAIL_PASSWORD,
    ROUTING_KEY,
    WEBHOOK_SECRET,
    alert_services,
)
from tests.telegram_api import TOKEN
from tests.unit.alerts.told import AT, notice, storm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from actors.alerts.channels.channel import Channel
    from tests.alert_services import AlertServices, MailServer, PagerDuty, WebhookReceiver

SECRETS = (TOKEN, TOKEN.partition(":")[2], ROUTING_KEY, WEBHOOK_SECRET, MAIL_PASSWORD, "p%40ss")
NAMES = ["pagerduty", "telegram", "email", "webhook"]


@pytest.fixture
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertServices]:
    """Each service, fresh."""
    with alert_services(tmp_path_factory.mktemp("tls"), throttles=False) as served:
        yield served


def options_of(services: AlertServices, **changes: Any) -> ChannelOptions:
    """Settings for these services."""
    made = ChannelOptions(
        telegram_token=SecretStr(TOKEN),
        telegram_chat=str(services.chat),
        telegram_url=services.telegram.url,
        pagerduty_routing_key=SecretStr(ROUTING_KEY),
        pagerduty_url=services.pagerduty.url,
        smtp_url=SecretStr(services.mail.url),
        email_from="mesh@example.org",
        email_to=("on-call@example.org", "b@example.org"),
        webhook_url=services.webhook.url,
        webhook_secret=SecretStr(WEBHOOK_SECRET),
        ca_file=str(services.authority.bundle),
        links="https://mesh.example",
        time_zone="Europe/Berlin",
    )
    return replace(made, **changes)


@pytest.fixture
async def channels(services: AlertServices) -> AsyncIterator[dict[str, Channel]]:
    """The direct channels, by name."""
    made = {one.name: one for one in configured(options_of(services)).direct}
    yield made
    for one in made.values():
        await one.close()


async def test_each_channel_tells_all_of_a_notice(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """Fired, then over: the same words everywhere, in one thread."""
    fired = notice(storm(200))
    over = notice(replace(storm(200), ended=AT + 90), change=Change.RESOLVED, id="n-2", receipt="1")
    assert list(channels) == NAMES
    for channel in channels.values():
        await channel.check()
        receipts = [await channel.deliver([one]) for one in (fired, over)]
        assert receipts == ([["1"], ["2"]] if channel.name == "telegram" else [[""], [""]])

    told = services.telegram.users[services.chat].heard
    assert [one.reply_to for one in told] == [None, 1]
    texts = [one.text for one in told]
    assert texts[0].startswith("Critical: Gateway gw-3 is lost; 200 nodes behind it")
    assert texts[1].startswith("Over after 1 min 30 s: Gateway gw-3 is lost")

    check_events(services.pagerduty, texts[0])
    check_mails(services.mail, texts)
    check_deliveries(services.webhook, texts)


def check_events(pagerduty: PagerDuty, text: str) -> None:
    """One alert, opened with that text and resolved."""
    assert [(one.action, one.key) for one in pagerduty.events] == [
        ("trigger", "incident-1"),
        ("resolve", "incident-1"),
    ]
    event = pagerduty.events[0].body
    assert event["payload"]["summary"] == text.split("\n", maxsplit=1)[0]
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["custom_details"]["text"] == text
    assert event["links"][0]["href"] == "https://mesh.example/v1/incidents/7"
    assert pagerduty.open == {}


def check_mails(server: MailServer, texts: list[str]) -> None:
    """Mails of those texts, in one thread."""
    mails = [one.message for one in server.mails]
    assert [one.recipients for one in server.mails] == [
        ("on-call@example.org", "b@example.org")
    ] * 2
    assert [one["Subject"] for one in mails] == [text.split("\n")[0] for text in texts]
    assert [one.get_content().removesuffix("\n") for one in mails] == texts
    assert mails[0]["References"] == mails[1]["References"]
    assert len({mails[0]["Message-ID"], mails[1]["Message-ID"], mails[0]["References"]}) == 3


def check_deliveries(receiver: WebhookReceiver, texts: list[str]) -> None:
    """Webhooks of those texts."""
    assert [one.id for one in receiver.taken] == ["n-1", "n-2"]
    documents = [one.document for one in receiver.taken]
    assert [one["type"] for one in documents] == ["alert.fired", "alert.resolved"]
    assert [one["data"]["text"] for one in documents] == texts
    assert len(documents[0]["data"]["alerts"][0]["subjects"]) == 200
