"""mesh_sync: keeps the link-state databases of neighbouring hosts equal.

News is flooded: every advertisement merged is owed to each peer except the one it came from, and
owed until that peer's acknowledgement, so a lost frame costs time but never the news. Against
whatever flooding cannot mend (a peer that restarted, a long partition) peers compare digests when
they meet and every `ANTI_ENTROPY_S`; on a difference the one sends its stamps and the other the
delta that they lack.

A peer is another host of the protocol core: a neighbouring node in the simulator, a shard that
hosts neighbouring nodes in production.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.mesh.lsdb import LinkStateDatabase
    from actors.topology.advertisement import Lsa

ANTI_ENTROPY_S = 30.0
MAX_LSAS = 512  # advertisements in one frame, so that a cold start does not block the loop


@dataclass(frozen=True, slots=True)
class SyncFrame:
    """What one host tells another about its database."""

    lsas: tuple[Lsa, ...] = ()
    digest: int | None = None  # "this is mine: do we differ?"
    stamps: dict[int, int] | None = None  # "we differ: send me what is newer"


@dataclass(slots=True)
class _Peer:
    owed: dict[int, None] = field(default_factory=dict)  # origins, oldest news first
    digest_at: float = 0.0  # when the next comparison is due
    send_stamps: bool = False


class Synchroniser:
    """Decides which database news each peer must be sent.

    Args:
        database: the replica this host keeps; others may read it, only `learn` writes it.
    """

    def __init__(self, database: LinkStateDatabase) -> None:
        self._database = database
        self._peers: dict[str, _Peer] = {}

    def meet(self, peer: str, now: float) -> None:
        """A peer came into reach (again): compare digests at once."""
        self._peers.setdefault(peer, _Peer()).digest_at = now

    def part(self, peer: str) -> None:
        """A peer went out of reach; digests find what it missed when it returns."""
        self._peers.pop(peer, None)

    def learn(self, lsas: Iterable[Lsa], source: str | None) -> list[Lsa]:
        """Merge advertisements from peer `source` (None: our own nodes); those that were news."""
        news = self._database.merge(lsas)
        for name, peer in self._peers.items():
            if name != source:
                peer.owed.update(dict.fromkeys(lsa.origin for lsa in news))
        return news

    def owes(self, peer: str, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        state = self._peers.get(peer)
        return state is not None and bool(state.owed or state.send_stamps or now >= state.digest_at)

    def frame(self, peer: str, now: float) -> SyncFrame | None:
        """The news for `peer` now, or None. It stays owed until `delivered` confirms it."""
        if not self.owes(peer, now):
            return None
        state = self._peers[peer]
        origins = list(state.owed)[:MAX_LSAS]
        found = (self._database.get(origin) for origin in origins)
        lsas = tuple(lsa for lsa in found if lsa is not None)
        digest = self._database.digest if now >= state.digest_at else None
        stamps = self._database.stamps() if state.send_stamps else None
        return SyncFrame(lsas, digest, stamps)

    def delivered(self, peer: str, frame: SyncFrame, now: float) -> None:
        """`peer` acknowledged `frame`."""
        state = self._peers.get(peer)
        if state is None:
            return
        for lsa in frame.lsas:
            newest = self._database.get(lsa.origin)
            if newest is None or newest.stamp <= lsa.stamp:
                state.owed.pop(lsa.origin, None)
        if frame.digest is not None:
            state.digest_at = now + ANTI_ENTROPY_S
        if frame.stamps is not None:
            state.send_stamps = False

    def receive(self, peer: str, frame: SyncFrame, now: float) -> list[Lsa]:
        """Process a peer's frame; the advertisements that were news."""
        state = self._peers.setdefault(peer, _Peer(digest_at=now))
        news = self.learn(frame.lsas, peer)
        if frame.digest is not None and frame.digest != self._database.digest:
            state.send_stamps = True
        if frame.stamps is not None:
            lacking = self._database.newer_than(frame.stamps)
            state.owed.update(dict.fromkeys(lsa.origin for lsa in lacking))
            if any(self._behind(origin, stamp) for origin, stamp in frame.stamps.items()):
                state.send_stamps = True
        return news

    def _behind(self, origin: int, stamp: int) -> bool:
        mine = self._database.get(origin)
        return mine is None or mine.stamp < stamp
