"""The channels, over TLS to strict stand-ins: what arrives, once, and what becomes of refusals."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.alerts.channels import telegram as telegram_channel
from actors.alerts.channels.configured import configured
from actors.alerts.channels.options import ChannelOptions
from actors.alerts.channels.pagerduty import PagerDutyChannel
from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown
from actors.alerts.notice import Change
from actors.alerts.wording import visible
from actors.runtime import log
from actors.runtime.errors import ConfigurationError
from actors.runtime.rich_text import RichText
from tests.alert_services import (
    MAIL_PASSWORD,
    ROUTING_KEY,
    THROTTLED,
    WEBHOOK_SECRET,
    Answer,
    Hang,
    HangUp,
    MailServer,
    alert_services,
)
from tests.examples import share
from tests.telegram_api import TOKEN, Refusal
from tests.unit.alerts.told import AT, BREAKING, alert, notice, storm, texts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from actors.alerts.channels.channel import Channel
    from tests.alert_services import AlertServices, PagerDuty, WebhookReceiver

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


# -- what breaks markup --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lasting_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertServices]:
    """The same services for all examples."""
    with alert_services(tmp_path_factory.mktemp("tls"), throttles=False) as served:
        yield served


@settings(
    max_examples=share(0.25),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink over TLS takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told=st.lists(texts.map(lambda text: text[:30]), min_size=6, max_size=6))
@example(told=list(BREAKING[:6]))
@example(told=list(BREAKING[-6:]))
def test_what_breaks_markup_passes_to_the_reader_unchanged(
    lasting_services: AlertServices, told: list[str]
) -> None:
    """Legacy Markdown, HTML, JSON, mail headers: parsers of the reader give back each text."""
    services = lasting_services
    summary, cause, subject, detail, key, thread = told
    sent = notice(
        alert(
            key=key,
            summary=summary,
            probable_cause=cause,
            subjects=(subject,),
            details=(detail,),
            labels={detail[:20]: subject},
        ),
        id=f"n-{len(services.webhook.taken)}",
        thread=thread,
    )

    async def tell() -> None:
        for channel in configured(options_of(services)).direct:
            await channel.deliver([sent])
            await channel.close()

    asyncio.run(tell())
    message = services.telegram.users[services.chat].heard[-1]
    markup = ET.fromstring(f"<m>{message.raw}</m>")  # noqa: S314 - strict, and not ours
    event = services.pagerduty.events[-1].body
    mail = services.mail.mails[-1].message
    document = services.webhook.taken[-1].document["data"]

    title = f"Error: {visible(summary)}"
    assert event["payload"]["summary"] == title
    assert str(mail["Subject"]) == title
    assert document["title"] == title
    assert services.pagerduty.events[-1].key == visible(thread)
    assert document["alerts"][0]["labels"] == {visible(detail[:20]): visible(subject)}
    for read in (
        "".join(markup.itertext()),
        message.text,
        event["payload"]["custom_details"]["text"],
        mail.get_content(),
        document["text"],
    ):
        lines = read.split("\n")
        assert lines[0] == title
        assert f"Probable cause: {visible(cause)}" in lines
        assert f"Concerned: {visible(subject)}" in lines
        assert visible(detail) in lines


# -- what goes wrong -----------------------------------------------------------------------------


async def test_what_telegram_cannot_read_arrives_as_plain_text(
    services: AlertServices, channels: dict[str, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left without an alert for the sake of its looks."""
    monkeypatch.setattr(RichText, "html", lambda self: f"<b>{self.plain()}<br>")
    await channels["telegram"].deliver([notice(storm(3))])
    assert [one.text for _, one in services.telegram.refusals] == [
        'Bad Request: can\'t parse entities: Unsupported start tag ""'
    ]
    assert "node_0<&>" in services.told[0]


