"""The state of a mesh as plain values, for `x0 status --json` and the gateway."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from actors.mesh.formation import neighbours_up
from actors.runtime.flags import Flags

if TYPE_CHECKING:
    from actors.mesh.contract import MeshOptions, MeshStatus


def flags_of(options: MeshOptions) -> Flags:
    """The flags that a mesh was started with."""
    return Flags(failover=options.failover, minimal=options.minimal)


def document(status: MeshStatus, options: MeshOptions) -> dict[str, Any]:
    """The state of a mesh. Times in s, memory in bytes."""
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
        "hello_s": options.shard.host.hello_s,
        "shards": [
            {
                **asdict(shard),
                "partitions": list(shard.partitions),
                "hears": list(shard.hears),
                "digest": f"{shard.digest:016x}",  # 64 bits: too wide for some JSON readers
                "routes_current": shard.routes_version == shard.database_version,
            }
            for shard in status.shards
        ],
        "down": dict(status.down),
        "flags": {row.name: row.state for row in flags_of(options).report()},
    }
