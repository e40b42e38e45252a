"""Whom commands about XDP go to: the actor that owns it on this host, if a session has one."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, TypeVar

from actors.xdp import control
from actors.xdp.contract import xdp_actor
from jobs.launch import by_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from actors.xdp.contract import XdpContract

T = TypeVar("T")


def asked(state_dir: Path, question: Callable[[XdpContract], Awaitable[T]]) -> tuple[T] | None:
    """What the actor of this host answers.

    Args:
        state_dir: where the session is on record.
        question: asks the actor.

    Returns:
        None: no session is on record here, its actor cannot use XDP, or its interfaces are those
        of another network namespace: then nobody else owns them.

    Raises:
        X0Error: what the actor raised, or that it has gone meanwhile.
    """
    if platform.system() != "Linux":
        return None
    host = platform.node()

    async def ask() -> tuple[T] | None:
        from actors.xdp.attachment import network_namespace

        actor = control.of_host(host)
        status = await actor.status()
        if status.disabled or status.network_namespace != network_namespace():
            return None
        return (await question(actor),)

    return by_socket.asked(state_dir, xdp_actor(host), ask)
