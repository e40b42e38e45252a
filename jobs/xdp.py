"""`x0 xdp`: what XDP programs are attached on this host, and this project's own."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from actors.xdp.contract import Mode
from jobs.terminal import completion, exit_codes, reporting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from actors.xdp.attachment import Attachment, Host
    from actors.xdp.contract import Interface, Occupant, XdpContract
    from actors.xdp.program import Program

T = TypeVar("T")

app = typer.Typer(
    help="Count, deny and limit what the interfaces of this host receive, by XDP. Needs root.",
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
)
deny = typer.Typer(
    help="Networks whose packets are dropped on an interface.",
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
)
app.add_typer(deny, name="deny")

MODES: Final = ", ".join(Mode)
_UNTIL: Final = (
    "Ctrl-C detaches it. However else this command ends, the kernel detaches it too,",
    "and nobody attaches it again: --pin keeps it, or a session (x0 up)",
)
_LOOK_S: Final = 5.0  # between two looks at the interfaces when nothing changes

OfInterface = Annotated[
    str, typer.Option("--interface", "-i", metavar="IF", help="Name of the interface.")
]
Networks = Annotated[
    list[str], typer.Argument(metavar="NETWORK...", help="Addresses, or networks in CIDR form.")
]


@app.command("attach")
@reporting.reported
def attach(
    interface: OfInterface,
    mode: Annotated[
        str,
        typer.Option(
            help=f"{MODES}: where it runs; auto takes the best that is accepted.",
            autocompletion=completion.words(MODES),
        ),
    ] = "auto",
    pin: Annotated[
        bool, typer.Option("--pin", help="Leave it attached, and this command.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Attach the program to an interface.

    Where a session runs, its actor on this host holds the program until its end; if the actor
    crashes, it is started again and attaches it anew, with its rules. Elsewhere, without --pin, the
    command stays: it follows the interface when it is made anew, and its end, by Ctrl-C or however
    else, detaches the program, and nobody attaches it again. With --pin the program stays until it
    is detached. Programs of others are never touched.
    """
    from actors.xdp import attachment
    from jobs.terminal import xdp_tables

    report = reporting.Report(as_json)
    chosen, host = _mode(mode), _host()
    answer = _asked(lambda actor: actor.attach(interface, chosen, pin=pin))
    if answer is not None:
        until = "it is detached" if pin else "the session ends"
        said = (
            f"owned by the session, until {until}: x0 xdp detach --interface {interface}",
            "if its actor crashes, it is started again, and the program attached again",
        )
        report.result(asdict(answer[0]), *xdp_tables.attached(answer[0]), *said)
        return exit_codes.OK
    if pin:
        made = attachment.attach(host, interface, chosen, pin=True)
        made.close()
        _announce(made, report, f"detach it: x0 xdp detach --interface {interface}")
        return exit_codes.OK
    return _stay(host, interface, chosen, report)


@app.command("detach")
@reporting.reported
def detach(interface: OfInterface, as_json: reporting.AsJson = False) -> int:
    """Detach this project's program, whoever holds it. Without one: nothing happens."""
    from actors.xdp import attachment

    answer = _asked(lambda actor: actor.detach(interface))
    gone = answer[0] if answer is not None else attachment.detach(_host(), interface)
    said = f"detached {gone} from {interface}" if gone else f"nothing was attached to {interface}"
    values = {"interface": interface, "detached": asdict(gone) if gone else None}
    reporting.Report(as_json).result(values, said)
    return exit_codes.OK


@app.command("replace")
@reporting.reported
def replace(interface: OfInterface, as_json: reporting.AsJson = False) -> int:
    """Load the program anew, as after an upgrade, and swap it in between two packets.

    No packet is missed; counters, denied networks and the rate limit go on.
    """
    from actors.xdp import attachment
    from jobs.terminal import xdp_tables

    answer = _asked(lambda actor: actor.replace(interface))
    now = answer[0] if answer is not None else attachment.replaced(_host(), interface)
    reporting.Report(as_json).result(asdict(now), *xdp_tables.attached(now))
    return exit_codes.OK


