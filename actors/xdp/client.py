"""Asks the actor that owns XDP on a host, from an actor, a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime import remote
from actors.xdp.contract import TIMEOUT_S, XdpContract, xdp_actor

if TYPE_CHECKING:
    from actors.xdp.contract import (
        HostStatus,
        KernelCounters,
        ReceivedTraffic,
        Rules,
        XdpCounters,
    )


async def status(host: str) -> HostStatus:
    """How XDP is on a host.

    Raises:
        Unavailable: there is no such actor, or it does not answer.
    """
    return await _proxy(host).status()


async def counters(host: str, interface: str, top: int) -> XdpCounters | KernelCounters:
    """See `XdpContract.counters`.

    Raises:
        Unavailable: nothing is attached, there is no such actor, or it does not answer.
    """
    return await _proxy(host).counters(interface, top)


async def rules(host: str, interface: str) -> Rules:
    """See `XdpContract.rules`.

    Raises:
        Unavailable: nothing is attached, there is no such actor, or it does not answer.
    """
    return await _proxy(host).rules(interface)


async def addresses(host: str) -> dict[str, tuple[str, ...]]:
    """See `XdpContract.addresses`.

    Raises:
        Unavailable: XDP is disabled there, there is no such actor, or it does not answer.
    """
    return await _proxy(host).addresses()


async def received(host: str, interface: str, addresses: tuple[str, ...]) -> ReceivedTraffic:
    """See `XdpContract.received`.

    Raises:
        InvalidInput: one is no IP address, or there are too many.
        Unavailable: nothing is attached, there is no such actor, or it does not answer.
    """
    return await _proxy(host).received(interface, addresses)


def _proxy(host: str) -> XdpContract:
    return remote.proxy(XdpContract, xdp_actor(host), timeout_s=TIMEOUT_S)