async def test_a_chat_that_takes_no_more_is_left_alone_for_as_long_as_it_says(
    services: AlertServices, channels: dict[str, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the next delivery asks before."""
    now = 1000.0
    monkeypatch.setattr(telegram_channel.time, "monotonic", lambda: now)

    def flood(_: Any) -> None:
        raise Refusal(429, "Too Many Requests: retry after 17", retry_after=17)

    services.telegram.fault = flood
    with pytest.raises(ChannelUnavailable) as refused:
        await channels["telegram"].deliver([notice()])
    assert refused.value.retry_after_s == 17
    assert not isinstance(refused.value, FateUnknown)
    services.telegram.fault = lambda _: None
    now += 16
    with pytest.raises(ChannelUnavailable):
        await channels["telegram"].deliver([notice()])
    assert services.telegram.count("sendMessage") == 1
    now += 2
    await channels["telegram"].deliver([notice()])
    assert len(services.told) == 1


async def test_a_message_whose_fate_is_unknown_is_sent_again_with_these_words(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """Telegram knows no idempotency key."""

    def hang_up(_: Any) -> None:
        raise ConnectionAbortedError

    services.telegram.fault = hang_up
    with pytest.raises(FateUnknown):
        await channels["telegram"].deliver([notice()])
    services.telegram.fault = lambda _: None
    await channels["telegram"].deliver([notice(repeated=True)])
    assert services.told[0].startswith("Sent again: Error: Node n1 is offline")


async def test_an_answer_to_a_message_that_is_gone_arrives_all_the_same(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """Somebody has deleted the first message of a thread."""
    assert await channels["telegram"].deliver([notice(receipt="999")]) == ["1"]
    assert services.telegram.users[services.chat].heard[0].reply_to is None


@pytest.mark.parametrize("name", NAMES)
async def test_what_cannot_be_reached_is_unavailable_and_comes_back(
    services: AlertServices, channels: dict[str, Channel], name: str
) -> None:
    """Nothing has arrived, so nothing is told twice."""
    channel = channels[name]
    server = {
        "pagerduty": services.pagerduty.server,
        "telegram": services.telegram.server,
        "webhook": services.webhook.server,
    }.get(name)
    if server is None:
        services.mail.fault = lambda line: "421 4.3.2 shutting down" if "EHLO" in line else None
    else:
        server.stop()
    with pytest.raises(ChannelUnavailable) as failed:
        await channel.deliver([notice()])
    # PagerDuty's library does not tell, and its `dedup_key` makes it the same.
    assert isinstance(failed.value, FateUnknown) == (name == "pagerduty")
    if server is None:
        services.mail.fault = lambda _: None
    else:
        server.start()
    await channel.deliver([notice()])
    assert arrived(services, name) == 1


def arrived(services: AlertServices, name: str) -> int:
    """How many messages a service has taken."""
    return len(
        {
            "pagerduty": services.pagerduty.events,
            "telegram": services.told,
            "email": services.mail.mails,
            "webhook": services.webhook.taken,
        }[name]
    )


async def test_pagerduty_pages_once_for_what_is_sent_again(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """The answer was lost, not the event."""

    def lost(_: bytes) -> Answer | None:
        services.pagerduty.after = lambda _: None
        raise HangUp

    services.pagerduty.after = lost
    with pytest.raises(FateUnknown):
        await channels["pagerduty"].deliver([notice()])
    await channels["pagerduty"].deliver([notice(repeated=True)])
    assert services.pagerduty.pages == ["incident-1"]


async def test_pagerduty_is_not_asked_again_by_its_library(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """Which would wait for ever while it is throttled; what it asks for is handed on."""
    limited = replace(THROTTLED, headers={"Retry-After": "30"})
    for answer, after_s in ((limited, 30.0), (Answer(503, {}), 0.0)):
        services.pagerduty.fault = lambda _, given=answer: given
        with pytest.raises(ChannelUnavailable) as failed:
            await channels["pagerduty"].deliver([notice()])
        assert failed.value.retry_after_s == after_s
    assert services.pagerduty.statuses == [429, 503]


async def test_a_pagerduty_that_hangs_is_given_up_and_tried_anew(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """The thread that waits for it is left behind, and blocks nothing."""
    channel = channels["pagerduty"]
    channel.deadline_s = 0.5

    def hang(_: bytes) -> Answer | None:
        raise Hang

    services.pagerduty.fault = hang
    with pytest.raises(FateUnknown, match="no answer within"):
        await channel.deliver([notice()])
    services.pagerduty.fault = lambda _: None
    channel.deadline_s = 60.0
    await channel.deliver([notice()])
    assert services.pagerduty.pages == ["incident-1"]


async def test_somebody_who_looks_after_an_incident_is_made_known(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """PagerDuty stops paging the next person."""
    channel = channels["pagerduty"]
    assert isinstance(channel, PagerDutyChannel)
    await channel.deliver([notice()])
    await channel.deliver([notice(change=Change.ACKNOWLEDGED)])
    assert services.pagerduty.open == {"incident-1": "acknowledged"}


@pytest.mark.parametrize("thread", ["x" * 256, "ж" * 200, "a/b c"])
async def test_threads_of_any_length_have_a_key_of_their_own(
    services: AlertServices, channels: dict[str, Channel], thread: str
) -> None:
    """PagerDuty takes 255 characters."""
    await channels["pagerduty"].deliver(
        [notice(thread=thread), notice(thread=f"{thread}y"), notice(thread=thread)]
    )
    assert len(services.pagerduty.pages) == 2


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "telegram token": (
        {"telegram_token": SecretStr(f"1234567:{'x' * 35}")},
        "Set X0TTA6BL4_ALERTS_TELEGRAM_TOKEN",
    ),
    "telegram chat": ({"telegram_chat": "-5"}, "Add the bot to the chat"),
    "pagerduty key": (
        {"pagerduty_routing_key": SecretStr("short")},
        "Check X0TTA6BL4_ALERTS_PAGERDUTY_ROUTING_KEY",
    ),
    "email login": ({"smtp_url": None}, "Check X0TTA6BL4_ALERTS_SMTP_URL"),
    "webhook secret": (
        {"webhook_secret": SecretStr("whsec_" + "A" * 40)},
        "X0TTA6BL4_ALERTS_WEBHOOK_SECRET at both ends",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_a_wrong_setting_is_refused_with_a_remedy_and_without_the_secret(
    services: AlertServices, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither error, nor its cause, nor log, nor representation shows one."""
    log.configure("DEBUG")
    changes, remedy = REFUSED[wrong]
    if "smtp_url" in changes:
        user = f"smtp://alerts:{ROUTING_KEY}@127.0.0.1:{services.mail.port}"
        changes = {"smtp_url": SecretStr(user)}
    made = configured(options_of(services, **changes)).direct
    channel = next(one for one in made if one.name == wrong.split(" ", maxsplit=1)[0])
    with pytest.raises(ChannelRefused) as refused:
        await channel.deliver([notice()])
    assert remedy in str(refused.value)
    shown = "".join(traceback.format_exception(refused.value)) + repr(made)
    shown += capsys.readouterr().err
    given = [one.get_secret_value() for one in changes.values() if isinstance(one, SecretStr)]
    assert [one for one in (*SECRETS, *given) if one in shown and one != "short"] == []
    for one in made:
        await one.close()


async def test_a_certificate_of_somebody_else_is_not_trusted(
    services: AlertServices, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is told to who cannot prove to be the service; no secret is shown."""
    log.configure("DEBUG")
    made = configured(options_of(services, ca_file=None)).direct
    for channel in made:
        with pytest.raises(ChannelUnavailable) as failed:
            await channel.deliver([notice()])
        shown = "".join(traceback.format_exception(failed.value)) + capsys.readouterr().err
        assert [one for one in SECRETS if one in shown] == []
        assert arrived(services, channel.name) == 0
        await channel.close()


async def test_mail_is_not_sent_without_encryption(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """A server that offers no STARTTLS is shown no password."""
    heard: list[str] = []

    def plain(line: str) -> str | None:
        heard.append(line)
        return "250 localhost" if line.startswith("EHLO") else None

    services.mail.fault = plain
    with pytest.raises(ChannelRefused):
        await channels["email"].deliver([notice()])
    assert not [line for line in heard if line.startswith(("AUTH", "MAIL"))]


async def test_mail_goes_over_tls_from_the_start_as_well(services: AlertServices) -> None:
    """The other way that servers offer (RFC 8314)."""
    server = MailServer(services.authority, implicit_tls=True)
    with server.running():
        options = options_of(services, smtp_url=SecretStr(server.url))
        channel = next(one for one in configured(options).direct if one.name == "email")
        await channel.check()
        await channel.deliver([notice()])
    assert len(server.mails) == 1


async def test_an_address_that_is_refused_keeps_no_mail_from_the_others(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """Only if all are, the mail is."""
    services.mail.unknown = {"b@example.org"}
    await channels["email"].deliver([notice()])
    assert services.mail.mails[0].recipients == ("on-call@example.org",)
    services.mail.unknown = {"b@example.org", "on-call@example.org"}
    with pytest.raises(ChannelRefused):
        await channels["email"].deliver([notice()])


async def test_a_receiver_of_webhooks_knows_what_is_sent_again(
    services: AlertServices, channels: dict[str, Channel]
) -> None:
    """By its id; whatever the id of a notice holds, a header can carry it."""
    odd = notice(id="a.b\r\nX: y/ж")
    for sent in (notice(), notice(), odd, odd):
        await channels["webhook"].deliver([sent])
    assert len(services.webhook.taken) == 2
    assert [one.id for one in services.webhook.taken] == list(dict.fromkeys(services.webhook.again))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(429, {}, {"Retry-After": "7"}), ChannelUnavailable),
        (Answer(500, {}), ChannelUnavailable),
        (Answer(410, {}), ChannelRefused),
        (Answer(302, {}, {"Location": "https://elsewhere.example"}), ChannelRefused),
    ],
)
async def test_a_webhook_is_tried_again_only_where_that_may_help(
    services: AlertServices,
    channels: dict[str, Channel],
    answer: Answer,
    kind: type[Exception],
) -> None:
    """Redirects are not followed: what is signed goes where the setting says."""
    services.webhook.fault = lambda _: answer
    with pytest.raises(kind) as failed:
        await channels["webhook"].deliver([notice()])
    assert getattr(failed.value, "retry_after_s", 7.0) in {7.0, 0.0}


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"telegram_token": SecretStr("secret-1")}, "TELEGRAM_TOKEN"),
        ({"smtp_url": SecretStr("http://u:secret-1@h")}, "SMTP_URL"),
        ({"smtp_url": SecretStr("smtp://u:secret-1@h:x")}, "SMTP_URL"),
        ({"smtp_url": SecretStr("smtp://secret-1@h")}, "SMTP_URL"),
        ({"webhook_secret": SecretStr("secret-1")}, "WEBHOOK_SECRET"),
        ({"ca_file": "/nowhere"}, "CA_FILE"),
        ({"time_zone": "Mars/Olympus"}, "QUIET_HOURS"),
        ({"time_zone": "../../etc/passwd"}, "QUIET_HOURS"),
    ],
)
def test_a_setting_of_the_wrong_form_is_named_before_anything_is_sent(
    services: AlertServices, changes: dict[str, Any], variable: str
) -> None:
    """With what to do, and without the secret."""
    with pytest.raises(ConfigurationError) as wrong:
        configured(options_of(services, **changes))
    assert wrong.value.variable == f"X0TTA6BL4_ALERTS_{variable}"
    assert "secret-1" not in "".join(traceback.format_exception(wrong.value))


def test_no_channel_is_made_for_what_is_not_set() -> None:
    """Nobody is told where nothing is configured."""
    found = configured(ChannelOptions())
    assert (found.alertmanager, found.direct) == (None, ())
