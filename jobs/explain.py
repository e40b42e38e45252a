"""`x0 explain`: why a node of the running session counts as anomalous, or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.terminal import completion, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.topology.naming import Naming
    from jobs.launch.gateway_client import GatewayClient, NoAnswer

_PATH: Final = "/inference/explain"
_ANSWER_S: Final = 30.0


@reporting.reported
def command(
    node: Annotated[
        str,
        typer.Argument(help="Id, name or its beginning.", autocompletion=completion.node),
    ],
    of_network: network_options.OfNetwork = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Tell why a node of the running session counts as anomalous now, or does not.

    Each line says what one feature of the node, or a node near it, adds to its score: exact Shapley
    values, which add up to the score. What is not measured is said to be so.

    Where a host counts by XDP what it receives of its neighbours, that is told below, and is in no
    score.
    """
    from jobs.launch import found, listings
    from jobs.launch.gateway_client import NoAnswer
    from jobs.launch.record import nothing_on_record

    report = reporting.Report(as_json)
    state_dir = found.state_dir()
    client = found.gateway(state_dir)
    if client is None:
        raise nothing_on_record(state_dir)
    report.progress("asking the running session")
    network = listings.of_session(client, network_options.asked(of_network))
    naming = network.naming()
    asked = {"node": network.nodes[naming.find(node)].id, "network": str(network.network)}
    try:
        answer = _asked(client, asked)
    except NoAnswer as error:
        raise _silent(error) from error
    names = _names(answer, naming)
    report.result(network_options.document(network, names=names, **answer), *_told(answer, naming))
    return 0


def _asked(client: GatewayClient, asked: Mapping[str, str]) -> dict[str, Any]:
    return client.ask("POST", _PATH, dict(asked), answer_s=_ANSWER_S)


def _silent(error: NoAnswer) -> Exception:
    from actors.runtime.errors import Unavailable

    return Unavailable(
        "inference does not answer",
        str(error),
        "`x0 status` says how it is; X0TTA6BL4_INFERENCE=0 keeps it off.",
        retry_after_s=5.0,
    )


def _names(answer: Mapping[str, Any], naming: Naming) -> dict[str, str]:
    """The names of the nodes that are told of one by one, by id."""
    told = [answer["node"]]
    told += [part["nodes"][0] for part in answer["nodes"] if len(part["nodes"]) == 1]
    told += [one[end] for one in answer.get("received", []) for end in ("heard_by", "from")]
    return {node: name for node in told if (name := naming.name_of(node))}


def _told(answer: Mapping[str, Any], naming: Naming) -> list[str]:
    how = "anomalous" if answer["anomalous"] else "not anomalous"
    known = answer["probability"]
    chance = "" if known is None else f", probability {known:.2f}"
    lines = [f"{naming.label(answer['node'])} is {how}{chance} (score {answer['score']:+.2f})"]
    lines += [f"  {sentence}" for sentence in answer["sentences"]]
    if not answer["sentences"]:
        lines.append("  nothing about it is unusual")
    lines += _received(answer.get("received", []), naming)
    if missing := answer["features_had"]["missing"]:
        lines.append(f"not measured in this network: {', '.join(missing)}")
    return lines


def _received(figures: Sequence[Mapping[str, Any]], naming: Naming) -> list[str]:
    """What hosts count, a paragraph for each direction of a link."""
    lines = []
    ways = dict.fromkeys((one["heard_by"], one["from"]) for one in figures)
    for hears, sends in ways:
        lines.append(f"{naming.label(hears)} receives of {naming.label(sends)}:")
        told = [one for one in figures if (one["heard_by"], one["from"]) == (hears, sends)]
        lines += [f"  {one['text']}" for one in told]
    return lines


if __name__ == "__main__":
    reporting.run(command)
