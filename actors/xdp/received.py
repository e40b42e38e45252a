"""What one interface received of certain addresses: few of a table's entries, read by their keys.

A peer's entry lacks what its flows have not told it yet, which is read from the flows. Both move
while packets arrive, so the entries are read before and after, until they have stood still.
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

    from actors.xdp.program import Program

_TRIES: Final = 3  # of peers that send all the time, a reading is a few packets of each flow short
_MAPPED: Final = bytes(10) + b"\xff\xff"  # before an IPv4 address (RFC 4291 2.5.5.2)


def received(program: Program, interface: str, addresses: Sequence[str]) -> ReceivedTraffic:
    """See `XdpContract.received`."""
    if len(addresses) > MOST_ADDRESSES:
        raise _refused(f"{len(addresses):,} addresses are more than {MOST_ADDRESSES:,}")
    keys = {_key(address): address for address in addresses}
    told = _told(program, keys)
    for _ in range(_TRIES):
        before, at = told, time.monotonic()
        flow_keys, flows = counters.table(program, "x0_flows", layout.FLOW, layout.FLOW_TRAFFIC)
        told = _told(program, keys)
        if told == before:
            break
    untold = _untold(flow_keys["source"], flows, keys)
    events = counters.events(program)
    entries = len(counters.table(program, "x0_peers", layout.PEER, layout.PEER_TRAFFIC)[0])
    evicted = events[Event.NEW_PEER] - entries + events[Event.NEW_FLOW] - len(flow_keys)
    peers = tuple(
        PeerCount(keys[key], packets + untold[key][0], size + untold[key][1], gaps)
        for key, (packets, size, gaps) in told.items()
    )
    return ReceivedTraffic(
        interface=interface,
        program_id=program.info.id,
        read_at=at,
        unaccounted=max(evicted, 0) + events[Event.UNTABLED],
        others=max(entries - len(peers), 0),
        peers=peers,
    )


_Counted = tuple[int, int, tuple[int, ...]]


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


def _untold(
    sources: counters.Rows, flows: counters.Rows, keys: Mapping[bytes, str]
) -> dict[bytes, tuple[int, int]]:
    """Packets and bytes that the flows of each peer have not told it."""
    found = dict.fromkeys(keys, (0, 0))
    # Numbers are compared much faster than bytes: most flows are told apart by half an address.
    second = np.ascontiguousarray(sources).view("u8").reshape(-1, 2)[:, 1]
    wanted = np.frombuffer(b"".join(keys), "u8").reshape(-1, 2)[:, 1]
    rows = np.flatnonzero(np.isin(second, wanted))
    packets = flows["untold_packets"][rows].sum(axis=1, dtype=np.int64).tolist()
    size = flows["untold_bytes"][rows].sum(axis=1, dtype=np.int64).tolist()
    for source, more, longer in zip(sources[rows].tolist(), packets, size, strict=True):
        if source in found:
            told = found[source]
            found[source] = told[0] + more, told[1] + longer
    return found


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
