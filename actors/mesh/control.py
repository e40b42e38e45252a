"""How operators reach the actors of the running mesh, typed."""

from __future__ import annotations

from actors.mesh.contract import COORDINATOR, CoordinatorContract, ShardContract
from actors.runtime import remote
from actors.runtime.errors import Unavailable


def coordinator(*, timeout_s: float | None = None) -> CoordinatorContract:
    """The coordinator of the mesh of this process's namespace.

    Args:
        timeout_s: longest wait for each answer, s; None waits forever.
    """
    return remote.proxy(CoordinatorContract, COORDINATOR, timeout_s=timeout_s)


def shard(name: str, *, timeout_s: float | None = None) -> ShardContract:
    """A shard of that mesh.

    Args:
        name: name of the shard, as `shard_name` makes it.
        timeout_s: longest wait for each answer, s; None waits forever.
    """
    return remote.proxy(ShardContract, name, timeout_s=timeout_s)


async def kill(name: str) -> None:
    """End the process of a shard by SIGKILL, as a crash would."""
    try:
        await shard(name).die()
    except Unavailable:
        return  # the call fails because the process ended
