"""The account of a load: what became of every message that the mesh accepted.

By the mesh's own ids: accepted, minus those that were delivered, minus those that came back as
unreachable, are lost. By the serial numbers in the payloads: one that arrived twice is a
duplicate, whatever its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests import bitset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Account:
    """Messages of a whole load.

    Attributes:
        accepted: messages that the mesh accepted.
        delivered: accepted messages that arrived at least once.
        returned: accepted messages that came back to their sender as unreachable and did not
            arrive.
        lost: accepted messages that neither arrived nor came back.
        duplicates: deliveries beyond the first of a serial number, and messages both delivered and
            returned.
        stray: ids delivered or returned that were never accepted.
    """

    accepted: int
    delivered: int
    returned: int
    lost: int
    duplicates: int
    stray: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """Every message that was received.

    Attributes:
        received_at: float64 [n], time of arrival, s on the monotonic clock.
        latency: float32 [n], s from the time when the message was due.
    """

    received_at: NDArray[np.float64]
    latency: NDArray[np.float32]

    @property
    def sent_at(self) -> NDArray[np.float64]:
        """When each message was due, s."""
        return self.received_at - self.latency


def settle(columns: Columns, received: int) -> Account:
    """Balance the accounts of all workers.

    Args:
        columns: bit sets `accepted-P`, `delivered-S-P`, `returned-S-P`, `serials-S-P` of sequence
            numbers, by partition of origin P as seen by sink S.
        received: messages whose serial number could be read, repetitions included.
    """
    accepted = delivered = returned = lost = stray = both = 0
    for partition in _partitions(columns):
        given = _bits(columns, "accepted", partition)
        here = _bits(columns, "delivered", partition)
        back = _bits(columns, "returned", partition)
        accepted += bitset.size(given)
        delivered += bitset.size(here)
        returned += bitset.size(bitset.without(back, here))
        both += bitset.size(back) - bitset.size(bitset.without(back, here))
        heard = bitset.union([here, back])
        lost += bitset.size(bitset.without(given, heard))
        stray += bitset.size(bitset.without(heard, given))
    distinct = sum(
        bitset.size(_bits(columns, "serials", partition)) for partition in _partitions(columns)
    )
    return Account(accepted, delivered, returned, lost, received - distinct + both, stray)


def load(paths: Iterable[Path]) -> dict[str, NDArray[np.generic]]:
    """The columns that workers wrote."""
    columns: dict[str, NDArray[np.generic]] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as saved:
            columns |= {name: saved[name] for name in saved.files}
    return columns


def latencies(columns: Columns) -> Latencies:
    """Every message's latency, from columns `latency-S`, `count-S`, `at-S`."""
    sinks = [name.removeprefix("at-") for name in columns if name.startswith("at-")]
    at = [np.repeat(columns[f"at-{s}"], columns[f"count-{s}"].astype(np.int64)) for s in sinks]
    late = [columns[f"latency-{s}"] for s in sinks]
    return Latencies(
        np.concatenate([*at, np.empty(0)]).astype(np.float64),
        np.concatenate([*late, np.empty(0, np.float32)]).astype(np.float32),
    )


def _partitions(columns: Columns) -> Sequence[int]:
    prefix = "accepted-"
    return sorted(int(name.removeprefix(prefix)) for name in columns if name.startswith(prefix))


def _bits(columns: Columns, kind: str, partition: int) -> NDArray[np.uint8]:
    if kind == "accepted":
        return columns[f"accepted-{partition}"].astype(np.uint8)
    names = [n for n in columns if n.startswith(f"{kind}-") and n.endswith(f"-{partition}")]
    return bitset.union([columns[name].astype(np.uint8) for name in names])
