"""What this host still has to send to each of its peers, and the envelopes that carry it.

News of the database and messages travel over the mesh's own radio links, and count as told only
when the radio acknowledged them; settlements between hosts travel with the envelope itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh.arq import RETRY_S
from actors.mesh.frames import Envelope, EnvelopeAnswer, GiveUp, Settlement
from actors.mesh.neighbours import Hellos

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from actors.mesh.arq import Arq
    from actors.mesh.forwarder import Departure, Forwarder
    from actors.mesh.medium import RadioMedium
    from actors.mesh.neighbours import Change, NeighbourTable
    from actors.mesh.sync import SyncFrame, Synchroniser

MAX_HELLOS = 256  # turns of Hellos kept for a peer that does not answer; the oldest go


@dataclass(slots=True)
class SentEnvelope:
    """An envelope under way, and what its answer will decide."""

    envelope: Envelope
    departure: Departure
    told: SyncFrame | None
    sync_acknowledged: bool  # whether the medium acknowledges it if the receiver lives


@dataclass(slots=True)
class _Peer:
    hellos: list[tuple[Hellos, NDArray[np.int64]]] = field(default_factory=list)
    beacons: dict[int, bytes] = field(default_factory=dict)  # the latest of each node
    settled: list[Settlement] = field(default_factory=list)
    give_up: dict[int, GiveUp] = field(default_factory=dict)  # one for each destination partition
    met: bool = False
    sync_try: int = 0  # number of the link that carries synchronisation
    sync_at: float = 0.0  # when synchronisation may be tried again, s


class Exchange:
    """Envelopes to peers.

    Args:
        names: names of all hosts, this host's first; the position is a host's number.
        revision: version of the placement and topology that all numbers here refer to.
        peer: int16 [n_nodes], the number of each node's host.
        medium: decides which frames arrive.
        neighbours: says which links lead to which peers.
        arq: transmits frames over links.
        forwarder: holds the messages that leave this host.
        sync: holds the database news for each peer.
    """

    def __init__(
        self,
        names: Sequence[str],
        revision: int,
        peer: NDArray[np.int16],
        medium: RadioMedium,
        neighbours: NeighbourTable,
        arq: Arq,
        forwarder: Forwarder,
        sync: Synchroniser,
    ) -> None:
        self.names = tuple(names)
        self.revision = revision
        self._number = {name: number for number, name in enumerate(names)}
        self._peer = peer
        self._medium = medium
        self._neighbours = neighbours
        self._arq = arq
        self._forwarder = forwarder
        self._sync = sync
        self._peers = {name: _Peer() for name in self.names[1:]}

    @property
    def peers(self) -> tuple[str, ...]:
        """The other hosts."""
        return self.names[1:]

    @property
    def in_reach(self) -> tuple[str, ...]:
        """The other hosts that links which are up lead to."""
        return tuple(name for name, state in self._peers.items() if state.met)

    def say_hello(
        self,
        ends: tuple[NDArray[np.int32], NDArray[np.int32]],
        hellos: Hellos,
        arrived: NDArray[np.int64],
        beacons: Mapping[int, bytes],
    ) -> None:
        """Pass on the Hello bursts that reach nodes of peers, and what their senders say along.

        Args:
            ends: node that each burst is from, and node that it is for.
            hellos: the bursts.
            arrived: number of copies of each that arrived.
            beacons: what senders say along, by node.
        """
        source, target = ends
        peer = self._peer[target]
        for name, state in self._peers.items():
            rows = (peer == self._number[name]) & (arrived > 0)
            if rows.any():
                some = Hellos(*(column[rows] for column in hellos))
                state.hellos.append((some, arrived[rows]))
                if beacons:
                    spoke = set(source[rows].tolist()).intersection(beacons)
                    state.beacons.update((node, beacons[node]) for node in spoke)
                del state.hellos[:-MAX_HELLOS]

    def settle(self, peer: str, settlement: Settlement) -> None:
        """Tell the host of an origin what has become of its messages."""
        if peer in self._peers:
            self._peers[peer].settled.append(settlement)

    def give_up(self, peer: str, wish: GiveUp) -> None:
        """Ask a destination's host never to take messages; the caller repeats it until answered."""
        if peer in self._peers:
            self._peers[peer].give_up[wish.partition] = wish

    def unsettled(self) -> list[Settlement]:
        """Settlements that no peer has been told yet."""
        return [told for state in self._peers.values() for told in state.settled]

    def greet(self, now: float) -> None:
        """Update which peers are in reach, as links to their nodes come and go."""
        table = self._neighbours
        live = set(np.unique(self._peer[table.neighbour[table.up]]).tolist())
        for name, state in self._peers.items():
            met = self._number[name] in live
            if met and not state.met:
                self._sync.meet(name, now)
            elif state.met and not met:
                self._sync.part(name)
            state.met = met

    def has_for(self, peer: str, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        state = self._peers[peer]
        return bool(
            state.hellos
            or state.settled
            or state.give_up
            or self._forwarder.departs_to(self._number[peer], now)
            or (state.met and now >= state.sync_at and self._sync.owes(peer, now))
        )

    def outgoing(self, peer: str, now: float) -> SentEnvelope:
        """Everything to send to `peer`. `answered` must follow before the next call for it."""
        state = self._peers[peer]
        data, departure = self._forwarder.depart(self._number[peer], now)
        sync_link, acknowledged = -1, False
        sync = told = None
        if state.met and now >= state.sync_at:
            told = self._sync.frame(peer, now)
        if told is not None:
            sync_link = self._sync_link(peer, state)
            arrived, back = self._arq.transmit(np.array([sync_link], np.int32))
            acknowledged = bool(back[0])
            sync = told if arrived[0] else None
        hellos, arrived_copies = _joined(state.hellos)
        envelope = Envelope(
            sender=self.names[0],
            revision=self.revision,
            hellos=hellos,
            arrived=arrived_copies,
            beacons=state.beacons,
            data=data,
            sync=sync,
            sync_link=sync_link,
            settled=tuple(state.settled),
            give_up=tuple(state.give_up.values()),
        )
        state.hellos, state.beacons, state.settled, state.give_up = [], {}, [], {}
        return SentEnvelope(envelope, departure, told, acknowledged)

    def _sync_link(self, peer: str, state: _Peer) -> int:
        """A link to `peer` for its database news: the cheapest that has not failed it lately."""
        table = self._neighbours
        to_peer = table.up & (self._peer[table.neighbour] == self._number[peer])
        speaking = ~self._medium.silent[table.node]
        rows = (to_peer & speaking).nonzero()[0]
        if not len(rows):
            rows = to_peer.nonzero()[0]
        rows = rows[np.argsort(table.cost[rows], kind="stable")]
        return int(table.link[rows[state.sync_try % len(rows)]])

    def answered(
        self, peer: str, sent: SentEnvelope, answer: EnvelopeAnswer | None, now: float
    ) -> list[Change]:
        """Process the answer to an envelope; None means that the peer's process did not reply."""
        state = self._peers[peer]
        heard = None if answer is None else answer.heard
        changes = self._forwarder.answered(sent.departure, heard, now)
        if answer is None:
            state.settled[:0] = sent.envelope.settled
            state.sync_at = now + RETRY_S
        elif sent.told is not None:
            if answer.sync_heard and sent.sync_acknowledged:
                self._sync.delivered(peer, sent.told, now)
            else:
                state.sync_try += 1
                state.sync_at = now + RETRY_S
        return changes


def _joined(
    parts: list[tuple[Hellos, NDArray[np.int64]]],
) -> tuple[Hellos | None, NDArray[np.int64] | None]:
    if not parts:
        return None, None
    hellos = zip(*(hello for hello, _ in parts), strict=True)
    joined = Hellos(*(np.concatenate(column) for column in hellos))
    return joined, np.concatenate([arrived for _, arrived in parts])
