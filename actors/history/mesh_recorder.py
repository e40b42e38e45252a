"""Makes the events of an emulated mesh, look by look, across restarts of the historian (sans-IO).

The state that the last stored event led to is stored with it (`Recording.view`). So what happens
while the historian is away is told when it is back, once. While a mesh forms after its start, its
first links are no news; what becomes of its shards is.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.topology.events import EventKind
from actors.topology.mesh_events import MeshState, changes, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.history.event_store import Progress
    from actors.topology.events import NetworkEvent
    from actors.topology.live import LiveMesh

FORMING_S: Final = 30.0  # longest time for which a new mesh forms; some links of a map never work
_FORMAT: Final = 4
_ARRAYS: Final = ("gateway", "clients", "present", "heard", "ends", "up", "degraded", "nexthop")
_OF_SHARDS: Final = (EventKind.SHARD_DOWN, EventKind.SHARD_BACK, EventKind.SHARD_RESTARTED)


@dataclass(frozen=True, slots=True)
class _Base:
    """What the next look is compared with."""

    state: MeshState
    began_at: float  # Unix time of the first look at this mesh, s
    formed: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """What one look has brought; `MeshRecorder.keep` it once it is stored.

    Attributes:
        events: new events.
        base: what the next look is compared with.
    """

    events: tuple[NetworkEvent, ...]
    base: _Base

    @property
    def view(self) -> bytes:
        """The base as the database keeps it."""
        state = self.base.state
        kept: dict[str, Any] = {name: getattr(state, name).tolist() for name in _ARRAYS}
        kept |= {"ids": state.ids, "names": state.names}
        kept |= {"lives": dict(state.lives), "down": dict(state.down)}
        kept["hosts"] = dict(state.hosts)
        kept |= {"began_at": self.base.began_at, "formed": self.base.formed, "format": _FORMAT}
        return zlib.compress(json.dumps(kept).encode(), 1)


class MeshRecorder:
    """Compares each look at a mesh with the one before.

    Args:
        session: number of the session; numbers of events begin anew with each.
        progress: how far this mesh was recorded, maybe by an earlier process.
    """

    def __init__(self, session: int, progress: Progress) -> None:
        self.session = session
        same = progress.incarnation == session
        self._number = progress.number if same else 0
        self._base = _restored(progress.view) if same and progress.view else None

    @property
    def settled(self) -> bool:
        """Whether a look that shows nothing new can be left out."""
        return self._base is not None and self._base.formed

    def look(self, mesh: LiveMesh, down: Mapping[str, str], at: float) -> Recording | None:
        """What has happened since the look before; None if nothing has.

        Args:
            mesh: what is known of the mesh.
            down: shards that do not answer, and why.
            at: Unix time, s.
        """
        base = self._base
        state = state_of(mesh, down, None if base is None else base.state)
        if state is None:
            return None
        if base is None:
            return Recording((), _Base(state, at, state.is_formed))
        events = changes(base.state, state, first=self._number + 1, at=at)
        if base.formed:
            return Recording(events, _Base(state, base.began_at, formed=True)) if events else None
        formed = state.is_formed or at - base.began_at >= FORMING_S
        if not events and not formed:
            return None
        told = (event for event in events if event.kind in _OF_SHARDS)
        return Recording(_numbered(told, self._number + 1), _Base(state, base.began_at, formed))

    def keep(self, recording: Recording) -> None:
        """Go on from a recording that is stored."""
        self._base = recording.base
        self._number += len(recording.events)


def _numbered(events: Iterable[NetworkEvent], first: int) -> tuple[NetworkEvent, ...]:
    return tuple(replace(event, number=number) for number, event in enumerate(events, first))


def _restored(view: bytes) -> _Base | None:
    """The base of a view; None if another version of the program has written it."""
    try:
        kept = json.loads(zlib.decompress(view))
    except (zlib.error, ValueError):
        return None
    if not isinstance(kept, dict) or kept.get("format") != _FORMAT:
        return None
    state = MeshState(
        ids=tuple(kept["ids"]),
        names=tuple(kept["names"]),
        gateway=np.array(kept["gateway"], bool),
        clients=np.array(kept["clients"], np.int32),
        present=np.array(kept["present"], bool),
        heard=np.array(kept["heard"], bool),
        ends=np.array(kept["ends"], np.int32).reshape(-1, 2),
        up=np.array(kept["up"], bool),
        degraded=np.array(kept["degraded"], bool),
        nexthop=np.array(kept["nexthop"], np.int32),
        lives=kept["lives"],
        down=kept["down"],
        hosts=kept["hosts"],
    )
    return _Base(state, kept["began_at"], kept["formed"])
