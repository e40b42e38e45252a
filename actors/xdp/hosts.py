"""Sees to it that each host of the cluster has its actor, also one that joins later.

Every actor looks, and any of them starts what is missing: the name makes sure that it is one. The
actor of a host that has gone ends with it, and Ray then forgets its name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actors.runtime import spawn
from actors.xdp.contract import xdp_actor

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from actors.xdp.contract import XdpOptions

LOOK_S: Final = 10.0  # between two looks at the hosts


def missing(hosts: Mapping[str, str], actors: Collection[str]) -> dict[str, str]:
    """Hosts without an actor.

    Args:
        hosts: the id of a living Ray node, by name of the host.
        actors: names of all actors.
    """
    return {host: node for host, node in hosts.items() if xdp_actor(host) not in actors}


def complete(cls: type, options: XdpOptions) -> tuple[str, ...]:
    """Start what is missing, each actor on its host and nowhere else.

    Args:
        cls: the class of the actors.
        options: what each is started with, but for the name of its host.

    Returns:
        Names of the hosts whose actor has been started.

    Raises:
        NotRunning: this process is in no cluster.
    """
    found = missing(spawn.hosts(), spawn.listing())
    for host, node in found.items():
        spawn.detached(cls, xdp_actor(host), replace(options, host=host), node=node)
    return tuple(found)
