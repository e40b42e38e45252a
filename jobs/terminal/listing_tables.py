"""Nodes, links and routes in tables for 80 columns. What is not known is said, never shown as 0."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from actors.topology.naming import label
from jobs.terminal.reporting import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import RenderableType

    from actors.topology.listing import ListedLink, ListedNode, NetworkListing
    from actors.topology.route import FoundRoute

    Column = tuple[str, Callable[..., object]]

UNKNOWN: Final = "not known"
_WHICH: Final = {
    "observed": "the observed network",
    "emulated": "the emulated mesh",
    "map": "a map",
}


def about(listing: NetworkListing, shown: int, of: int, what: str) -> list[str]:
    """Which network it is, how much of it is shown, and what its source has besides."""
    share = f"{of:,} {what}" if shown == of else f"{shown:,} of {of:,} {what}"
    lines = [f"{share} of {_WHICH[listing.network]} ({listing.source})"]
    if listing.left_out:
        said = ", ".join(f"{count:,} {reason}" for reason, count in listing.left_out.items())
        lines.append(f"Left out: {said}.")
    return [*lines, *listing.warnings]


def nodes(rows: Sequence[ListedNode]) -> list[RenderableType]:
    """A row a node; columns of which nothing is known are left out."""
    columns: list[Column] = [
        ("node", lambda node: label(node.id, node.name)),
        ("state", lambda node: node.state),
        ("since", lambda node: None if node.since is None else moment(node.since)),
        ("links", lambda node: node.links),
        ("clients", lambda node: node.clients),
        ("gateway", lambda node: None if node.gateway is None else ("-", "yes")[node.gateway]),
    ]
    return _table("Nodes", columns, rows)


def links(rows: Sequence[ListedLink]) -> list[RenderableType]:
    """A row a link."""
    columns: list[Column] = [
        ("from", lambda link: label(link.a, link.a_name)),
        ("to", lambda link: label(link.b, link.b_name)),
        ("kind", lambda link: link.kind + (f", {link.parallel} links" * (link.parallel > 1))),
        ("state", lambda link: link.state),
        ("delivered there, back", lambda link: _both(link.quality)),
        ("ETX", lambda link: figure(link.etx)),
    ]
    return _table("Links", columns, rows)


def route(found: FoundRoute, names: Mapping[str, str]) -> list[RenderableType | str]:
    """The route in words, and a row a hop."""
    columns: list[Column] = [
        ("from", lambda hop: label(hop.a, names.get(hop.a))),
        ("to", lambda hop: label(hop.b, names.get(hop.b))),
        ("kind", lambda hop: hop.kind),
        ("delivered", lambda hop: share(hop.quality)),
        ("ETX", lambda hop: figure(hop.etx)),
    ]
    return [*_words(found), *_table("Hops", columns, found.hops)]


def _words(found: FoundRoute) -> list[str]:
    from actors.topology.route import RETRIES

    count = len(found.hops)
    tunnels = sum(hop.kind == "vpn" for hop in found.hops)
    lost = f"loss {UNKNOWN}" if found.loss is None else f"{_lost(found.loss)} of datagrams lost"
    through = f"{tunnels} of them through a VPN" if tunnels else "no VPN"
    said = f"{count} hop{'' if count == 1 else 's'}, ETX {figure(found.etx)}, {lost}; {through}."
    lines = [said]
    if found.unmeasured:
        lines.append(
            f"Not measured in that direction: {found.unmeasured} of the links. They are taken to be"
            " as good as in the other one, or else perfect."
        )
    elif count:
        lines.append(f"A datagram is tried up to {1 + RETRIES} times over each hop.")
    return lines


def share(value: float | None) -> str:
    """A share in per cent; a small one is not shown as none, nor a large one as all."""
    if value is None:
        return UNKNOWN
    return f"{value:.0%}" if value in (0.0, 1.0) else f"{min(max(value, 0.001), 0.999):.1%}"


def _lost(loss: float) -> str:
    return "under 0.01%" if 0.0 < loss < 0.0001 else f"{loss:.2%}"


def figure(value: float | None) -> str:
    """A figure with two digits after the point."""
    return UNKNOWN if value is None else f"{value:.2f}"


def moment(at: float) -> str:
    """A Unix time as the clock on the wall shows it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _both(quality: tuple[float | None, float | None]) -> str:
    if quality == (None, None):
        return UNKNOWN
    return ", ".join(map(share, quality))


def _table(title: str, columns: Sequence[Column], rows: Sequence[object]) -> list[RenderableType]:
    told = {name: [value(row) for row in rows] for name, value in columns}
    kept = {name: cells for name, cells in told.items() if any(cell is not None for cell in cells)}
    shown = list(zip(*(map(_said, cells) for cells in kept.values()), strict=True))
    return [table(title, list(kept), shown)] if shown else []


def _said(cell: object) -> object:
    return UNKNOWN if cell is None else cell
