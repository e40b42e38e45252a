"""What the processes of a load agree on, and the few numbers that they share while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.ids import MAX_SHARDS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PORT: Final = 40_002
SERIAL_BITS: Final = 40  # of a serial number, below the number of the partition it was sent from


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One load, the same for all of its workers.

    Attributes:
        workers: processes that send and receive.
        pairs: int32 [p, 2] for each partition: who sends to whom from there, taken in turn.
        shares: fraction of the load that each partition sends.
        rate: messages per second in all; None is as many as the mesh takes.
        start: when messages begin to be offered, s on the monotonic clock.
        measured: when the measured period begins, s.
        end: when the last is offered, s; also the end of the measured period.
        batch: most messages in one call.
        lanes: calls under way at once for each partition.
        window: messages accepted and not yet received, for each partition, at which offering
            waits; only without a rate.
        tick_s: between two offers at a rate.
        abandon: whether what could not be offered by the end never is.
        min_hops: messages that made fewer are counted.
        directory: for the shared numbers and for the accounts.
    """

    workers: int
    pairs: tuple[NDArray[np.int32], ...]
    shares: tuple[float, ...]
    rate: float | None
    start: float
    measured: float
    end: float
    batch: int
    lanes: int
    window: int
    tick_s: float
    abandon: bool
    min_hops: int
    directory: Path

    def partitions_of(self, worker: int) -> list[int]:
        """The partitions that a worker sends from and receives for."""
        return [number for number in range(len(self.pairs)) if number % self.workers == worker]


class Counters:
    """Numbers that one process writes and others read at once, in a file that all of them map.

    Args:
        directory: of the load. The first to come makes the file.
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
