"""Talks to the historian, from an actor, a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.history.contract import HISTORIAN, TIMEOUT_S, HistorianContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.topology.events import EventPage, RecordedPage
    from actors.topology.provenance import Network


async def report(source: str, network: Network, page: EventPage) -> int:
    """See `HistorianContract.report`.

    Raises:
        Unavailable: there is no historian, or it does not answer.
    """
    proxy = remote.proxy(HistorianContract, HISTORIAN, timeout_s=TIMEOUT_S)
    return await proxy.report(source, network, page)


class RecordedHistory:
    """The events of the historian of this process's namespace; a `RecordedEvents`."""

    async def events(self, after: int, most: int, wait_s: float) -> RecordedPage:
        """See `HistorianContract.events`.

        Raises:
            Unavailable: there is no historian, or it does not answer.
        """
        proxy = remote.proxy(HistorianContract, HISTORIAN, timeout_s=TIMEOUT_S + wait_s)
        return await proxy.events(after, most, wait_s)
