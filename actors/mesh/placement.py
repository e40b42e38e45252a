"""Which shard hosts which node: a versioned map, node → partition → shard.

Nodes are grouped into partitions once and stay there (their custody of messages is kept per
partition); what moves between shards is a partition. Groups are cut along few radio links, so that
few hops of a message cross between shards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import bisection
from actors.mesh.errors import StalePlacement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from actors.topology.model import Topology


@dataclass(frozen=True, slots=True)
class Placement:
    """The map at one version.

    Attributes:
        version: grows with every change.
        partition_of: int16 [n_nodes].
        shard_of: the name of each partition's shard.
    """

    version: int
    partition_of: NDArray[np.int16]
    shard_of: tuple[str, ...]

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards that host anything."""
        return tuple(dict.fromkeys(self.shard_of))

    def partitions_of(self, shard: str) -> list[int]:
        """The partitions that `shard` hosts."""
        return [number for number, owner in enumerate(self.shard_of) if owner == shard]

    def moved(self, partitions: Sequence[int], shard: str) -> Placement:
        """The next version, in which `shard` hosts these partitions."""
        moving = set(partitions)
        owners = tuple(
            shard if number in moving else owner for number, owner in enumerate(self.shard_of)
        )
        return replace(self, version=self.version + 1, shard_of=owners)

    def extended(self, topology: Topology) -> Placement:
        """The next version, with nodes appended to the topology placed beside their neighbours."""
        partition_of = np.full(topology.n_nodes, -1, np.int16)
        partition_of[: len(self.partition_of)] = self.partition_of
        sizes = np.bincount(self.partition_of, minlength=len(self.shard_of))
        for node in range(len(self.partition_of), topology.n_nodes):
            start, stop = topology.out_links.indptr[node : node + 2]
            around = partition_of[topology.link_target[topology.out_links.links[start:stop]]]
            around = around[around >= 0]
            chosen = np.bincount(around).argmax() if len(around) else sizes.argmin()
            partition_of[node] = chosen
            sizes[chosen] += 1
        return replace(self, version=self.version + 1, partition_of=partition_of)

    def check(self, partition: int, asked: int, here: str) -> None:
        """Refuse a request that was sent to `here` by an older map.

        Raises:
            StalePlacement: another shard owns the partition.
        """
        owner = self.shard_of[partition]
        if owner != here:
            raise StalePlacement(partition=partition, owner=owner, held=self.version, asked=asked)


def place(topology: Topology, shards: Sequence[str]) -> Placement:
    """The first placement: one partition for each shard, of equal size, cut along few links."""
    partition_of = bisection.parts(topology.ends, topology.n_nodes, len(shards))
    return Placement(1, partition_of, tuple(shards))
