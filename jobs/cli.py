"""`x0`: the commands of `jobs` under one name.

Nothing that takes time to import is imported here; `x0 --help` answers at once.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from jobs import (
    alert,
    beacons,
    diff,
    down,
    drill,
    env,
    evaluate,
    events,
    explain,
    export,
    history,
    identity,
    lab,
    links,
    nodes,
    pay,
    quarantine,
    route,
    send,
    source,
    status,
    train,
    up,
    watch,
    what_if,
    xdp,
)
from jobs.terminal import exit_codes, reporting

app = typer.Typer(
    name="x0",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watch a real mesh network, and run a self-healing one like it, as Ray actors.\n\n"
    "Settings are environment variables X0TTA6BL4_*; an option wins over its variable.",
    epilog=f"Exit codes: {exit_codes.table()}.",
    context_settings=dict(reporting.HELP),
)
app.command("watch")(watch.command)
app.command("up")(up.command)
app.command("status")(status.command)
app.command("env")(env.command)
app.command("send")(send.command)
app.command("nodes")(nodes.command)
app.command("links")(links.command)
app.command("route")(route.command)
app.command("export")(export.command)
app.command("what-if")(what_if.command)
app.command("explain")(explain.command)
app.command("drill")(drill.command)
app.command("beacons")(beacons.command)
app.command("events")(events.command)
app.command("history")(history.command)
app.command("diff")(diff.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)
app.command("down")(down.command)
app.add_typer(alert.app, name="alert")
app.add_typer(source.app, name="source")
app.add_typer(lab.app, name="lab")
app.add_typer(pay.app, name="pay")
app.add_typer(xdp.app, name="xdp")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(identity.app, name="identity")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"x0 {version('x0tta6bl4')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which and leave."),
    ] = False,
    as_json: reporting.AsJson = False,
) -> None:
    """Take the options that belong to no command."""
    reporting.json_for_any(as_json)


def main() -> None:
    """Run `x0`."""
    reporting.start(app)


if __name__ == "__main__":
    main()
