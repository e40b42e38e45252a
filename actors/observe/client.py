"""Asks the observer, from a job, a notebook or Serve alike.

Every call raises `Unavailable` where there is no observer, or where it does not answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.observe.contract import OBSERVER, TIMEOUT_S, ObserverContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.observe.contract import LeftOutPage, ObservedNetwork, SourceState
    from actors.topology.events import EventPage
    from actors.topology.network import Reading


def _observer() -> ObserverContract:
    return remote.proxy(ObserverContract, OBSERVER, timeout_s=TIMEOUT_S)


async def network() -> ObservedNetwork:
    """See `ObserverContract.network`."""
    return await _observer().network()


async def network_if_changed(known: tuple[int, int]) -> ObservedNetwork | float:
    """See `ObserverContract.network_if_changed`."""
    return await _observer().network_if_changed(known)


async def sources() -> tuple[SourceState, ...]:
    """See `ObserverContract.sources`."""
    return await _observer().sources()


async def left_out(source: str, after: int, most: int) -> LeftOutPage:
    """See `ObserverContract.left_out`."""
    return await _observer().left_out(source, after, most)


async def events(after: int, most: int) -> EventPage:
    """See `ObserverContract.events`."""
    return await _observer().events(after, most)


async def take(reading: Reading, *, whole: bool) -> None:
    """See `ObserverContract.take`."""
    await _observer().take(reading, whole)


async def retire(node: str) -> None:
    """See `ObserverContract.retire`."""
    await _observer().retire(node)
