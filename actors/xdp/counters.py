"""Reads what the program counted: totals exactly, and of its tables those that sent most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.xdp import layout
from actors.xdp.contract import FlowCount, PeerCount, TableChurn, Tally, XdpCounters
from actors.xdp.layout import Action, Event, Sample
from actors.xdp.libbpf import introspection, maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from actors.xdp.program import Program

TOP: Final = 20  # peers, and flows
_BATCH_BYTES: Final = 16 << 20  # of values, in one call
_KEY_WORDS: Final = layout.FLOW.itemsize // 8
_PACKETS_WORD: Final = layout.FLOW_TRAFFIC.fields["packets"][1] // 8  # type: ignore[index]
Rows = Any  # a structured array of numpy, whose fields mypy does not know


def totals(program: Program) -> dict[str, Tally]:
    """Packets and bytes by name of the action, those of all CPUs together."""
    return _totals(_counts(program))


def events(program: Program) -> dict[Event, int]:
    """How often each event has happened, on all CPUs together."""
    return _events(_counts(program))


def counters(program: Program, interface: str, top: int = TOP) -> XdpCounters:
    """All that is counted on one interface, and the `top` peers and flows of most bytes."""
    counted = _counts(program)
    happened = _events(counted)
    peer_keys, peers = table(program, "x0_peers", layout.PEER, layout.PEER_TRAFFIC)
    found, gaps = flows(program)
    churn = TableChurn(
        peers=len(peer_keys),
        flows=len(found),
        new_peers=happened[Event.NEW_PEER],
        new_flows=happened[Event.NEW_FLOW],
        untabled=happened[Event.UNTABLED],
        lost_samples=happened[Event.LOST_SAMPLE],
    )
    return XdpCounters(
        interface,
        _totals(counted),
        churn,
        _top_peers(peer_keys, peers, found, gaps, top),
        _top_flows(found, gaps, top),
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


def _counts(program: Program) -> Rows:
    """What each CPU counted: values [n_cpus]."""
    size = layout.COUNTS.itemsize * maps.possible_cpus()
    found = maps.lookup(program.maps["x0_counts"], layout.ONLY_KEY, size)
    return np.frombuffer(found or bytes(size), layout.COUNTS)


def _totals(counted: Rows) -> dict[str, Tally]:
    by_action = counted["actions"]
    packets, octets = by_action["packets"].sum(axis=0), by_action["bytes"].sum(axis=0)
    return {
        action.name.lower(): Tally(int(packets[action]), int(octets[action])) for action in Action
    }


def _events(counted: Rows) -> dict[Event, int]:
    happened = counted["events"].sum(axis=0)
    return {event: int(happened[event]) for event in Event}


# -- flows -----------------------------------------------------------------------------------------


def flows(program: Program) -> tuple[Rows, NDArray[np.uint32]]:
    """The flows of all CPUs, each CPU's by themselves: traffic [n], and gaps [n, BUCKETS].

    They are read where the program writes them. An entry that becomes another flow's meanwhile is
    left out: the next reading finds what it had at its peer.
    """
    entries, gaps = _mapped(program, "x0_flows"), _mapped(program, "x0_gaps")
    taken = np.flatnonzero(entries[:, _PACKETS_WORD])
    found, found_gaps, again = entries.take(taken, 0), gaps.take(taken, 0), entries.take(taken, 0)
    same = (found[:, :_KEY_WORDS] == again[:, :_KEY_WORDS]).all(axis=1)
    if not same.all():
        found, found_gaps = found[same], found_gaps[same]
    return found.view(layout.FLOW_TRAFFIC)[:, 0], found_gaps.view("u4")


def _mapped(program: Program, name: str) -> NDArray[np.uint64]:
    """An array's entries, as words [n, itemsize / 8]: numpy copies and compares those faster."""
    fd, size = program.maps[name], layout.SIZES[name][1]
    whole = maps.mapped(fd, introspection.map_info(fd).max_entries * size)
    return np.frombuffer(whole, "u8").reshape(-1, size // 8)


def words(keys: Rows) -> NDArray[np.uint64]:
    """Keys [n, itemsize / 8] as numbers, which are compared much faster than bytes."""
    return np.ascontiguousarray(keys).view("u8").reshape(len(keys), keys.dtype.itemsize // 8)


# -- those that sent most --------------------------------------------------------------------------


class _Groups:
    """Rows of equal keys, together."""

    def __init__(self, keys: NDArray[np.uint64]) -> None:
        """Of keys [n, k]."""
        columns = [one for one in np.ascontiguousarray(keys.T) if len(one) and np.ptp(one)]
        self._order = np.lexsort(columns) if columns else np.arange(len(keys))
        first = np.zeros(len(keys), bool)
        first[:1] = True
        for column in columns:
            ordered = column[self._order]
            first[1:] |= ordered[1:] != ordered[:-1]
        self._starts = np.flatnonzero(first)

    def most(self, values: NDArray[np.uint64], count: int) -> Iterator[NDArray[np.intp]]:
        """Rows of the `count` groups of the largest sums of `values` [n], largest first."""
        if not len(values):
            return
        sums = np.add.reduceat(values[self._order], self._starts).astype(np.int64)
        ends = np.append(self._starts[1:], len(values))
        for group in _most(sums, count):
            yield self._order[self._starts[group] : ends[group]]


def _most(values: NDArray[np.int64], count: int) -> list[int]:
    """Where the `count` largest values are, largest first."""
    if 0 < count < len(values):
        some = np.argpartition(values, len(values) - count)[len(values) - count :]
    else:
        some = np.arange(len(values))[:count]
    order: list[int] = some[np.argsort(-values[some], kind="stable")].tolist()
    return order


def _top_peers(
    keys: Rows, told: Rows, flows: Rows, gaps: NDArray[np.uint32], top: int
) -> tuple[PeerCount, ...]:
    """Peers of most bytes: of the flows that they have, and of those that had to make room."""
    addresses = np.concatenate([words(flows["flow"]["source"]), words(keys)])
    packets, octets = (
        np.concatenate([flows[field], told[field].sum(axis=1)]) for field in ("packets", "bytes")
    )
    found = []
    for rows in _Groups(addresses).most(octets, top):
        own, before = rows[rows < len(flows)], rows[rows >= len(flows)] - len(flows)
        histogram = gaps[own].sum(axis=0) + told["gaps"][before].sum(axis=(0, 1))
        found.append(
            PeerCount(
                str(layout.address(addresses[rows[0]].tobytes())),
                int(packets[rows].sum()),
                int(octets[rows].sum()),
                tuple(map(int, histogram)),
            )
        )
    return tuple(found)


def _top_flows(flows: Rows, gaps: NDArray[np.uint32], top: int) -> tuple[FlowCount, ...]:
    found = []
    for rows in _Groups(words(flows["flow"])).most(flows["bytes"], top):
        key = flows["flow"][rows[0]]
        found.append(
            FlowCount(
                str(layout.address(key["source"].tobytes())),
                str(layout.address(key["destination"].tobytes())),
                int(key["protocol"]),
                int(key["source_port"]),
                int(key["destination_port"]),
                int(flows["packets"][rows].sum()),
                int(flows["bytes"][rows].sum()),
                tuple(map(int, gaps[rows].sum(axis=0))),
            )
        )
    return tuple(found)
