"""What the shards of the running mesh say of how they prove themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, STATUS_S
from actors.runtime.errors import X0Error
from jobs.launch import by_socket, interruption

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Protection:
    """The answers.

    Attributes:
        shards: `ShardContract.protection` of each; empty ones: nothing has to prove itself.
        down: shards that do not answer, and why.
    """

    shards: Mapping[str, dict[str, Any]]
    down: Mapping[str, str]


def asked() -> Protection:
    """What all shards of the running mesh answer.

    Raises:
        NotRunning: no session runs.
        NoEmulatedMesh: it has no emulated mesh.
    """
    from jobs.launch import found as finding

    answers = by_socket.asked(finding.state_dir(), COORDINATOR, _ask)
    return _by_ray() if answers is None else answers


def _by_ray() -> Protection:
    from actors.runtime import log
    from jobs.launch import session
    from serve_apps.settings import Settings

    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running_mesh(settings)
    try:
        return interruption.run(_ask())
    finally:
        running.close()


async def _ask() -> Protection:
    membership = await control.coordinator(timeout_s=STATUS_S).membership()
    names = membership.placement.shards
    asking = (_one(name) for name in names)
    answers = dict(zip(names, await asyncio.gather(*asking), strict=True))
    return Protection(
        {name: answer for name, answer in answers.items() if not isinstance(answer, str)},
        {name: answer for name, answer in answers.items() if isinstance(answer, str)},
    )


async def _one(name: str) -> dict[str, Any] | str:
    try:
        return await control.shard(name, timeout_s=STATUS_S).protection()
    except X0Error as error:  # a shard that is down is part of the answer
        return error.why
