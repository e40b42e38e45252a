"""`x0 alert`: what is wrong, who was told of it, and what is not to be told for a while."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.terminal import completion, exit_codes, moments, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.alerts.contract import Silence, SilenceRequest
    from actors.runtime.alerting import AlertName
    from serve_apps.settings import Settings

From = Annotated[
    str, typer.Option("--from", metavar=moments.METAVAR, help=f"When it begins: {moments.COMING}.")
]
Until = Annotated[
    str, typer.Option("--until", metavar=moments.METAVAR, help=f"When it ends: {moments.COMING}.")
]
Comment = Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who read it later.")]
_SHORT: Final = 12  # characters of a fingerprint in a table

app = typer.Typer(
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
    help="Alerts of the running session: who is told, of what, and when not.",
)


@app.command("list")
@reporting.reported
def list_alerts(
    since: Annotated[
        str | None,
        typer.Option(
            metavar=moments.METAVAR,
            help=f"All that were raised since then, those over included: {moments.HELP}.",
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """List what is wrong now, the worst first, and how each channel is.

    Exit code 3: a channel is down, or refuses what it is given.
    """
    from actors.alerts import client, documents
    from actors.alerts.contract import ChannelState
    from jobs.launch import alert_questions
    from jobs.terminal import alert_tables
    from serve_apps.settings import Settings

    settings = Settings.load()
    begin = None if since is None else moments.parsed(since)

    async def question() -> tuple[Any, ...]:
        found = await client.active() if begin is None else await client.recent(begin)
        return found, await client.channels()

    alerts, channels = alert_questions.asked(settings, question)
    reporting.Report(as_json).result(
        {
            "alerts": [documents.alert(one) for one in alerts],
            "channels": [documents.channel(one) for one in channels],
        },
        *alert_tables.alerts(alerts, lasting=begin is None, short=_SHORT),
        *alert_tables.channels(channels),
    )
    well = all(one.state in {ChannelState.UP, ChannelState.UNTRIED} for one in channels)
    return exit_codes.OK if well else exit_codes.NOT_WELL


@app.command("test")
@reporting.reported
def try_channels(as_json: reporting.AsJson = False) -> int:
    """Tell every channel that this is a test, and say which took it.

    Exit code 3: one did not take it, or none is configured.
    """
    from actors.alerts import control
    from jobs.launch import alert_questions
    from jobs.terminal import alert_tables
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    report.progress("waiting for each channel")
    tried = alert_questions.asked(Settings.load(), lambda: control.test(_who()))
    values = [{"channel": one.channel, "delivered": one.delivered, "why": one.why} for one in tried]
    report.result({"channels": values}, *alert_tables.tested(tried))
    well = bool(tried) and all(one.delivered for one in tried)
    return exit_codes.OK if well else exit_codes.NOT_WELL


@app.command("resolve")
@reporting.reported
def resolve(
    fingerprint: Annotated[
        str, typer.Argument(help="Of the alert, or its beginning, as `x0 alert list` shows it.")
    ],
    as_json: reporting.AsJson = False,
) -> int:
    """End an alert by your word; whoever was told of it is told that it is over."""
    from actors.alerts import control, documents
    from jobs.launch import alert_questions
    from serve_apps.settings import Settings

    ended = alert_questions.asked(Settings.load(), lambda: control.resolve(fingerprint, _who()))
    reporting.Report(as_json).result(documents.alert(ended), f"over: {ended.alert.summary}")
    return exit_codes.OK


@app.command("acknowledge")
@reporting.reported
def acknowledge(
    fingerprint: Annotated[
        str, typer.Argument(help="Of the alert, or its beginning, as `x0 alert list` shows it.")
    ],
    as_json: reporting.AsJson = False,
) -> int:
    """Say that you look after an alert and its whole incident.

    PagerDuty is told, so that it pages nobody further; other channels know no such thing.
    `x0 alert list` shows who looks after what.
    """
    from actors.alerts import client, control, documents
    from jobs.launch import alert_questions
    from jobs.terminal import alert_tables
    from serve_apps.settings import Settings

    async def question() -> tuple[Any, ...]:
        return await control.acknowledge(fingerprint, _who()), await client.channels()

    one, channels = alert_questions.asked(Settings.load(), question)
    reporting.Report(as_json).result(
        documents.alert(one), *alert_tables.acknowledged(one, channels)
    )
    return exit_codes.OK


@app.command("silence")
@reporting.reported
def silence(
    until: Until,
    fingerprint: Annotated[
        str, typer.Argument(help="This alert; see `x0 alert list`.", show_default=False)
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Of this kind; `x0 alert kinds` lists them."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="With this label. May be repeated."),
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="That concern nothing but these ids. May be repeated."),
    ] = None,
    begin: From = "now",
    comment: Comment = "",
    as_json: reporting.AsJson = False,
) -> int:
    """Keep alerts from being told for a while; what lasts longer is told then.

    All that is given must fit an alert.  x0 alert silence --name LinksDown --until 2h
    """
    from actors.alerts.contract import SilenceRequest
    from serve_apps.settings import Settings

    request = SilenceRequest(
        moments.coming(begin),
        moments.coming(until),
        comment,
        _who(),
        fingerprint,
        frozenset(_name(text) for text in name or ()),
        dict(_label(text) for text in label or ()),
        frozenset(subject or ()),
    )
    _tell_silences(_silenced(Settings.load(), [request]), reporting.Report(as_json))
    return exit_codes.OK


@app.command("maintenance")
@reporting.reported
def maintenance(
    until: Until,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NODE]...",
            help="What is taken down: ids, names or their beginnings.",
            autocompletion=completion.nodes,
        ),
    ] = None,
    link: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="And the link between A and B. May be repeated."),
    ] = None,
    begin: From = "now",
    comment: Comment = "maintenance",
    network: network_options.OfNetwork = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Say what you take down and when; the digital twin says what will follow from it.

    That is not told meanwhile, and nothing else: what concerns any other node is.

    I take this router down tonight.  x0 alert maintenance n0042 --from 22:00 --until 23:30
    """
    from actors.topology import naming
    from actors.twin import scenario
    from jobs.launch import maintenance as planned
    from jobs.launch import twin_questions
    from serve_apps.settings import Settings

    report, settings = reporting.Report(as_json), Settings.load()
    window = moments.coming(begin), moments.coming(until)
    fails: dict[str, list[Any]] = {
        "nodes": nodes or [],
        "links": [naming.listed(text) for text in link or ()],
    }
    _check_planned(fails)
    which = network_options.asked(network)
    questions = [{"nodes": [], "links": []}, fails]
    replies = [
        twin_questions.ask(
            scenario.of({"fail": each}, "of this maintenance"),
            settings,
            report,
            live=True,
            plot=False,
            network=which,
        )
        for each in questions
    ]
    intact, failed = (_impact(reply) for reply in replies)
    subjects = planned.following(intact, failed)
    made = planned.silences(
        str(replies[1].about.network),
        subjects,
        planned.failed_links(failed),
        window,
        comment,
        _who(),
    )
    silenced = _silenced(settings, made)
    names = replies[1].names
    labels = [naming.label(node, names.get(node)) for node in sorted(subjects)]
    report.note(f"not told meanwhile: what concerns {', '.join(labels) or 'these links'} alone")
    _tell_silences(silenced, report)
    return exit_codes.OK


