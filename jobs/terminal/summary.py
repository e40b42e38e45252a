"""A session in words and numbers: what `x0 up` and `x0 status` show, as values and as tables.

The tables are made from the values, so that both say the same. They fit 80 columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.payments.contract import PREFIX
from actors.topology.provenance import Network
from jobs.launch import companions
from jobs.launch.companion import Seen, State
from jobs.terminal import observed_tables
from jobs.terminal.reporting import pairs, table
from jobs.terminal.which_network import counted
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from jobs.launch.found import FoundSession

    Values = Mapping[str, Any]  # as of `values`

_MIB: Final = 2**20
_FORMATS: Final = {"radio": "generated: a made-up radio mesh"}


def values(found: FoundSession) -> dict[str, Any]:
    """All that is known, for `--json`. Times in s, memory in bytes."""
    record = found.record
    beside = {name: State(name, **one) for name, one in found.state["actors"].items()}
    states = companions.states(Seen(record.gateway_url, beside, record.companions.split(", ")))
    known = {state.name: state for state in states}
    networks = {name: value for name, value in found.state.items() if name != "actors"}
    return {
        **networks,
        "companions": {
            name: {"state": state.state, "why": state.why} for name, state in known.items()
        },
        "payments": [name for name in known if name.startswith(PREFIX)],
        "gateway": str(known["gateway"]) if record.gateway_url else "none",
        "address": record.address,
        "namespace": record.namespace,
        "dashboard_url": record.dashboard_url,
        "gateway_url": record.gateway_url,
        "gateway_token": str(token_path(found.state_dir)) if record.gateway_url else "",
        "own_cluster": record.own_cluster,
        "state_dir": str(found.state_dir),
        "logs": record.logs if record.own_cluster else "",
    }


def lacking(found: Mapping[str, Any]) -> dict[str, str]:
    """Lines about what is lacking of a map; none if nothing is."""
    found_out = counted(found["left_out"]) if any(found["left_out"].values()) else ""
    lines = {"left out": found_out, "warnings": "; ".join(found["warnings"])}
    return {name: line for name, line in lines.items() if line}


def networks(found: Values) -> list[RenderableType | str]:
    """What there is: the observed network, then the emulated mesh."""
    shown: list[RenderableType | str] = []
    if found["observed"] is not None:
        shown += observed_tables.tables(found["observed"])
    if Network.EMULATED in found["networks"]:
        shown += [mesh(found), *shards(found)]
    return [*shown, *(f"NOT WELL: {why}" for why in found["unwell"])]


def mesh(found: Values) -> RenderableType:
    """The emulated mesh: its map, what was left out of it, and who hears whom."""
    lines: dict[str, object] = {
        "source": f"{found['source']} ({_FORMATS.get(found['format'], found['format'])})",
        "nodes, links": f"{found['nodes']:,}, {found['links']:,}",
        "left out": counted(found["left_out"]),
        "neighbours": f"{found['neighbours_up']:,} of {found['neighbours']:,} directed links up",
        "Hello": f"every {found['hello_s']:g} s",
        "flags": ", ".join(
            f"{name.upper()} {state}"
            for name, state in found["flags"].items()
            if state in {"on", "off"}
        ),
    }
    if found["silenced"] or found["cut"]:
        lines["injected faults"] = (
            f"silent nodes: {found['silenced']:,}, cut links: {found['cut']:,}; of a drill under"
            " way, or left by one that was killed: `x0 drill --mend` takes them back"
        )
    if found["warnings"]:
        lines["warnings"] = "; ".join(found["warnings"])
    if found["refresh_error"]:
        lines["last refresh"] = found["refresh_error"]
    return pairs("Emulated mesh", lines)


def shards(found: Values) -> list[RenderableType | str]:
    """What each shard knows, what it carries, and those that are down."""
    living = sorted(found["shards"], key=lambda shard: str(shard["name"]))
    routes = [
        (
            shard["name"],
            str(shard["pid"]),
            shard["nodes"] if not shard["left"] else f"{shard['nodes']:,}, {shard['left']:,} left",
            f"{shard['neighbours_up']:,}/{shard['neighbours']:,}",
            shard["database"],
            "current" if shard["routes_current"] else "being computed",
        )
        for shard in living
    ]
    load = [
        (
            shard["name"],
            shard["open_messages"],
            shard["unread_messages"],
            shard["in_transit"],
            f"{shard['largest_lag_s'] * 1000:.0f} ms",
            f"{shard['rss_bytes'] / _MIB:.0f} MiB",
        )
        for shard in living
    ]
    return [
        table("Shards", ("shard", "pid", "nodes", "neighbours", "database", "routes"), routes),
        table("Load", ("shard", "open", "unread", "in transit", "lag, 10 min", "memory"), load),
        *_unread_of_left(living),
    ]


def _unread_of_left(shards: Sequence[Mapping[str, Any]]) -> list[str]:
    """What can be done about messages whose receiver is not in the map any more."""
    count = sum(shard["unread_of_left"] for shard in shards)
    if not count:
        return []
    what = f"{count:,} unread messages are of nodes that left; they can be read and acknowledged"
    return [f"{what} at /v1/mesh/nodes/ID/inbox of the gateway."]


def where(found: Values) -> RenderableType:
    """Addresses of what runs, and how the companions are."""
    gateway = found["gateway_url"]
    lines: dict[str, object] = {}
    if gateway:
        state = found["gateway"]
        lines["gateway"] = gateway if state == "ready" else f"{gateway} ({state})"
        if state.startswith("starting"):
            lines["gateway"] = f"{gateway} (starting)"
        elif state != "ready":
            lines[""] = "It is started again within seconds; its log is in `serve` of the logs."
        lines["its API page"] = f"{gateway}/docs"
        lines["its token"] = found["gateway_token"]
    lines |= {
        name: f"{one['state']}: {one['why']}" if one["why"] else one["state"]
        for name, one in found["companions"].items()
        if name != "gateway" or not gateway
    }
    lines |= {
        "dashboard": found["dashboard_url"] or "none",
        "Ray": f"{found['address']}, namespace {found['namespace']}",
        "state": found["state_dir"],
        "logs": found["logs"] or "those of the Ray cluster",
        "in a shell": 'eval "$(x0 env)" sets GATEWAY, DASHBOARD and others',
        "stop": "x0 down",
    }
    return pairs("Running at", lines)
