"""Makes the guards of a shard inside its process; the `GuardMaker` of `actors.mesh.guard`."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.identity.byzantine.signed_advertisements import SignedAdvertisements
from actors.identity.byzantine.watch import ByzantineWatch
from actors.identity.node_keys import NodeKeys
from actors.identity.pqc_watch import PqcWatch
from actors.identity.secure_channel import SecureChannel
from actors.identity.signed_beacons import BeaconOptions, SignedBeacons

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.runtime.metrics import Metrics
    from actors.topology.advertisement import Lsa


@dataclass(frozen=True, slots=True)
class IdentityGuards:
    """What a mesh asks its shards to prove.

    Attributes:
        pqc: how beacons are signed and judged, and envelopes sealed; None: neither is.
        liars: number of lying nodes to withstand; 0: advertisements are believed as they come.
        hello_s: interval between Hellos, s.
    """

    pqc: BeaconOptions | None = None
    liars: int = 0
    hello_s: float = 1.0

    def advertisements(
        self, shard: str, directory: Path, metrics: Metrics, held: Callable[[int], Lsa | None]
    ) -> SignedAdvertisements | None:
        """The guard of advertisements."""
        if not self.liars:
            return None
        return SignedAdvertisements(
            NodeKeys(directory),
            held,
            mesh=directory.name,
            faults=self.liars,
            hello_s=self.hello_s,
            watch=ByzantineWatch(shard, metrics),
        )

    def beacons(self, shard: str, directory: Path, metrics: Metrics) -> SignedBeacons | None:
        """The guard of beacons."""
        if self.pqc is None:
            return None
        return SignedBeacons(directory, self.pqc, _watch(shard, metrics))

    def channel(self, shard: str, directory: Path, metrics: Metrics) -> SecureChannel | None:
        """What carries envelopes to other shards."""
        if self.pqc is None:
            return None
        return SecureChannel(shard, directory, _watch(shard, metrics))


@functools.cache
def _watch(shard: str, metrics: Metrics) -> PqcWatch:
    """One for both parts of a shard's protection."""
    return PqcWatch(shard, metrics)
