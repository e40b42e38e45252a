"""Asks actors of the session on record by their sockets: no cluster is joined, Ray is not imported.

That takes a fraction of a second less than to join, and needs no gateway.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from actors.runtime import remote
from jobs.launch import interruption
from jobs.launch.record import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from serve_apps.settings import Settings

T = TypeVar("T")


def asked(state_dir: Path, actor: str, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """What an actor of the session on record answers.

    Args:
        state_dir: where the session is on record.
        actor: name of the actor.
        question: asks it.

    Returns:
        None: no session is on record, another one is meant (RAY_ADDRESS), or the actor has no
        socket on this machine.

    Raises:
        ConfigurationError: the record cannot be read.
        X0Error: what the actor raised, or that it has gone meanwhile.
    """
    record = SessionRecord.load(state_dir)
    if record is None or not record.session or os.environ.get("RAY_ADDRESS"):
        return None

    async def ask() -> T | None:
        return await question() if await remote.to(actor).has_socket() else None

    with remote.by_sockets(record.session, record.namespace):
        return interruption.run(ask())


def asked_or_joined(
    settings: Settings, actor: str, question: Callable[[], Coroutine[Any, Any, T]]
) -> T:
    """What an actor of the running session answers: by its socket, else by joining the cluster.

    Raises:
        NotRunning: no session runs, or it has no such actor.
        X0Error: what the actor raised, or that it does not answer.
    """
    answer = asked(settings.state_dir, actor, question)
    if answer is not None:
        return answer
    from jobs.launch import session

    running = session.running(settings)
    try:
        return interruption.run(question())
    finally:
        running.close()
