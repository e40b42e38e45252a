"""What the commands that list a network have in common: which one, and how `--json` says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.listing import NetworkListing
    from actors.topology.provenance import Network

Topology = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|URL|radio:N[:SEED]",
        help="Of this map. Without this option and those below: of the running session, or if "
        "there is none of X0TTA6BL4_TOPOLOGY.",
    ),
]
OfNetwork = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="observed|emulated",
        help="Of this network of the running session, where it has two.",
    ),
]


def chosen(topology: str | None, quality: str | None, *, no_vpn: bool) -> dict[str, Any]:
    """The settings that the options are; None for what is not given."""
    return {"topology": topology, "vpn": False if no_vpn else None, "quality": quality}


def running(text: str | None, of_a_map: Mapping[str, Any]) -> Network | None:
    """The network of the running session that `--network` names; None if it was not given.

    Args:
        text: what was given.
        of_a_map: the settings that choose a map, by name; None for what is not given.

    Raises:
        InvalidInput: there is none of that name, or a map is asked for too.
    """
    from actors.runtime.errors import InvalidInput

    network = asked(text)
    if network is not None and any(value is not None for value in of_a_map.values()):
        raise InvalidInput(
            "--network and the options of a map are refused together",
            "a map is no network of the running session",
            "Give one of them.",
        )
    return network


def document(network: NetworkListing, **values: object) -> dict[str, Any]:
    """A result with the network that it is about."""
    about = {
        "network": network.network,
        "source": network.source,
        "nodes": len(network.nodes),
        "links": len(network.links),
        "left_out": dict(network.left_out),
        "warnings": list(network.warnings),
    }
    return {"about": about, **values}


def asked(text: str | None) -> Network | None:
    """The network that an option names; None if it was not given.

    Raises:
        InvalidInput: there is none of that name.
    """
    from actors.history.archive import RECORDED
    from actors.runtime.errors import InvalidInput

    if text is None:
        return None
    for network in RECORDED:
        if text.strip().lower() == network.value:
            return network
    raise InvalidInput(
        f"--network {text[:40]} is refused",
        "there is no such network",
        "Give observed (the real one) or emulated (the laboratory).",
    )
