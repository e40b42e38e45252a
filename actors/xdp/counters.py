"""Reads what the program counted: totals exactly, and of its tables those that sent most."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.xdp import layout
from actors.xdp.contract import FlowCount, PeerCount, TableChurn, Tally, XdpCounters
from actors.xdp.layout import Action, Event, Sample
from actors.xdp.libbpf import introspection, maps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.xdp.program import Program

TOP: Final = 20  # peers, and flows
_BATCH_BYTES: Final = 16 << 20  # of values, in one call
Rows = Any  # a structured array of numpy, whose fields mypy does not know


def totals(program: Program) -> dict[str, Tally]:
    """Packets and bytes by name of the action, those of all CPUs together."""
    counted = _array(program, "x0_totals", len(Action), layout.TALLY)
    return {
        action.name.lower(): Tally(
            int(counted["packets"][action].sum()), int(counted["bytes"][action].sum())
        )
        for action in Action
    }


def events(program: Program) -> dict[Event, int]:
    """How often each event has happened, on all CPUs together."""
    counted = _array(program, "x0_events", len(Event), np.dtype("u8")).sum(axis=1)
    return {event: int(counted[event]) for event in Event}


def counters(program: Program, interface: str, top: int = TOP) -> XdpCounters:
    """All that is counted on one interface, and the `top` peers and flows of most bytes."""
    peer_keys, peers = table(program, "x0_peers", layout.PEER, layout.PEER_TRAFFIC)
    flow_keys, flows = table(program, "x0_flows", layout.FLOW, layout.FLOW_TRAFFIC)
    happened = events(program)
    churn = TableChurn(
        peers=len(peer_keys),
        flows=len(flow_keys),
        new_peers=happened[Event.NEW_PEER],
        new_flows=happened[Event.NEW_FLOW],
        untabled=happened[Event.UNTABLED],
        lost_samples=happened[Event.LOST_SAMPLE],
    )
    return XdpCounters(
        interface,
        totals(program),
        churn,
        _top_peers(peer_keys, peers, flow_keys, flows, top),
        _top_flows(flow_keys, flows, top),
    )


def samples(program: Program) -> list[Sample]:
    """Take the samples that have been written; `Rules` say how many packets are sampled."""
    return [Sample.unpack(one) for one in maps.consume(program.maps["x0_samples"])]


def table(
    program: Program, name: str, key: np.dtype[np.void], value: np.dtype[np.void]
) -> tuple[Rows, Rows]:
    """A per-CPU table: keys [n], and values [n, n_cpus]."""
    cpus = maps.possible_cpus()
    size = value.itemsize * cpus
    entries = introspection.map_info(program.maps[name]).max_entries
    count = min(entries, max(_BATCH_BYTES // size, 1))
    keys, values = maps.lookup_batch(program.maps[name], key.itemsize, size, count)
    return np.frombuffer(keys, key), np.frombuffer(values, value).reshape(-1, cpus)


def _array(program: Program, name: str, entries: int, value: np.dtype[Any]) -> Rows:
    """A per-CPU array: values [entries, n_cpus]."""
    cpus = maps.possible_cpus()
    size = value.itemsize * cpus
    parts = [
        maps.lookup(program.maps[name], at.to_bytes(4, sys.byteorder), size)
        for at in range(entries)
    ]
    return np.frombuffer(b"".join(filter(None, parts)), value).reshape(entries, cpus)


def _top_peers(
    keys: Rows, peers: Rows, flow_keys: Rows, flows: Rows, top: int
) -> tuple[PeerCount, ...]:
    """Peers of most bytes, with what their flows have not told them yet.

    That is less than sixteen packets a flow, so twice as many as wanted are looked at.
    """
    told = peers["bytes"].sum(axis=1).astype(np.int64)
    halves = np.ascontiguousarray(flow_keys["source"]).view("u8").reshape(-1, 2)
    first, second = np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])
    found = []
    for row in _most(told, 2 * top):
        address = keys["address"][row].tobytes()
        one, other = np.frombuffer(address, "u8")
        at = np.flatnonzero(second == other)  # numbers are compared much faster than bytes
        flows_of = flows[at[first[at] == one]]
        found.append(
            PeerCount(
                str(layout.address(address)),
                int(peers["packets"][row].sum()) + int(flows_of["untold_packets"].sum()),
                int(told[row]) + int(flows_of["untold_bytes"].sum()),
                tuple(map(int, peers["gaps"][row].sum(axis=0))),
            )
        )
    return tuple(sorted(found, key=lambda peer: -peer.bytes)[:top])


def _most(values: NDArray[np.int64], count: int) -> list[int]:
    """Where the `count` largest values are, largest first."""
    if 0 < count < len(values):
        some = np.argpartition(values, len(values) - count)[len(values) - count :]
    else:
        some = np.arange(len(values))[:count]
    order: list[int] = some[np.argsort(-values[some], kind="stable")].tolist()
    return order


def _top_flows(keys: Rows, flows: Rows, top: int) -> tuple[FlowCount, ...]:
    total = flows["bytes"].sum(axis=1).astype(np.int64)
    found = []
    for row in _most(total, top):
        key = keys[row]
        found.append(
            FlowCount(
                str(layout.address(key["source"].tobytes())),
                str(layout.address(key["destination"].tobytes())),
                int(key["protocol"]),
                int(key["source_port"]),
                int(key["destination_port"]),
                int(flows["packets"][row].sum()),
                int(total[row]),
                tuple(map(int, flows["gaps"][row].sum(axis=0))),
            )
        )
    return tuple(found)
