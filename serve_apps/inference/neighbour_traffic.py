"""What half-links received between two readings of interfaces' counters.

Nothing is told where the counters cannot be compared: of a first reading, when another program
counts or its host has started anew, when packets or entries were not accounted for meanwhile, and
of an address whose count has fallen. Nothing is zero but of a neighbour that has been heard.

Packets from link-local addresses are counted apart: no router forwards them, so they are what
routing daemons send each other, which is periodic, and have come over this very link.

Gaps are between packets of one flow, and only some are measured, in buckets that each reach four
times as far as the one before: their median and 95th percentile are good to a factor of two, and
come from the last `POOLED` readings. For lost packets of a period they are too coarse.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.xdp.layout import BUCKETS, GAP_BOUNDS_S
from serve_apps.inference.neighbour_addresses import is_link_local

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from actors.xdp.contract import PeerCount, ReceivedTraffic
    from serve_apps.inference.incidents import HalfLink

POOLED: Final = 10  # readings
MOST_KEPT: Final = 100_000  # half-links of which gaps are kept
FEWEST_OF_MEDIAN: Final = 8  # gaps
FEWEST_OF_P95: Final = 20
_WIDER: Final = 4.0  # a bucket than the one before
_HALF: Final = 0.5
_P95: Final = 0.95


@dataclass(frozen=True, slots=True)
class HalfTraffic:
    """What one end of a link received of the other; NaN: not known.

    Attributes:
        throughput: bytes/s, Ethernet headers included.
        packet_rate: packets/s.
        control_rate: packets/s from link-local addresses.
        gap_median, gap_p95: between packets of one flow, s.
        elapsed_s: between the readings.
    """

    throughput: float
    packet_rate: float
    control_rate: float
    gap_median: float
    gap_p95: float
    elapsed_s: float


@dataclass(slots=True)
class _Sum:
    """Differences of the counters of one neighbour's addresses."""

    packets: int = 0
    bytes: int = 0
    control: int | None = None
    gaps: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    known: bool = True


@dataclass(frozen=True, slots=True)
class _Reading:
    asked: frozenset[str]
    found: ReceivedTraffic
    peers: Mapping[str, PeerCount]


class NeighbourTraffic:
    """Compares readings. Interfaces are told apart by their hosts and names."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], _Reading] = {}
        self._gaps: dict[HalfLink, deque[NDArray[np.int64]]] = {}

    def step(
        self, host: str, found: ReceivedTraffic, halves: Mapping[str, HalfLink]
    ) -> dict[HalfLink, HalfTraffic]:
        """Compare a reading with the one before.

        Args:
            host: of the interface.
            found: what it received of these addresses.
            halves: the half-link, by the neighbour's address.
        """
        place = host, found.interface
        before = self._last.get(place)
        now = _Reading(frozenset(halves), found, {peer.address: peer for peer in found.peers})
        self._last[place] = now
        if before is None or not _comparable(before.found, found):
            return {}
        elapsed = found.read_at - before.found.read_at
        return {
            half: self._told(half, total, elapsed)
            for half, total in _sums(before, now, halves).items()
            if total.known
        }

    def _told(self, half: HalfLink, total: _Sum, elapsed: float) -> HalfTraffic:
        if len(self._gaps) > MOST_KEPT:
            self._gaps.clear()
        pool = self._gaps.setdefault(half, deque(maxlen=POOLED))
        pool.append(total.gaps)
        gaps = np.sum(pool, axis=0)
        count = int(gaps.sum())
        return HalfTraffic(
            throughput=total.bytes / elapsed,
            packet_rate=total.packets / elapsed,
            control_rate=math.nan if total.control is None else total.control / elapsed,
            gap_median=quantile(gaps, _HALF) if count >= FEWEST_OF_MEDIAN else math.nan,
            gap_p95=quantile(gaps, _P95) if count >= FEWEST_OF_P95 else math.nan,
            elapsed_s=elapsed,
        )


def together(parts: Iterable[Mapping[HalfLink, HalfTraffic]]) -> dict[HalfLink, HalfTraffic]:
    """What several interfaces received; where one link leads to several, each tells a part of it.

    Gaps are then those of the interface that received most.
    """
    found: dict[HalfLink, HalfTraffic] = {}
    for part in parts:
        for half, one in part.items():
            other = found.get(half)
            found[half] = one if other is None else _added(one, other)
    return found


def quantile(gaps: NDArray[np.int64], share: float) -> float:
    """The gap below which this share of them is, s; NaN: there is none, or it is out of range.

    Args:
        gaps: number of gaps in each bucket.
        share: more than 0, less than 1.
    """
    reached = np.cumsum(gaps)
    rank = share * reached[-1]
    at = int(np.searchsorted(reached, rank))
    if not reached[-1] or at >= len(GAP_BOUNDS_S):
        return math.nan
    upper = GAP_BOUNDS_S[at]
    inside = float((rank - (reached[at] - gaps[at])) / gaps[at])
    return float(upper / _WIDER * _WIDER**inside)


def _comparable(before: ReceivedTraffic, now: ReceivedTraffic) -> bool:
    return (
        before.program_id == now.program_id
        and before.unaccounted == now.unaccounted
        and before.read_at < now.read_at
    )


def _sums(before: _Reading, now: _Reading, halves: Mapping[str, HalfLink]) -> dict[HalfLink, _Sum]:
    """The differences by half-link, of neighbours that have been heard."""
    sums: dict[HalfLink, _Sum] = {}
    for address, peer in now.peers.items():
        if address not in halves:
            continue
        total = sums.setdefault(halves[address], _Sum())
        was = before.peers.get(address)
        packets = peer.packets - (was.packets if was else 0)
        size = peer.bytes - (was.bytes if was else 0)
        if address not in before.asked or packets < 0 or size < 0:
            total.known = False
            continue
        total.packets += packets
        total.bytes += size
        if is_link_local(address):
            total.control = (total.control or 0) + packets
        gaps = np.array(peer.gaps, np.int64) - np.array(was.gaps if was else 0, np.int64)
        if (gaps >= 0).all():
            total.gaps += gaps
    return sums


def _added(one: HalfTraffic, other: HalfTraffic) -> HalfTraffic:
    more = max(one, other, key=lambda each: each.packet_rate)
    controls = [each.control_rate for each in (one, other) if not math.isnan(each.control_rate)]
    return HalfTraffic(
        one.throughput + other.throughput,
        one.packet_rate + other.packet_rate,
        sum(controls) if controls else math.nan,
        more.gap_median,
        more.gap_p95,
        min(one.elapsed_s, other.elapsed_s),
    )
