"""The observed network as a watch looks at it, see `actors.topology.live`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.observe.condition import provenance
from actors.observe.contract import OBSERVER, TIMEOUT_S, ObserverContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.topology.events import EventPage
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.provenance import Provenance
    from actors.topology.samples import NetworkSample


class ObservedSource:
    """The network that the observer of this process's namespace keeps.

    It is a `MeshSource`, whose one shard is the observer, an `EventSource` and a `SampleSource`.
    """

    async def roster(self) -> Roster:
        """The members and their links."""
        return await _observer().roster()

    async def link_state(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        """The states of all links; None while they have this revision and digest."""
        assert shard == OBSERVER, shard  # noqa: S101 - the only one in the roster
        return await _observer().link_state(known)

    async def provenance(self) -> Provenance:
        """What the sources leave out, and how old it is."""
        return provenance(await _observer().sources())

    async def events(self, after: int, most: int) -> EventPage:
        """See `ObserverContract.events`."""
        return await _observer().events(after, most)

    async def sample(self) -> NetworkSample:
        """The network as it is known now, in columns."""
        # It imports numpy, which a command that only names this source need not wait for.
        from actors.observe.sampling import sampled  # noqa: PLC0415

        return await asyncio.to_thread(sampled, await _observer().network())


def _observer() -> ObserverContract:
    return remote.proxy(ObserverContract, OBSERVER, timeout_s=TIMEOUT_S)
