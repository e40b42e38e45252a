"""What the processes of a load agree on, and the few numbers that they share while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh.contract import MAX_SHARDS
from loadtests.far_pairs import MAX_DESTINATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PORT: Final = 40_002
SERIAL_BITS: Final = 40  # low bits of a serial number; the high bits are the sender's partition


@dataclass(frozen=True, slots=True)
class Load:
    """What to offer to a mesh.

    Attributes:
        rate: messages per second of all partitions; None means as many as the mesh takes.
        seconds: measured time.
        min_hops: least number of hops of the shortest route between the ends of each message.
        seed: seed of the choice of pairs.
        destinations: most nodes that messages go between.
        batch: most messages in one call.
        lanes: most calls under way at once for each partition.
        window: number of messages accepted and not yet received, for each partition, at which
            offering waits; only without a rate.
        workers: number of processes that send and receive; None means one for each shard.
        fail_node: whether a node fails during the measured period.
        victim: id of that node; "" means the busiest node whose loss separates no others.
        tick_s: time between two offers at a rate.
        abandon: whether messages that could not be offered in the time are left out; only at a
            rate.
    """

    rate: float | None
    seconds: float
    min_hops: int = 3
    seed: int = 1
    destinations: int = MAX_DESTINATIONS
    batch: int = 8192
    lanes: int = 4
    window: int = 8 * 8192
    workers: int | None = None
    fail_node: bool = False
    victim: str = ""
    tick_s: float = 0.005
    abandon: bool = False


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a load is offered, the same for all of its workers.

    Attributes:
        load: what to offer.
        workers: number of processes that send and receive.
        pairs: int32 [p, 2] for each partition: source and destination of its messages, in turn.
        shares: fraction of the load that each partition sends.
        start: when messages begin to be offered, s on the monotonic clock.
        measured: when the measured period begins, s.
        end: when the last message is offered and the measured period ends, s.
        directory: where the shared numbers and the accounts are.
    """

    load: Load
    workers: int
    pairs: tuple[NDArray[np.int32], ...]
    shares: tuple[float, ...]
    start: float
    measured: float
    end: float
    directory: Path

    def partitions_of(self, worker: int) -> list[int]:
        """The partitions that a worker sends from and receives for."""
        return [number for number in range(len(self.pairs)) if number % self.workers == worker]


class Counters:
    """Numbers that one process writes and others read at once, in a file that all of them map.

    Args:
        directory: directory of the load. The first process that comes creates the file.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "counters"
        if not path.exists():
            np.zeros((3, MAX_SHARDS, MAX_SHARDS), np.int64).tofile(path)
        shape = (3, MAX_SHARDS, MAX_SHARDS)
        # As a plain array: a memmap does extra work in Python with every element.
        cells = np.memmap(path, np.int64, "r+", shape=shape).view(np.ndarray)
        self.received = cells[0]
        """Messages and notices that came back to a worker, by [worker, partition of origin]."""
        self.accepted = cells[1, 0]
        """Messages that the mesh accepted, by partition."""
        self.refused = cells[2, 0]
        """Messages that it refused, by partition."""

    def under_way(self, partition: int) -> int:
        """Messages accepted in a partition of which nothing has come back yet."""
        return int(self.accepted[partition] - self.received[:, partition].sum())

    @property
    def unresolved(self) -> int:
        """Messages accepted anywhere of which nothing has come back yet."""
        return int(self.accepted.sum() - self.received.sum())


def serials(partition: int, first: int, stop: int) -> NDArray[np.uint64]:
    """Serial numbers of messages `first` to `stop` (exclusive) of a partition."""
    base = np.uint64(partition << SERIAL_BITS)
    return base + np.arange(first, stop, dtype=np.uint64)
