"""What one interface received of certain addresses: few of a table's entries, read by their keys.

A peer's entry has what those of its flows had that made room; the others are read beside it. Flows
make room while packets arrive, so the entries are read before and after, until they stand still.
"""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.xdp import counters, layout
from actors.xdp.contract import MOST_ADDRESSES, PeerCount, ReceivedTraffic
from actors.xdp.layout import Event
from actors.xdp.libbpf import maps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from actors.xdp.program import Program

_TRIES: Final = 3  # of peers whose flows make room all the time, a reading may lack some flows
_MAPPED: Final = bytes(10) + b"\xff\xff"  # before an IPv4 address (RFC 4291 2.5.5.2)


def received(program: Program, interface: str, addresses: Sequence[str]) -> ReceivedTraffic:
    """See `XdpContract.received`."""
    if len(addresses) > MOST_ADDRESSES:
        raise _refused(f"{len(addresses):,} addresses are more than {MOST_ADDRESSES:,}")
    keys = {_key(address): address for address in addresses}
    told = _told(program, keys)
    for _ in range(_TRIES):
        before, at = told, time.monotonic()
        flows, gaps = counters.flows(program)
        told = _told(program, keys)
        if told == before:
            break
    live = _live(flows, gaps, keys)
    events = counters.events(program)
    entries = len(counters.table(program, "x0_peers", layout.PEER, layout.PEER_TRAFFIC)[0])
    evicted = events[Event.NEW_PEER] - entries
    peers = tuple(
        PeerCount(address, *_sum(told.get(key, _NOTHING), live.get(key, _NOTHING)))
        for key, address in keys.items()
        if key in told or key in live
    )
    return ReceivedTraffic(
        interface=interface,
        program_id=program.info.id,
        read_at=at,
        unaccounted=max(evicted, 0) + events[Event.UNTABLED],
        others=max(entries - len(told), 0),
        peers=peers,
    )


_Counted = tuple[int, int, tuple[int, ...]]
_NOTHING: Final[_Counted] = (0, 0, (0,) * layout.BUCKETS)


def _told(program: Program, keys: Mapping[bytes, str]) -> dict[bytes, _Counted]:
    """Packets, bytes and gaps of each of these peers that is in the table."""
    size = layout.PEER_TRAFFIC.itemsize * maps.possible_cpus()
    found = {}
    for key in keys:
        content = maps.lookup(program.maps["x0_peers"], key, size)
        if content is not None:
            of_cpus = np.frombuffer(content, layout.PEER_TRAFFIC)
            gaps = tuple(map(int, of_cpus["gaps"].sum(axis=0, dtype=np.int64)))
            found[key] = int(of_cpus["packets"].sum()), int(of_cpus["bytes"].sum()), gaps
    return found


def _live(
    flows: counters.Rows, gaps: NDArray[np.uint32], keys: Mapping[bytes, str]
) -> dict[bytes, _Counted]:
    """Packets, bytes and gaps of the flows of each peer that has any."""
    # Numbers are compared much faster than bytes: most flows are told apart by half an address.
    second = counters.words(flows["flow"]["source"])[:, 1]
    wanted = np.frombuffer(b"".join(keys), "u8").reshape(-1, 2)[:, 1]
    rows = np.flatnonzero(np.isin(second, wanted))
    found: dict[bytes, _Counted] = {}
    for source, packets, size, counted in zip(
        flows["flow"]["source"][rows].tolist(),
        flows["packets"][rows].tolist(),
        flows["bytes"][rows].tolist(),
        gaps[rows].tolist(),
        strict=True,
    ):
        if source in keys:
            found[source] = _sum(found.get(source, _NOTHING), (packets, size, tuple(counted)))
    return found


def _sum(one: _Counted, other: _Counted) -> _Counted:
    gaps = tuple(a + b for a, b in zip(one[2], other[2], strict=True))
    return one[0] + other[0], one[1] + other[1], gaps


def _key(address: str) -> bytes:
    try:
        found = ipaddress.ip_address(address)
    except ValueError as error:
        raise _refused(f"{address!r} is no IP address") from error
    return _MAPPED + found.packed if found.version == 4 else found.packed


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        "what was received cannot be told",
        why,
        "Give addresses such as fe80::1.",
        entry="addresses",
    )
