"""What keeps a mesh from being ready, by its coordinator's status.

Ready: every shard answers and works by the agreed placement, and routes are computed from its
database. Shards whose nodes are joined by links know the same: their databases are equal and hold
an advertisement of each of those nodes. Over no link nothing is told, so of a map in several parts
no shard need know them all.

A link of the map may be too weak to ever come up. If all those between two shards are, the shards
never hear each other; that is waited for as long as a neighbour is held.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.mesh.contract import MeshStatus, ShardStatus
    from actors.mesh.membership import Membership

Pairs = frozenset[tuple[str, str]]  # of shards


class Formation:
    """A mesh on its way to be ready.

    Args:
        hold_s: how long shards whose databases alone are missing are waited for, after the last
            change of which of them hear each other, s.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._heard: Pairs | None = None
        self._since = math.inf  # when shards came to hear others than before, s

    def missing(self, status: MeshStatus, now: float) -> list[str]:
        """What keeps the mesh from being ready, neighbours aside; empty when nothing does."""
        if status.down:
            return [f"{name}: {why}" for name, why in status.down.items()]
        heard = frozenset((shard.name, peer) for shard in status.shards for peer in shard.hears)
        if heard != self._heard:
            self._heard, self._since = heard, now
        by_map = _lacking(status, status.joined)
        if not by_map or now < self._since + self._hold_s:
            return by_map
        return _lacking(status, heard)


def _lacking(status: MeshStatus, joined: Iterable[tuple[str, str]]) -> list[str]:
    """What is missing if these pairs of shards tell each other what they know."""
    wanted = status.placement_version
    if any(shard.version != wanted for shard in status.shards):
        versions = ", ".join(f"{shard.name} {shard.version}" for shard in status.shards)
        return [f"placement {wanted} is not everywhere: {versions}"]
    lacking = _unknown(_groups(status.shards, joined))
    late = [s.name for s in status.shards if s.routes_version != s.database_version]
    if late:
        lacking.append(f"{', '.join(late)}: routes are being computed")
    return lacking


def _unknown(groups: Sequence[Sequence[ShardStatus]]) -> list[str]:
    """What databases lack that should be equal within each group."""
    lacking = []
    nodes = [sum(shard.nodes for shard in group) for group in groups]
    known = [min(shard.database for shard in group) for group in groups]
    if any(some < wanted for some, wanted in zip(known, nodes, strict=True)):
        lacking.append(f"advertisements: {sum(map(min, known, nodes))} of {sum(nodes)}")
    if any(len({shard.digest for shard in group}) > 1 for group in groups):
        lacking.append("the shards' databases differ")
    return lacking


def _groups(
    shards: Sequence[ShardStatus], joined: Iterable[tuple[str, str]]
) -> list[list[ShardStatus]]:
    """The shards, grouped by what joins them directly or over others."""
    group = {shard.name: [shard] for shard in shards}
    for one, other in joined:
        first, second = group.get(one), group.get(other)
        if first is None or second is None or first is second:
            continue
        first += second
        group.update((shard.name, first) for shard in second)
    return list({id(some): some for some in group.values()}.values())


def joined(membership: Membership) -> Pairs:
    """The pairs of shards that links of the map join."""
    placement = membership.placement
    owner = placement.partition_of[membership.topology.ends]
    across = np.unique(owner[owner[:, 0] != owner[:, 1]], axis=0)
    pairs = ((placement.shard_of[one], placement.shard_of[other]) for one, other in across.tolist())
    return frozenset((one, other) for one, other in pairs if one != other)


def neighbours_up(status: MeshStatus) -> tuple[int, int]:
    """Directed links that are up, and all."""
    up = sum(shard.neighbours_up for shard in status.shards)
    return up, sum(shard.neighbours for shard in status.shards)
