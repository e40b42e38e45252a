"""What the shards of the running mesh say of how they prove themselves."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, STATUS_S
from actors.runtime.errors import InvalidInput, X0Error, close_matches
from jobs.launch import by_socket, interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

T = TypeVar("T")


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
    return _answered(_ask)


def forget(names: Sequence[str]) -> list[str]:
    """Have the enrolled keys of nodes or shards of the running mesh forgotten.

    The next key that each comes with is enrolled in its place.

    Raises:
        InvalidInput: no key is enrolled for one of them; none is forgotten.
        NotRunning: no session runs.
        NoEmulatedMesh: it has no emulated mesh.
    """
    return _answered(lambda: _forget(names))


async def _forget(names: Sequence[str]) -> list[str]:
    from actors.identity.enrolment import Enrolment

    options = await control.coordinator(timeout_s=STATUS_S).options()
    registry = Enrolment(options.shard.directory)
    known = registry.names()
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"no key is enrolled for {name}",
                "it is the name of no node or shard that has proven itself in this mesh",
                close_matches(name, known) or "`x0 beacons --nodes` lists the nodes that sign.",
                entry=name,
            )
    return registry.forget(names)


def _answered(question: Callable[[], Coroutine[Any, Any, T]]) -> T:
    from jobs.launch import found as finding

    answer = by_socket.asked(finding.state_dir(), COORDINATOR, question)
    return _by_ray(question) if answer is None else answer


def _by_ray(question: Callable[[], Coroutine[Any, Any, T]]) -> T:
    from actors.runtime import log
    from jobs.launch import session
    from serve_apps.settings import Settings

    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running_mesh(settings)
    try:
        return interruption.run(question())
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
