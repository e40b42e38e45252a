"""The state of a mesh as plain values, for `x0 status --json` and the gateway."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from actors.mesh.formation import neighbours_up
from actors.runtime.flags import Flags

UNHEARD_SHARE: Final = 0.1  # of all nodes; a real map has a few links too weak to come up

if TYPE_CHECKING:
    from actors.mesh.contract import MeshOptions, MeshStatus


def flags_of(options: MeshOptions) -> Flags:
    """The flags that a mesh was started with."""
    return Flags(
        byzantine=options.shard.host.liars > 0,
        failover=options.failover,
        pqc_beacons=options.pqc_beacons,
        minimal=options.minimal,
    )


def faults(status: MeshStatus) -> list[str]:
    """Why a mesh is not well: shards that do not answer, too many nodes that nobody hears."""
    found = [f"{name} is down: {why}" for name, why in status.down.items()]
    unheard = sum(shard.unheard for shard in status.shards)
    nodes = sum(shard.nodes for shard in status.shards)
    if unheard > UNHEARD_SHARE * nodes:
        found.append(f"no neighbour hears {unheard:,} of {nodes:,} nodes")
    return found


def document(status: MeshStatus, options: MeshOptions) -> dict[str, Any]:
    """The state of a mesh. Times in s, memory in bytes."""
    up, links = neighbours_up(status)
    unwell = faults(status)
    return {
        "healthy": not unwell,
        "unwell": unwell,
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
