"""An observed network in tables, made from the values of `condition.document`; 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobs.terminal.reporting import pairs, table
from jobs.terminal.which_network import age, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType


def tables(found: Mapping[str, Any]) -> list[RenderableType | str]:
    """The network and its sources."""
    return [_network(found), _sources(found)]


def _network(found: Mapping[str, Any]) -> RenderableType:
    nodes, links = found["nodes"], found["links"]
    lines: dict[str, object] = {
        "nodes": f"{found['members']:,}: {_states(nodes)}",
        "links": f"{sum(links.values()):,}: {_states(links)}",
        "parts": f"{found['parts']:,}, the main one of {found['main_part']:,} nodes",
        "gateways": f"{found['gateways']:,}; {_offline(found['without_gateway'])}",
        "clients": "not known" if found["clients"] is None else f"{found['clients']:,}",
        "left out": counted(found["left_out"]),
    }
    if found["altered"]:
        lines["altered"] = counted(found["altered"])
    lines["changed"] = "nothing: routers are only asked"
    return pairs("Observed network", lines)


def _states(counts: Mapping[str, int]) -> str:
    """`140 up, 3 silent`; states that nobody is in are left out."""
    said = [f"{count:,} {state.replace('_', ' ')}" for state, count in counts.items() if count]
    return ", ".join(said) or "none"


def _offline(without_gateway: int) -> str:
    if not without_gateway:
        return "no node is known to be without one"
    return f"{without_gateway:,} nodes reach none"


def _sources(found: Mapping[str, Any]) -> RenderableType:
    rows = [
        (
            source["name"],
            source["state"],
            age(source["age_s"]),
            source["nodes"],
            source["links"],
            sum(source["left_out"].values()),
        )
        for source in found["sources"]
    ]
    return table("Sources", ("source", "state", "age", "nodes", "links", "left out"), rows)
