"""Asks the observer how it is, and changes its members, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.observe.contract import OBSERVER, TIMEOUT_S, ObserverContract
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.runtime.actor_health import ActorHealth


def _observer() -> ObserverContract:
    return remote.proxy(ObserverContract, OBSERVER, timeout_s=TIMEOUT_S)


async def health() -> ActorHealth:
    """State of the actor, and the reason if it is not ready.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _observer().health()


async def retire(node: str) -> None:
    """See `ObserverContract.retire`."""
    await _observer().retire(node)