@app.command("silences")
@reporting.reported
def list_silences(as_json: reporting.AsJson = False) -> int:
    """List the silences that last or are to begin."""
    from actors.alerts import client
    from jobs.launch import alert_questions
    from serve_apps.settings import Settings

    found = alert_questions.asked(Settings.load(), client.silences)
    _tell_silences(found, reporting.Report(as_json))
    return exit_codes.OK


@app.command("unsilence")
@reporting.reported
def unsilence(
    silence: Annotated[str, typer.Argument(metavar="ID", help="See `x0 alert silences`.")],
    as_json: reporting.AsJson = False,
) -> int:
    """End a silence now: what it kept back and still lasts is told."""
    from actors.alerts import control
    from jobs.launch import alert_questions
    from serve_apps.settings import Settings

    ended = alert_questions.asked(Settings.load(), lambda: control.unsilence(silence))
    _tell_silences([ended], reporting.Report(as_json), ended=True)
    return exit_codes.OK


@app.command("digest")
@reporting.reported
def show_digest(
    network: Annotated[
        str | None,
        typer.Option(
            metavar="observed|emulated", help="Of this network; else the one recorded last."
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show the morning's digest as it would be now: what got worse since a day ago.

    It is read from the history on disk; X0TTA6BL4_ALERTS_DIGEST_AT has it sent each day.
    """
    from actors.history import digest
    from actors.history.archive import Archive
    from serve_apps.settings import Settings

    archive = Archive.of(Settings.load())
    which, _ = archive.network(network_options.asked(network))
    told = digest.of_day(archive, which, time.time())
    reporting.Report(as_json).result(
        {"network": str(which), **told.as_dict()}, told.summary, *told.lines
    )
    return exit_codes.OK


@app.command("kinds")
@reporting.reported
def kinds(as_json: reporting.AsJson = False) -> int:
    """List all kinds of alert: how severe each is, what it means, and what to do."""
    from actors.alerts.catalogue import CATALOGUE
    from jobs.terminal import alert_tables

    values = [
        {
            "name": name.value,
            "severity": str(entry.severity),
            "meaning": entry.meaning,
            "remedy": entry.remedy,
        }
        for name, entry in CATALOGUE.items()
    ]
    reporting.Report(as_json).result({"kinds": values}, *alert_tables.kinds(CATALOGUE))
    return exit_codes.OK


def _silenced(settings: Settings, requests: Sequence[SilenceRequest]) -> list[Silence]:
    from actors.alerts import control
    from jobs.launch import alert_questions

    async def question() -> list[Silence]:
        return [await control.silence(request) for request in requests]

    return alert_questions.asked(settings, question)


def _tell_silences(
    silences: Sequence[Silence], report: reporting.Report, *, ended: bool = False
) -> None:
    from actors.alerts import documents
    from jobs.terminal import alert_tables

    values = {"silences": [documents.silence(one) for one in silences]}
    report.result(values, *alert_tables.silences(silences, ended=ended))


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return "somebody"


def _name(text: str) -> AlertName:
    from actors.runtime.alerting import AlertName
    from actors.runtime.errors import InvalidInput, close_matches

    known = {name.value.lower(): name for name in AlertName}
    if text.lower() in known:
        return known[text.lower()]
    raise InvalidInput(
        f"--name {text[:40]} is refused",
        "there is no such kind of alert",
        close_matches(text, [name.value for name in AlertName])
        or "`x0 alert kinds` lists all of them.",
    )


def _label(text: str) -> tuple[str, str]:
    from actors.runtime.errors import InvalidInput

    key, found, value = text.partition("=")
    if not found or not key:
        raise InvalidInput(f"--label {text[:40]} is refused", "it has no =", "Give KEY=VALUE.")
    return key, value


def _check_planned(fails: dict[str, list[Any]]) -> None:
    from actors.runtime.errors import InvalidInput

    if not any(fails.values()):
        raise InvalidInput(
            "no maintenance is planned", "nothing is taken down", "Give NODE or --link A,B."
        )


def _impact(reply: Any) -> Any:  # noqa: ANN401 - types of the twin take time to import
    impact = reply.answer.impact
    assert impact is not None  # noqa: S101 - it was asked for
    return impact


if __name__ == "__main__":
    app()