@app.command("status")
@reporting.reported
def status(
    interface: Annotated[
        str | None,
        typer.Option("--interface", "-i", metavar="IF", help="Only this one; else all."),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show which program is attached to which interface, and why in no better mode.

    Exit code: 3 where XDP cannot be used, and why.
    """
    from actors.xdp import interfaces, preflight
    from jobs.terminal import xdp_tables

    host = _host()
    why = preflight.judge(preflight.facts(host.bpffs), host.bpffs, pin=False)
    if why is not None and not _is_linux():
        raise why
    found = (interfaces.interface(interface),) if interface else interfaces.interfaces()
    rows = [_row(host, one) for one in found]
    values = {
        "interfaces": rows,
        "disabled": {"reason": why.reason, "missing_caps": list(why.missing_caps)} if why else None,
    }
    reason = f"{why.reason}. {why.remedy}" if why else ""
    reporting.Report(as_json).result(values, *xdp_tables.status(rows, reason))
    return exit_codes.NOT_WELL if why else exit_codes.OK


@app.command("counters")
@reporting.reported
def counters(
    interface: OfInterface,
    top: Annotated[
        int, typer.Option(min=0, max=10_000, help="Peers and flows to list, of most bytes.")
    ] = 20,
    sample: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Sample each Nth packet from now on; 0: none."),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show what the program counted; where XDP cannot be used, what the kernel counted.

    The samples that were taken since the last time are in --json. N is a power of two.

    Exit code: 3 where the kernel's own counters are shown, and why.
    """
    from actors.xdp import counters as reading
    from actors.xdp import interfaces, rules
    from actors.xdp.errors import XdpUnavailable
    from jobs.terminal import xdp_tables

    report = reporting.Report(as_json)
    try:
        with _opened(interface) as program:
            if sample is not None:
                with _host().locked():
                    rules.sample(program, sample)
            found = reading.counters(program, interface, top)
            taken = [_sample(one) for one in reading.samples(program)]
    except XdpUnavailable as error:
        if not _is_linux():
            raise
        kernel = interfaces.kernel_counters(interface, error.reason)
        report.result(asdict(kernel), *xdp_tables.kernel(kernel), error.remedy)
        return exit_codes.NOT_WELL
    report.result({**asdict(found), "samples": taken}, *xdp_tables.counters(found))
    return exit_codes.OK


@deny.command("add")
@reporting.reported
def deny_add(networks: Networks, interface: OfInterface, as_json: reporting.AsJson = False) -> int:
    """Drop what comes from these networks."""
    return _denied(interface, networks, as_json, adds=True)


@deny.command("remove")
@reporting.reported
def deny_remove(
    networks: Networks, interface: OfInterface, as_json: reporting.AsJson = False
) -> int:
    """Let pass again what comes from these networks, as they were denied."""
    return _denied(interface, networks, as_json, adds=False)


@deny.command("list")
@reporting.reported
def deny_list(interface: OfInterface, as_json: reporting.AsJson = False) -> int:
    """List the networks that are denied."""
    from actors.xdp import rules

    with _opened(interface) as program:
        denied = rules.rules(program).denied
    said = denied or (f"{interface} denies nobody",)
    reporting.Report(as_json).result({"interface": interface, "denied": list(denied)}, *said)
    return exit_codes.OK


@app.command("rate-limit")
@reporting.reported
def rate_limit(
    interface: OfInterface,
    pps: Annotated[
        float | None, typer.Option(metavar="N", help="Packets a second that each source may send.")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(metavar="N", help="Packets at once; else those of one second.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="No limit any more.")] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Drop what a source sends beyond a rate. Without options: say what the limit is."""
    from actors.runtime.errors import InvalidInput
    from actors.xdp import rules
    from jobs.terminal import xdp_tables

    if (off and pps is not None) or (burst is not None and pps is None):
        raise InvalidInput(
            "there is no rate to set",
            "--off was given with --pps, or --burst without it",
            "Give --pps with or without --burst, or --off alone.",
        )
    with _opened(interface) as program, _host().locked():
        changes = off or pps is not None
        found = rules.limit(program, pps, burst) if changes else rules.rules(program)
    if changes:
        _told(interface)
    values = {"interface": interface, **asdict(found)}
    words = xdp_tables.rule_words(values)
    reporting.Report(as_json).result(values, f"{interface} {words}")
    return exit_codes.OK


def _stay(host: Host, interface: str, mode: Mode, report: reporting.Report) -> int:
    """Hold the program attached until a signal ends this, or somebody detaches it."""
    from actors.xdp import attachment
    from actors.xdp.interfaces import LinkChanges
    from actors.xdp.owner import Owner
    from actors.xdp.reconciliation import Wish
    from jobs.launch import interruption

    with contextlib.closing(LinkChanges()) as changes:
        owner = Owner(host, {interface: Wish(mode, pin=False)})
        with contextlib.closing(owner):
            owner.hold(attachment.attach(host, interface, mode))
            held = owner.held(interface)
            assert held is not None  # noqa: S101 - it has just been attached
            try:
                _announce(held, report, *_UNTIL)
                while owner.states[interface].state != "detached":
                    changes.wait(_LOOK_S)
                    for said in owner.look():
                        report.note(said)
            except interruption.Interrupted as interrupted:
                report.note(f"{interrupted.signal.name}: detaching")
    return exit_codes.OK


def _announce(made: Attachment, report: reporting.Report, *then: str) -> None:
    from jobs.terminal import xdp_tables

    report.result(asdict(made.attached), *xdp_tables.attached(made.attached), *then)


def _denied(interface: str, networks: list[str], as_json: bool, *, adds: bool) -> int:
    from actors.xdp import rules
    from jobs.terminal import xdp_tables

    chosen = [rules.network(text) for text in networks]  # all are checked before any is changed
    change = rules.deny if adds else rules.allow
    with _opened(interface) as program, _host().locked():
        changed = list(map(str, change(program, *chosen)))
        found = rules.rules(program)
    _told(interface)
    word = "denied" if adds else "let pass again"
    same = len(chosen) - len(changed)
    said = f"{len(changed)} {word}" + (f", {same} were already" if same else "")
    values = {"interface": interface, "changed": changed, **asdict(found)}
    reporting.Report(as_json).result(values, *xdp_tables.rules(interface, found, said))
    return exit_codes.OK


def _told(interface: str) -> None:
    """Have the owner note rules that have changed, so that they hold over a crash of it."""
    from actors.runtime.errors import X0Error

    with contextlib.suppress(X0Error):  # what it is not told now, it sees within seconds
        _asked(lambda actor: actor.rules(interface))


@contextlib.contextmanager
def _opened(interface: str) -> Iterator[Program]:
    from actors.xdp import attachment, preflight

    preflight.require(_host().bpffs)
    program = attachment.opened(interface)
    try:
        yield program
    finally:
        program.close()


def _row(host: Host, found: Interface) -> dict[str, Any]:
    """One interface and what is attached to it."""
    from actors.xdp import attachment, interfaces
    from actors.xdp.negotiation import Features

    there = next(iter(attachment.occupants(found)), None)
    features = interfaces.features(found.index)
    pin = attachment.pin_path(host, found, there.program_id) if there else None
    names = [one.name for one in Features if one.name and features is not None and one & features]
    return {
        "interface": found.name,
        "ifindex": found.index,
        "up": found.up,
        "mtu": found.mtu,
        "state": _state(there),
        "mode": there.mode if there else None,
        "program_id": there.program_id if there else None,
        "name": there.name if there else None,
        "tag": there.tag if there else None,
        "link_id": there.link_id if there else None,
        "pin": str(pin) if pin else None,
        "features": names if features is not None else None,
        "not_better": _not_better(there, features),
        "rules": _rules(there),
    }


def _state(there: Occupant | None) -> str:
    if there is None:
        return "free"
    if there.name is None:
        return "unknown"  # this process may not ask
    return "attached" if there.ours else "foreign"


def _not_better(there: Occupant | None, features: Any) -> dict[str, str]:  # noqa: ANN401 - Features | None
    """Why a program does not run in a better mode, as far as the driver states it."""
    from actors.xdp import negotiation

    if there is None:
        return {}
    return negotiation.stated_limits(there.mode, features)


def _rules(there: Occupant | None) -> dict[str, Any] | None:
    from actors.runtime.errors import X0Error
    from actors.xdp import rules
    from actors.xdp.program import Program

    if there is None or not there.ours:
        return None
    try:
        program = Program.of_id(there.program_id)
    except X0Error:  # of another version, or gone meanwhile
        return None
    try:
        return asdict(rules.rules(program))
    finally:
        program.close()


def _sample(one: Any) -> dict[str, Any]:  # noqa: ANN401 - a layout.Sample
    values = asdict(one)
    values["action"] = one.action.name.lower()
    for end in ("source", "destination"):
        values[end] = str(values[end]) if values[end] is not None else None
    return values


def _mode(text: str) -> Mode:
    from actors.runtime.errors import InvalidInput, close_matches

    try:
        return Mode(text)
    except ValueError:
        raise InvalidInput(
            f"there is no mode {text[:40]!r}",
            f"modes are {MODES}",
            close_matches(text, Mode) or "Give one of these.",
            entry="--mode",
        ) from None


def _asked(question: Callable[[XdpContract], Awaitable[T]]) -> tuple[T] | None:
    """What the actor of a session answers that owns XDP on this host; None: there is none.

    Tables of a program belong to the kernel: what only reads or changes them asks nobody.
    """
    from jobs.launch import xdp_questions
    from serve_apps.settings import Settings

    return xdp_questions.asked(Settings.load().state_dir, question)


def _host() -> Host:
    from actors.xdp.attachment import Host
    from serve_apps.settings import Settings

    settings = Settings.load()
    return Host(settings.xdp_bpffs, settings.xdp_backend)


def _is_linux() -> bool:
    import platform

    return platform.system() == "Linux"


if __name__ == "__main__":
    app()
