"""`x0 send`: one message through the running mesh, and what became of it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.mesh.contract import MAX_PORT
from jobs.terminal import completion, exit_codes, reporting

if TYPE_CHECKING:
    from serve_apps.probing import Sent

_MARGIN_S: Final = 20.0  # beyond the wait; the gateway gives up after 15


@reporting.reported
def command(
    source: Annotated[
        str,
        typer.Argument(
            help="The node that sends: id, name or its beginning.", autocompletion=completion.node
        ),
    ],
    destination: Annotated[
        str, typer.Argument(help="The node that receives.", autocompletion=completion.node)
    ],
    text: Annotated[str, typer.Argument(help="The payload, at most 65536 bytes of UTF-8.")],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_PORT,
            help="Leave the message to the application that reads this port. "
            "Default: a random dynamic port, taken out of the inbox again on arrival.",
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to wait for the outcome.")
    ] = 30.0,
    as_json: reporting.AsJson = False,
) -> int:
    """Send one message and tell what became of it, its route and the time taken.

    The inboxes of applications stay as they are: of what is there, only this very message (without
    --port) or the notice that it came back is taken.

    Exit code: 0 when it was delivered, 3 when it came back or is still under way after --wait;
    another one when it was not accepted (see `x0 --help`).
    """
    from actors.topology.naming import label

    report = reporting.Report(as_json)
    payload = text.encode("utf-8", "surrogateescape")  # an argument may be any bytes
    given = (source, destination, payload, port, wait)
    sent = _by_gateway(*given) or _by_ray(*given)
    route = " > ".join(label(node, sent["names"].get(node)) for node in sent["route"])
    cost = sent["transmissions"]
    more = "" if cost is None else f", {cost:.2f} transmissions"
    report.result(
        sent,
        f"message {sent['id']}: {sent['outcome']} after {sent['seconds'] * 1000:.0f} ms",
        f"route: {route or 'none known'}{more}",
    )
    return 0 if sent["outcome"] == "delivered" else exit_codes.NOT_WELL


def _by_gateway(
    source: str, destination: str, payload: bytes, port: int | None, wait_s: float
) -> dict[str, Any] | None:
    """Have the gateway send it; None: there is no gateway that does, and nothing was sent."""
    from actors.runtime.errors import Unavailable
    from jobs.launch import found
    from jobs.launch.gateway_client import NoAnswer
    from serve_apps.gateway.limits import Limits

    client = found.gateway(found.state_dir())
    if client is None or wait_s > Limits().wait_s:
        return None
    message: dict[str, Any] = {
        "source": source,
        "destination": destination,
        "payload_base64": base64.b64encode(payload).decode(),
        **({} if port is None else {"port": port}),
    }
    try:
        sent = client.ask(
            "POST", f"/v1/mesh/probes?wait_s={wait_s}", message, answer_s=wait_s + _MARGIN_S
        )
    except NoAnswer as error:
        if error.without_effect:
            return None
        raise Unavailable(
            "the gateway does not tell what became of the message",
            str(error),
            "It may have been sent: see whether it arrived before you send it again.",
            retry_after_s=1.0,
        ) from error
    return {**sent, "id": int(sent["id"])}


def _by_ray(
    source: str, destination: str, payload: bytes, port: int | None, wait_s: float
) -> dict[str, Any]:
    """Send it from this process, which joins the cluster."""
    from dataclasses import asdict

    from actors.mesh.client import Mesh
    from actors.runtime import log
    from jobs.launch import interruption, session
    from serve_apps import probing
    from serve_apps.settings import Settings

    async def send() -> Sent:
        mesh = await Mesh.attach()
        ids, naming = mesh.membership.topology.ids, mesh.membership.naming()
        start, end = (ids[naming.find(text)] for text in (source, destination))
        return await probing.probe(mesh, start, end, payload, port, wait_s)

    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running_mesh(settings)
    try:
        return asdict(interruption.run(send()))
    finally:
        running.close()


if __name__ == "__main__":
    reporting.run(command)
