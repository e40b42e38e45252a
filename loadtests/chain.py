"""What the forwarding chains beside this mesh do to each message: the least there is.

Two processes pass messages to each other, one socket crossing a hop. A message is a record: a
unique id, the node it is at, the node it goes to, 100 bytes. Each hop looks up the next node by
(node, destination) in the same tables that the mesh's routes follow; at its destination a message
is checked whole and counted once. There is no loss to repair, no journal, no acknowledgement, no
route that changes: what the mesh adds to this is not in here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from loadtests import payload
from loadtests.load_plan import SERIAL_BITS, Counters, serials
from loadtests.marks import Marks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.far_pairs import Routes

RECORD: Final = np.dtype(
    [("id", "<u8"), ("at", "<u2"), ("to", "<u2"), ("payload", "<u4", payload.WORDS)]
)
_RECORD: Final = struct.Struct(f"<QHH{payload.SIZE}s")
PEERS: Final = 2  # processes
_SERIAL: Final = np.uint64((1 << SERIAL_BITS) - 1)


@dataclass(slots=True)
class Hops:
    """The tables of all nodes.

    Attributes:
        pairs: int32 [p, 2], who sends to whom.
        next_hop: int32 [n_nodes, n_nodes], by node and destination; -1 at the destination.
    """

    pairs: NDArray[np.int32]
    next_hop: NDArray[np.int32]

    @classmethod
    def of(cls, routes: Routes) -> Hops:
        """The tables that lead from one end of each pair to the other."""
        nodes = routes.next_hop.shape[1]
        next_hop = np.full((nodes, nodes), -1, np.int32)
        next_hop[:, routes.destinations] = routes.next_hop.T
        return cls(routes.pairs, next_hop)

    def save(self, path: Path) -> None:
        """Write to `path`."""
        np.savez(path, pairs=self.pairs, next_hop=self.next_hop)

    @classmethod
    def load(cls, path: Path) -> Hops:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as saved:
            return cls(saved["pairs"], saved["next_hop"])


@dataclass(slots=True)
class Chain:
    """One of the two processes.

    Args:
        number: of this process.
        hops: the tables.
        counters: shared with the other.
        window: messages of this process under way at once.
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
    delivered: list[Marks] = field(default_factory=lambda: [Marks() for _ in range(PEERS)])
    _table: list[list[int]] = field(init=False)
    _ends: NDArray[np.uint16] = field(init=False)

    def __post_init__(self) -> None:
        self._table = self.hops.next_hop.tolist()
        pairs = self.hops.pairs
        self._ends = pairs[np.arange(len(pairs) + self.batch) % len(pairs)].astype(np.uint16)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be sent."""
        return self.counters.under_way(self.number) + self.batch <= self.window

    def fresh(self) -> bytes:
        """New messages, after their first hop's look-up."""
        records = np.empty(self.batch, RECORD)
        first = self.sent
        self.sent += self.batch
        records["id"] = serials(self.number, first, self.sent)
        begin = first % len(self.hops.pairs)
        records["at"], records["to"] = self._ends[begin : begin + self.batch].T
        records["payload"] = payload.write(records["id"].copy())
        self.counters.accepted[self.number] += self.batch
        return self.forward(records.tobytes())

    def forward(self, frame: bytes) -> bytes:
        """Take in what is at its destination; the rest, each message one hop on."""
        onward: list[bytes] = []
        home: list[bytes] = []
        table, pack, keep = self._table, _RECORD.pack, onward.append
        for serial, at, to, body in _RECORD.iter_unpack(frame):
            if at == to:
                home.append(pack(serial, at, to, body))
            else:
                keep(pack(serial, table[at][to], to, body))
        if home:
            self._take(np.frombuffer(b"".join(home), RECORD))
        return b"".join(onward)

    def _take(self, records: NDArray[np.void]) -> None:
        words = np.ascontiguousarray(records["payload"])
        serial, wrong = payload.read(words.reshape(-1).view(np.uint8))
        bad = records["id"] != serial
        if wrong is not None:
            bad |= wrong
        number = (serial & _SERIAL).astype(np.int64)
        origin = (serial >> np.uint64(SERIAL_BITS)).astype(np.int64)
        bad |= self._ends[number % len(self.hops.pairs), 1] != records["at"]
        self.corrupt += int(bad.sum())
        for peer in range(PEERS):
            rows = (origin == peer) & ~bad
            self.delivered[peer].add(number[rows])
            self.counters.received[self.number, peer] += int(np.count_nonzero(rows))
