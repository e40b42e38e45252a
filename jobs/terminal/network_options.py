"""What the commands that list a network have in common: which one, and how `--json` says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from actors.topology.listing import NetworkListing

Topology = Annotated[
    str | None,
    typer.Option(
        metavar="PATH|URL|radio:N[:SEED]",
        help="Of this map. Without this option and those below: of the running session, or if "
        "there is none of X0TTA6BL4_TOPOLOGY.",
    ),
]
NoVpn = Annotated[bool, typer.Option("--no-vpn", help="Without the VPN links of the map.")]
Quality = Annotated[
    str | None,
    typer.Option(
        metavar="auto|tq|babel|throughput",
        help="What the qualities of the map are, where it does not say.",
    ),
]


def chosen(topology: str | None, quality: str | None, *, no_vpn: bool) -> dict[str, Any]:
    """The settings that the options are; None for what is not given."""
    return {"topology": topology, "vpn": False if no_vpn else None, "quality": quality}


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
