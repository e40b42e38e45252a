"""What respondd's nodes have answered, over many polls: the part of the source without sockets.

A poll goes as yanic's does: all are asked at once, and after half of its time those that are known
and have not answered are asked again, each by itself. Answers are taken whenever they come: one
that is late for its poll counts in the next reading.

Invariants:
- A datagram costs its own node at most. What cannot be used is counted under its reason; of a node
  that is known, its last good answer stays.
- While a node answers, its id belongs to the address that it had first: an answer from elsewhere
  under its id changes nothing. (Nothing more can be proven: answers are not signed.)
- What is stored is bounded, whatever arrives: nodes, waiting datagrams, answers of one address.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.observe.sources.respondd_datagram import MAX_DATAGRAM, UnreadableAnswer, decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.observe.sources.respondd_datagram import Answer

MAX_NODES: Final = 20_000
MAX_WAITING: Final = 32 * 2**20  # bytes of datagrams that have not been read yet
MAX_ANSWERS: Final = 4096  # of one address in one poll; one host may speak for many access points
MAX_STRANGERS: Final = 50  # addresses without a node whose faulty answers are named one by one
PATIENCE: Final = 3  # polls without an answer after which a node's last words no longer hold
LATELY_S: Final = 600.0  # a node that was heard within this time is asked by itself

LATE: Final = "late answers"
DUPLICATE: Final = "duplicate answers"
ELSEWHERE: Final = "answers under the id of a node at another address"
UNASKED: Final = "answers from addresses that were not asked"
TOO_MANY: Final = "answers beyond the limits"


class Peer(NamedTuple):
    """A UDP address that asks or answers.

    Attributes:
        host: IPv4 or IPv6 address.
        port: UDP port.
        scope: number of the interface of a link-local address, else 0.
    """

    host: str
    port: int
    scope: int = 0


@dataclass(slots=True)
class Respondent:
    """A node that has answered.

    Attributes:
        node_id: its id.
        peer: where it answers.
        sections: its newest answer.
        at: time of that answer, Unix time, s.
        poll: number of the poll in which it came.
    """

    node_id: str
    peer: Peer
    sections: Answer
    at: float
    poll: int


class RespondentBook:
    """Nodes by id, and what came of the present poll.

    Args:
        ports: ports that are asked, from which answers may come.
        anybody: whether a group is asked as well, so that any address may answer.

    Attributes:
        counts: number of answers of this poll that were not used as they came, by reason.
        faults: the unreadable answer of each address that gave no other in this poll.
    """

    def __init__(self, ports: Iterable[int], *, anybody: bool) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: dict[Peer, UnreadableAnswer] = {}
        self._hosts: tuple[Peer, ...] = ()
        self._ports = frozenset(ports)
        self._anybody = anybody
        self._nodes: dict[str, Respondent] = {}
        self._waiting: deque[tuple[Peer, bytes, float]] = deque()
        self._waiting_bytes = 0
        self._answers: Counter[Peer] = Counter()  # taken in this poll
        self._answered: set[Peer] = set()  # readably, in this poll
        self._poll = 0
        self._late = 0  # answers since the end of the last poll
        self._open = False
        self._asked: frozenset[Peer] = frozenset()

    def begin(self, now: float, hosts: Iterable[Peer]) -> None:
        """Begin a poll; forget whom nobody has heard lately.

        Args:
            now: Unix time, s.
            hosts: addresses of single nodes that are asked in this poll.
        """
        self.counts.clear()
        if self._late:
            self.counts[LATE] = self._late
        self._late = 0
        self.read_waiting()  # late answers, still of the poll before
        self._hosts = tuple(dict.fromkeys(hosts))
        self._nodes = {n: one for n, one in self._nodes.items() if now - one.at <= LATELY_S}
        self._asked = frozenset((*self._hosts, *(one.peer for one in self._nodes.values())))
        self._answers.clear()
        self._answered.clear()
        self.faults.clear()
        self._poll += 1
        self._open = True

    def end(self) -> None:
        """End the poll: what arrives from here on is late."""
        self._open = False

    def offer(self, peer: Peer, datagram: bytes, at: float) -> None:
        """Take what a socket has received. It is only stored: a burst must not fill the socket."""
        if peer.port not in self._ports or not (self._anybody or peer in self._asked):
            self.counts[UNASKED] += 1
            return
        full = self._waiting_bytes + len(datagram) > MAX_WAITING
        if full or self._answers[peer] >= MAX_ANSWERS or len(self._answers) >= 2 * MAX_NODES:
            self.counts[TOO_MANY] += 1
            return
        if not self._open:
            self._late += 1
        self._answers[peer] += 1
        kept = datagram[: MAX_DATAGRAM + 1]
        self._waiting_bytes += len(kept)
        self._waiting.append((peer, kept, at))

    def read_waiting(self, most: int | None = None) -> bool:
        """Read what has been offered, at most so many answers; whether some still wait.

        It takes about 0.1 ms for each.
        """
        for _ in range(len(self._waiting) if most is None else min(most, len(self._waiting))):
            peer, datagram, at = self._waiting.popleft()
            self._waiting_bytes -= len(datagram)
            self._read(peer, datagram, at)
        return bool(self._waiting)

    def missing(self) -> tuple[Peer, ...]:
        """Addresses that should have answered in this poll and have not yet, each once."""
        silent = [one.peer for one in self._nodes.values() if one.poll < self._poll]
        hosts = [peer for peer in self._hosts if peer not in self._answered]
        return tuple(dict.fromkeys((*hosts, *silent)))

    @property
    def heard_now(self) -> int:
        """Number of nodes that have answered in this poll."""
        return sum(one.poll == self._poll for one in self._nodes.values())

    def current(self) -> Sequence[Respondent]:
        """The nodes whose newest answer holds."""
        return [one for one in self._nodes.values() if one.poll > self._poll - PATIENCE]

    def silent(self) -> Sequence[Respondent]:
        """The nodes that were heard lately, and whose last answer no longer holds."""
        return [one for one in self._nodes.values() if one.poll <= self._poll - PATIENCE]

    def unreadable(self) -> Sequence[tuple[Peer, UnreadableAnswer]]:
        """Addresses with nothing but unreadable answers in this poll: all known ones, some others.

        The others are few, because anybody can make up addresses.
        """
        known = [(peer, fault) for peer, fault in self.faults.items() if peer in self._asked]
        others = [(peer, fault) for peer, fault in self.faults.items() if peer not in self._asked]
        return [*known, *others[:MAX_STRANGERS]]

    # -- reading ---------------------------------------------------------------------------------

    def _read(self, peer: Peer, datagram: bytes, at: float) -> None:
        try:
            node_id, sections = decode(datagram)
        except UnreadableAnswer as fault:
            self.counts[fault.reason] += 1
            if peer not in self._answered:
                self.faults[peer] = fault
            return
        self._answered.add(peer)
        self.faults.pop(peer, None)
        self._take(Respondent(node_id, peer, sections, at, self._poll))

    def _take(self, new: Respondent) -> None:
        known = self._nodes.get(new.node_id)
        if known is None and len(self._nodes) >= MAX_NODES:
            self.counts[TOO_MANY] += 1
            return
        if known is not None:
            if known.peer != new.peer and known.poll >= self._poll - 1:
                # Many nodes hear a group on several interfaces, and answer on each.
                same = _mac(known.sections) == _mac(new.sections)
                self.counts[DUPLICATE if same else ELSEWHERE] += 1
                return
            if known.poll == self._poll:
                self.counts[DUPLICATE] += 1
        self._nodes[new.node_id] = new


def _mac(sections: Answer) -> object:
    network = sections.get("nodeinfo", {}).get("network")
    return network.get("mac") if isinstance(network, dict) else None
