"""A mesh in words and numbers: what `x0 up` and `x0 status` show, as values and as tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from actors.mesh.readiness import neighbours_up
from jobs.launch.gateway import READY
from jobs.terminal.reporting import pairs, table
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from actors.mesh.coordinator import MeshStatus
    from jobs.launch.session import Session

_MIB = 2**20
PAYMENTS_OFF = "off: no wallet was set at the start (X0TTA6BL4_TRON_WALLET, X0TTA6BL4_TON_WALLET)"
FORMATS = {"radio": "generated: a made-up radio mesh"}


def values(session: Session, status: MeshStatus, answering: str) -> dict[str, object]:
    """All that is known, for `--json`. Times in s, memory in bytes.

    Args:
        session: of the mesh.
        status: of the mesh.
        answering: as of `gateway.state`.
    """
    up, links = neighbours_up(status)
    return {
        "healthy": not status.down,
        "source": status.source,
        "format": status.format,
        "nodes": status.nodes,
        "links": status.links,
        "left_out": dict(status.left_out),
        "warnings": list(status.warnings),
        "refresh_error": status.last_refresh_error,
        "neighbours_up": up,
        "neighbours": links,
        "silenced": len(status.faults.silent),
        "cut": len(status.faults.cut),
        "placement_version": status.placement_version,
        "hello_s": session.options.shard.host.hello_s,
        "shards": [
            {
                **asdict(shard),
                "digest": f"{shard.digest:016x}",  # wider than JSON's numbers are everywhere
                "routes_current": shard.routes_version == shard.database_version,
            }
            for shard in status.shards
        ],
        "down": dict(status.down),
        "flags": {row.name: row.state for row in session.flags.report()},
        "payments": list(session.watchers),
        "gateway": answering if session.gateway_url else "none",
        **addresses(session),
    }


def addresses(session: Session) -> dict[str, object]:
    """Where the mesh is."""
    return {
        "address": session.address,
        "namespace": session.settings.namespace,
        "dashboard_url": session.dashboard_url,
        "gateway_url": session.gateway_url,
        "gateway_token": str(_token(session)) if session.gateway_url else "",
        "own_cluster": session.cluster is not None,
        "state_dir": str(session.settings.state_dir),
        "logs": str(session.logs or ""),
    }


def mesh(session: Session, status: MeshStatus) -> RenderableType:
    """The map, what was left out of it, and how many neighbours hear each other."""
    up, links = neighbours_up(status)
    left_out = ", ".join(f"{count:,} {why}" for why, count in status.left_out.items() if count)
    lines: dict[str, object] = {
        "source": f"{status.source} ({FORMATS.get(status.format, status.format)})",
        "nodes, links": f"{status.nodes:,}, {status.links:,}",
        "left out": left_out or "nothing",
        "neighbours": f"{up:,} of {links:,} directed links up",
        "Hello": f"every {session.options.shard.host.hello_s:g} s",
    }
    if status.faults.silent or status.faults.cut:
        silent, cut = len(status.faults.silent), len(status.faults.cut)
        lines["injected faults"] = (
            f"silent nodes: {silent:,}, cut links: {cut:,}; of a drill under way,"
            " or left by one that was killed: `x0 drill --mend` takes them back"
        )
    if status.warnings:
        lines["warnings"] = "; ".join(status.warnings)
    if status.last_refresh_error:
        lines["last refresh"] = status.last_refresh_error
    return pairs("Mesh", lines)


def shards(status: MeshStatus) -> RenderableType:
    """One row a shard, those that are down included."""
    columns = (
        *("shard", "pid", "nodes", "neighbours", "database", "routes"),
        *("open", "unread", "in transit", "largest lag", "memory"),
    )
    rows: list[tuple[object, ...]] = [
        (
            shard.name,
            str(shard.pid),
            shard.nodes,
            f"{shard.neighbours_up:,}/{shard.neighbours:,}",
            shard.database,
            "current" if shard.routes_version == shard.database_version else "being computed",
            shard.open_messages,
            shard.unread_messages,
            shard.in_transit,
            f"{shard.largest_lag_s * 1000:.0f} ms",
            f"{shard.rss_bytes / _MIB:.0f} MiB",
        )
        for shard in status.shards
    ]
    rows += [
        (name, f"DOWN ({why})", *([""] * (len(columns) - 2))) for name, why in status.down.items()
    ]
    rows.sort(key=lambda row: str(row[0]))
    return table("Shards", columns, rows)


def flags(session: Session) -> RenderableType:
    """One row a flag."""
    rows = [(row.variable, row.state, row.meaning) for row in session.flags.report()]
    return table("Flags", ("variable", "state", "meaning"), rows)


def where(session: Session, answering: str) -> RenderableType:
    """Addresses of what runs, and whether the gateway answers (see `gateway.state`)."""
    gateway = f"{session.gateway_url}/docs" if session.gateway_url else "none"
    if session.gateway_url and answering != READY:
        gateway += f": {answering}; it is started again within seconds, see `serve` in the logs"
    lines = {
        "Ray": f"{session.address}, namespace {session.settings.namespace}",
        "dashboard": session.dashboard_url or "none",
        "gateway": gateway,
        "its token": _token(session) if session.gateway_url else "none",
        "payments": ", ".join(session.watchers) or PAYMENTS_OFF,
        "state": session.settings.state_dir,
        "logs": session.logs or "those of the Ray cluster",
        "stop": "x0 down",
    }
    return pairs("Running at", lines)


def _token(session: Session) -> Path:
    return token_path(session.settings.state_dir)
