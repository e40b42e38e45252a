"""What the forwarding chains beside this mesh do to each message: the least there is.

Two processes have half of the nodes each, and every hop crosses a socket. A message is a record: a
unique id, the node it is at, the node it goes to, 100 bytes. Each hop looks up the next node by
(node, destination) in the same tables that the mesh's routes follow; at its destination a message
is checked whole and counted once. There is no loss to repair, no journal, no acknowledgement, no
route that changes: what the mesh adds to this is not in here.
"""

from __future__ import annotations

import struct
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from actors.mesh import bisection
from loadtests import payload
from loadtests.bitset import Bitset
from loadtests.load_plan import SERIAL_BITS, Counters, serials

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from loadtests.far_pairs import FarPairs

RECORD: Final = np.dtype(
    [("id", "<u8"), ("at", "<u2"), ("to", "<u2"), ("payload", "<u4", payload.WORDS)]
)
_RECORD: Final = struct.Struct(f"<QHH{payload.SIZE}s")
PEERS: Final = 2  # processes
Transport = Literal["pyzmq", "asyncio"]
Onward = dict[int, dict[int, list[bytes]]]  # records by node and by the next node
_SERIAL: Final = np.uint64((1 << SERIAL_BITS) - 1)
_DRAIN_S: Final = 20.0  # how long a chain waits for messages that have not arrived


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """One run of a chain.

    Attributes:
        transport: what carries every hop.
        merged: whether a process has one socket for all of its nodes; else each node has its own.
        batch: messages made at once, and most in a frame.
        window: most messages of each process under way.
        seconds: measured time, which begins after `warm_s`.
        warm_s: time before.
    """

    transport: Transport
    merged: bool
    batch: int
    window: int
    seconds: float
    warm_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """When a chain makes messages, s on the monotonic clock."""

    begin: float
    end: float

    @classmethod
    def agreed(cls, plan: ChainPlan) -> Span:
        """Tell the parent that this process is ready, and hear when to begin."""
        print("ready", flush=True)  # noqa: T201 - the parent reads it
        begin = float(sys.stdin.readline())
        return cls(begin, begin + plan.warm_s + plan.seconds)

    def over(self, chain: ForwardingChain, now: float) -> bool:
        """Whether all messages have been made and have arrived, or will not arrive."""
        return now > self.end and (chain.counters.unresolved == 0 or now > self.end + _DRAIN_S)


@dataclass(slots=True)
class Hops:
    """The tables of all nodes.

    Attributes:
        pairs: int32 [p, 2], source and destination of the messages, in turn.
        next_hop: int32 [n_nodes, n_nodes], by node and destination; -1 at the destination.
        process: int16 [n_nodes], which of the two processes has each node.
    """

    pairs: NDArray[np.int32]
    next_hop: NDArray[np.int32]
    process: NDArray[np.int16]

    @classmethod
    def of(cls, routes: FarPairs, topology: Topology) -> Hops:
        """The tables that lead from end to end of each pair; processes have nodes as shards do."""
        nodes = topology.n_nodes
        next_hop = np.full((nodes, nodes), -1, np.int32)
        next_hop[:, routes.destinations] = routes.next_hop.T
        return cls(routes.pairs, next_hop, bisection.parts(topology.ends, nodes, PEERS))

    def pairs_of(self, process: int) -> NDArray[np.int32]:
        """The pairs whose source a process has."""
        return self.pairs.compress(self.process[self.pairs[:, 0]] == process, axis=0)


@dataclass(slots=True)
class ForwardingChain:
    """One of the two processes.

    Args:
        number: number of this process.
        hops: the tables.
        counters: numbers shared with the other process.
        window: most messages of this process under way.
        batch: messages made at once.

    Attributes:
        delivered: serial numbers that arrived here, by process of origin.
        corrupt: messages with another payload or at another node than was sent.
    """

    number: int
    hops: Hops
    counters: Counters
    window: int
    batch: int
    sent: int = 0
    corrupt: int = 0
    delivered: list[Bitset] = field(default_factory=lambda: [Bitset() for _ in range(PEERS)])
    _table: list[list[int]] = field(init=False)
    _pairs: list[NDArray[np.uint16]] = field(init=False)  # pairs of each process of origin

    def __post_init__(self) -> None:
        self._table = self.hops.next_hop.tolist()
        self._pairs = [self.hops.pairs_of(peer).astype(np.uint16) for peer in range(PEERS)]

    @property
    def has_room(self) -> bool:
        """Whether another batch may be sent."""
        return self.counters.under_way(self.number) + self.batch <= self.window

    def fresh(self) -> bytes:
        """New messages, at their sources."""
        records = np.empty(self.batch, RECORD)
        first = self.sent
        self.sent += self.batch
        pairs = self._pairs[self.number]
        records["id"] = serials(self.number, first, self.sent)
        records["at"], records["to"] = pairs[np.arange(first, self.sent) % len(pairs)].T
        records["payload"] = payload.write(records["id"].copy())
        self.counters.accepted[self.number] += self.batch
        return records.tobytes()

    def forward(self, frame: bytes) -> bytes:
        """Take in messages at their destination; returns the others, each one hop further."""
        onward: list[bytes] = []
        home: list[bytes] = []
        table, pack, keep = self._table, _RECORD.pack, onward.append
        for serial, at, to, body in _RECORD.iter_unpack(frame):
            if at == to:
                home.append(pack(serial, at, to, body))
            else:
                keep(pack(serial, table[at][to], to, body))
        self._take(home)
        return b"".join(onward)

    def spread(self, frame: bytes) -> Onward:
        """Take in messages at their destination; returns the others by the hop that each makes."""
        onward: Onward = defaultdict(lambda: defaultdict(list))
        home: list[bytes] = []
        table, pack, here = self._table, _RECORD.pack, -1
        for serial, at, to, body in _RECORD.iter_unpack(frame):
            if at == to:
                home.append(pack(serial, at, to, body))
                continue
            if at != here:
                here, row, hops = at, table[at], onward[at]
            following = row[to]
            hops[following].append(pack(serial, following, to, body))
        self._take(home)
        return onward

    def _take(self, home: list[bytes]) -> None:
        if not home:
            return
        records = np.frombuffer(b"".join(home), RECORD)
        words = np.ascontiguousarray(records["payload"])
        serial, wrong = payload.read(words.reshape(-1).view(np.uint8))
        bad = records["id"] != serial
        if wrong is not None:
            bad |= wrong
        number = (serial & _SERIAL).astype(np.int64)
        origin = (serial >> np.uint64(SERIAL_BITS)).astype(np.int64)
        for peer, pairs in enumerate(self._pairs):
            rows = origin == peer
            bad[rows] |= pairs[number[rows] % len(pairs), 1] != records["at"][rows]
            rows &= ~bad
            self.delivered[peer].add(number[rows])
            self.counters.received[self.number, peer] += int(np.count_nonzero(rows))
        self.corrupt += int(bad.sum())
