"""The running mesh as a watch looks at it, see `actors.topology.live`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.mesh import control

if TYPE_CHECKING:
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.provenance import Provenance

ANSWER_S = 2.0  # longest wait for an answer of a shard or the coordinator


class LiveSource:
    """The mesh of this process's namespace."""

    async def roster(self) -> Roster:
        """The nodes and possible links of the mesh."""
        return await control.coordinator(timeout_s=ANSWER_S).roster()

    async def provenance(self) -> Provenance:
        """Where the mesh is known from, and what was left out of it."""
        return await control.coordinator(timeout_s=ANSWER_S).provenance()

    async def link_state(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        """The part of a shard; None while it is the one of this revision and digest."""
        return await control.shard(shard, timeout_s=ANSWER_S).link_state(known)
