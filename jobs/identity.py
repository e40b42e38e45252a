"""`x0 identity`: who this host is to others, until when, and what vouches for it."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.identity.contract import IdentityContract

T = TypeVar("T")

app = typer.Typer(
    help="Identities of this host (SPIFFE): how they are, new ones, and what is public of them.",
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
)

Host = Annotated[
    str | None, typer.Option(metavar="NAME", help="Another host of the session; else this one.")
]


@app.command("status")
@reporting.reported
def status(host: Host = None, as_json: reporting.AsJson = False) -> int:
    """Show the identities that this host holds, how long each lives, and what is wrong.

    Exit code: 3 where there is none that may be used, or the renewal has failed.
    """
    from actors.identity import exported
    from actors.identity.documents import authority_document, status_document
    from jobs.terminal import identity_tables

    async def ask(actor: IdentityContract) -> tuple[Any, Any, str]:
        found = await actor.status()
        health = await actor.health()
        if health.state == "failed":
            return found, None, health.why
        return found, await actor.authority(), ""

    found, authority, failed = _asked(host, ask)
    now = time.time()
    values = {
        **status_document(found, now),
        "authority": authority_document(authority) if authority is not None else None,
        "failed": failed or None,
    }
    lines = identity_tables.status(found, authority, failed, now)
    reporting.Report(as_json).result(values, *lines)
    well = exported.usable(found) and not exported.fails(found) and not failed
    return exit_codes.OK if well else exit_codes.NOT_WELL


@app.command("rotate")
@reporting.reported
def rotate(
    host: Host = None,
    authority: Annotated[
        bool,
        typer.Option(
            "--authority", help="New keys for the session's own authority; the old stay trusted."
        ),
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Have new identities issued now, with new keys. Connections that stand are not disturbed.

    The old authority is trusted until all that it signed has expired.

    Exit code: 3 where no new one came, as SPIRE's agent gives one only when it is due.
    """
    from actors.identity.documents import authority_document
    from jobs.terminal import identity_tables

    report = reporting.Report(as_json)
    if authority:
        made = _asked(host, lambda actor: actor.rotate_authority())
        report.result(authority_document(made), *identity_tables.authority(made, time.time()))
        return exit_codes.OK
    report.progress("waiting for a new SVID")
    came = _asked(host, lambda actor: actor.rotate())
    said = f"a new SVID is held, generation {came.generation}" if came.renewed else came.why
    report.result(asdict(came), said)
    return exit_codes.OK if came.renewed else exit_codes.NOT_WELL


@app.command("show")
@reporting.reported
def show(
    host: Host = None,
    bundle: Annotated[
        bool,
        typer.Option(
            "--bundle", help="The SPIFFE bundle document that others need to trust this domain."
        ),
    ] = False,
    trust_domain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --bundle: of another trust domain."),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Print what is public: the certificates of this host's identity (PEM), or a trust bundle.

    Hand the bundle to another trust domain; put theirs, called NAME.json, into the directory that
    `x0 identity status` names.
    """
    from actors.identity.documents import bundle_document, chain_document
    from actors.runtime.errors import InvalidInput
    from jobs.terminal import identity_tables

    report = reporting.Report(as_json)
    if trust_domain is not None and not bundle:
        raise InvalidInput(
            "--trust-domain is of no use alone",
            "it says of which trust domain the bundle is shown",
            "Give --bundle as well.",
            entry="--trust-domain",
        )
    if bundle:
        found = _asked(host, lambda actor: actor.bundle(trust_domain))
        document = bundle_document(found)
        report.result(document, identity_tables.as_text(document))
        return exit_codes.OK
    chain = _asked(host, lambda actor: actor.public_chain())
    values = chain_document(chain)
    report.result(values, *values["certificates"])
    return exit_codes.OK


def _asked(host: str | None, question: Callable[[IdentityContract], Awaitable[T]]) -> T:
    """What the actor of a host of the running session answers.

    Raises:
        NotRunning: no session runs, or it has no identities.
        X0Error: what the actor raised, or that it does not answer.
    """
    from actors.identity import control
    from actors.identity.contract import identity_actor
    from jobs.launch import by_socket
    from serve_apps.settings import Settings

    name = host or platform.node()

    async def ask() -> T:
        return await question(control.of_host(name))

    return by_socket.asked_or_joined(Settings.load(), identity_actor(name), ask)


if __name__ == "__main__":
    app()
