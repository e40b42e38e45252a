"""A host of one node that does whatever it likes, but cannot sign for others: the simulator's liar.

It runs the honest protocol and tampers with what comes out of it, so that its neighbours take it
for one of them: it answers Hellos and acknowledges frames.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import NO_POTENTIAL, UNSTAMPED
from actors.mesh.frames import DataFrames, Settlement
from actors.mesh.host import MeshHost
from actors.mesh.lies import other_story, praised
from actors.mesh.sync import SyncFrame
from actors.topology.etx import MAX_COST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from actors.mesh.contract import HostOptions
    from actors.mesh.exchange import SentEnvelope
    from actors.mesh.frames import Envelope, EnvelopeAnswer
    from actors.mesh.guard import Guard, Held
    from actors.mesh.placement import Placement
    from actors.topology.advertisement import Lsa
    from actors.topology.model import Topology


_FORGED = b"f" * 64
OFTEN = 8  # times in a Hello interval that it flaps or floods


class Deed(StrEnum):
    """What a lying host may do; any of them together."""

    PRAISE = "praise"  # advertise every link of the map at the least cost
    DEAR = "dear"  # advertise its links at the highest cost
    HIDE = "hide"  # advertise no link
    FLAP = "flap"  # advertise its links and none in turn
    EQUIVOCATE = "equivocate"  # tell every other peer another story
    REPLAY = "replay"  # tell old advertisements of others again
    FORGE = "forge"  # tell new advertisements of others, with signatures of its own making
    FLOOD = "flood"  # forge one for every node, again and again
    SWALLOW = "swallow"  # acknowledge messages and drop them
    BOUNCE = "bounce"  # send messages back as if no hop had forwarded them
    SETTLE = "settle"  # say of messages it drops that they were delivered
    DEAF = "deaf"  # pass on no advertisement of others
    ACCUSE = "accuse"  # call all its neighbours unreliable


class LyingHost(MeshHost):
    """The host of one node that lies.

    Args:
        name, topology, placement, options, now, guard: see `MeshHost`.
        node: the node.
        deeds: what it does.
    """

    def __init__(
        self,
        name: str,
        topology: Topology,
        placement: Placement,
        options: HostOptions,
        now: float,
        guard: Callable[[Held], Guard],
        *,
        node: int,
        deeds: Iterable[Deed],
    ) -> None:
        self.deeds = frozenset(deeds)
        self._node = node
        self._story: Lsa | None = None
        self._forged = 0
        self._mischief_at = now
        self._flooded: set[str] = set()  # peers that are owed a flood
        self._caught: list[messages.MessageBatch] = []
        self._thrown: list[tuple[int, messages.MessageBatch]] = []  # link back, messages
        self._added: dict[str, int] = {}  # peer → made-up frames of the envelope under way
        super().__init__(name, topology, placement, options, now, guard)

    # -- what it advertises ----------------------------------------------------------------------

    def _listed(self, node: int) -> Lsa:
        lsa = super()._listed(node)
        if Deed.PRAISE in self.deeds:
            lsa = praised(lsa, self.topology)
        if Deed.DEAR in self.deeds:
            lsa = replace(lsa, costs=(MAX_COST,) * len(lsa.costs))
        hides = Deed.HIDE in self.deeds or (Deed.FLAP in self.deeds and lsa.sequence % 2)
        if hides:
            lsa = replace(lsa, neighbours=(), costs=())
        if Deed.ACCUSE in self.deeds:
            lsa = replace(lsa, suspects=praised(lsa, self.topology).neighbours)
        if Deed.EQUIVOCATE in self.deeds and lsa.neighbours:
            self._story = self.guard.advertisements.sign(other_story(lsa), 0.0)
        return lsa

    def step(self, now: float) -> None:
        """As an honest host, and what it does beside."""
        if now >= self._mischief_at:
            self._mischief_at = now + self.options.hello_s / OFTEN
            if Deed.FLAP in self.deeds:
                self._readvertise(np.array([self._node]), now)
            if Deed.FLOOD in self.deeds:
                self._flooded = set(self.in_reach)
        super().step(now)

    # -- what it tells ---------------------------------------------------------------------------

    def has_for(self, peer: str, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        return peer in self._flooded or bool(self._thrown) or super().has_for(peer, now)

    def outgoing(self, peer: str, now: float) -> SentEnvelope:
        """The honest envelope, tampered with."""
        sent = super().outgoing(peer, now)
        envelope = sent.envelope
        frame = envelope.sync
        if frame is None and peer in self._flooded and peer in self.in_reach:
            frame = SyncFrame()
            envelope = replace(envelope, sync_link=self._link_to(peer))
        self._flooded.discard(peer)
        if frame is not None:
            envelope = replace(envelope, sync=self._told(peer, frame))
        if Deed.SETTLE in self.deeds and self._caught:
            ids = np.concatenate([batch.head["id"] for batch in self._caught])
            lie = Settlement(ids, np.ones(len(ids), bool))
            envelope = replace(envelope, settled=(*envelope.settled, lie))
        if Deed.BOUNCE in self.deeds:
            envelope = replace(envelope, data=self._with_thrown(envelope.data, peer))
        sent.envelope = envelope
        return sent

    def _link_to(self, peer: str) -> int:
        other = self.placement.shard_of.index(peer)
        link = self.topology.directed_link(self._node, other)
        assert link is not None  # noqa: S101 - it is in reach
        return int(link)

    def _told(self, peer: str, frame: SyncFrame) -> SyncFrame:
        lsas = frame.lsas
        if Deed.DEAF in self.deeds:
            lsas = tuple(lsa for lsa in lsas if lsa.origin == self._node)
        story = self._story
        if story is not None and self.peers.index(peer) % 2:
            lsas = tuple(story if lsa.origin == self._node else lsa for lsa in lsas)
        frame = replace(frame, lsas=lsas)
        if Deed.REPLAY in self.deeds:
            frame = self._archive.retold(frame)
        if Deed.FORGE in self.deeds or Deed.FLOOD in self.deeds:
            frame = replace(frame, lsas=(*self._forgeries(), *frame.lsas))
        return frame

    def _forgeries(self) -> list[Lsa]:
        """A new advertisement of every other node, signed by this one."""
        self._forged += 1
        out = []
        for lsa in self.database:
            if lsa.origin != self._node:
                costs = (1,) * len(lsa.costs)
                newer = replace(lsa, sequence=lsa.sequence + self._forged, costs=costs)
                out.append(replace(newer, signature=_FORGED))
        return out

    # -- what it does with messages --------------------------------------------------------------

    def handle(self, envelope: Envelope, now: float) -> EnvelopeAnswer | None:
        """As an honest host, except for what passes through."""
        if envelope.sync is not None:
            self._archive.keep(envelope.sync.lsas)
        if self.deeds & {Deed.SWALLOW, Deed.BOUNCE, Deed.SETTLE}:
            envelope = self._caught_from(envelope)
        return super().handle(envelope, now)

    def _caught_from(self, envelope: Envelope) -> Envelope:
        data = envelope.data
        mine = data.batch.head["destination"] == self._node
        through = data.batch.take(~mine)
        if Deed.BOUNCE in self.deeds:
            self._thrown += [
                (int(link) ^ 1, through.take(rows))
                for link, rows in _by_link(data.links[data.frame_of[~mine]])
            ]
        elif len(through):
            self._caught = [*self._caught[-99:], through]
        kept = replace(data, frame_of=data.frame_of[mine], batch=data.batch.take(mine))
        return replace(envelope, data=kept)

    def _with_thrown(self, data: DataFrames, peer: str) -> DataFrames:
        """The frames, and behind them those that go back to `peer` as if they came from here."""
        other = self.placement.shard_of.index(peer)
        back = [some for some in self._thrown if self.topology.link_target[some[0]] == other]
        self._thrown = [some for some in self._thrown if some not in back]
        self._added[peer] = len(back)
        if not back:
            return data
        batches = [data.batch]
        for _, batch in back:
            head = messages.copied(batch.head)
            head["version"], head["potential"], head["hops"] = UNSTAMPED, NO_POTENTIAL, 0
            batches.append(messages.MessageBatch(head, batch.offset, batch.payload))
        lengths = [len(batch) for _, batch in back]
        place = np.repeat(np.arange(len(back), dtype=np.int32) + len(data), lengths)
        number = [self._arq.next_number() for _ in back]
        return DataFrames(
            np.concatenate([data.links, np.array([link for link, _ in back], np.int32)]),
            np.concatenate([data.numbers, np.array(number, np.int64)]),
            np.concatenate([data.frame_of, place]),
            messages.concat(batches),
        )

    def answered(
        self, peer: str, sent: SentEnvelope, answer: EnvelopeAnswer | None, now: float
    ) -> None:
        """As an honest host, but for the answers to frames that it made up."""
        added = self._added.pop(peer, 0)
        if answer is not None and answer.heard is not None and added:
            answer = replace(answer, heard=answer.heard[:-added])
        super().answered(peer, sent, answer, now)


def _by_link(links: NDArray[np.int32]) -> list[tuple[int, NDArray[np.bool_]]]:
    return [(link, links == link) for link in np.unique(links).tolist()]
