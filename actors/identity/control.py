"""Tells the actor that holds a host's identity what to do, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.identity.contract import TIMEOUT_S, IdentityContract, identity_actor
from actors.runtime import remote

if TYPE_CHECKING:
    from actors.runtime.actor_health import ActorHealth


def of_host(host: str) -> IdentityContract:
    """The methods of the actor of a host, which answer or raise `Unavailable` in time."""
    return remote.proxy(IdentityContract, identity_actor(host), timeout_s=TIMEOUT_S)


async def health(host: str) -> ActorHealth:
    """State of the actor; its reason says how the SVID is.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await of_host(host).health()
