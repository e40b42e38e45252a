"""Tells the actor that owns XDP on a host what to do there, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime import remote
from actors.xdp.contract import TIMEOUT_S, XdpContract, xdp_actor

if TYPE_CHECKING:
    from actors.runtime.actor_health import ActorHealth


def of_host(host: str) -> XdpContract:
    """The methods of the actor of a host, which answer or raise `Unavailable` in time."""
    return remote.proxy(XdpContract, xdp_actor(host), timeout_s=TIMEOUT_S)


async def health(host: str) -> ActorHealth:
    """State of the actor, and the reason if it is not ready, or is disabled.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await of_host(host).health()
