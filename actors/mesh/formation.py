"""What keeps a mesh from being ready, by its coordinator's status.

Ready: every shard answers and works by the agreed placement, all databases are equal and hold an
advertisement of every node, and routes are computed from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.mesh.contract import MeshStatus


def missing(status: MeshStatus) -> list[str]:
    """What keeps the mesh from being ready, neighbours aside; empty when nothing does."""
    if status.down:
        return [f"{name}: {why}" for name, why in status.down.items()]
    lacking = []
    wanted = status.placement_version
    if any(shard.version != wanted for shard in status.shards):
        versions = ", ".join(f"{shard.name} {shard.version}" for shard in status.shards)
        lacking.append(f"placement {wanted} is not everywhere: {versions}")
    known = min(shard.database for shard in status.shards)
    if known < status.nodes:
        lacking.append(f"advertisements: {known} of {status.nodes}")
    if len({shard.digest for shard in status.shards}) > 1:
        lacking.append("the shards' databases differ")
    late = [s.name for s in status.shards if s.routes_version != s.database_version]
    if late:
        lacking.append(f"{', '.join(late)}: routes are being computed")
    return lacking


def neighbours_up(status: MeshStatus) -> tuple[int, int]:
    """Directed links that are up, and all."""
    up = sum(shard.neighbours_up for shard in status.shards)
    return up, sum(shard.neighbours for shard in status.shards)
