"""The actor that starts the companions that nobody waits for, and then ends.

They take seconds of all cores, in which the first questions would be answered late; and the command
that launched the session may have ended before. While there is this actor, `x0 status` shows what
is still to be started; where something cannot be, the actor stays and says why. What only takes
longer than usual, as on a busy machine, is starting and has not failed: it is waited for again.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Final

from actors.runtime import spawn
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import Unavailable, X0Error
from actors.runtime.shell import ActorShell
from jobs.launch.companion import STARTER, Rest, StillStarting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.metrics import Metrics
    from jobs.launch.companion import Companion, Wait

_BEHIND: Final = 10  # niceness: whoever asks something now goes first


class StarterActor(ActorShell):
    """Starts companions, one after the other, until each can be used.

    A restart of this actor begins again: to start what is there already does nothing.

    Args:
        rest: what is to be started.
        metrics: where it counts; None: Ray exports it.
    """

    def __init__(self, rest: Rest, *, metrics: Metrics | None = None) -> None:
        super().__init__(STARTER, log_level=rest.plan.settings.log_level, metrics=metrics)
        self._plan = rest.plan
        self._rest = deque(rest.companions)
        self._waits: dict[str, Wait | None] = {}  # of those that have been started
        self._late: dict[str, str] = {}  # why, of those that have been waited for in vain
        self._failed: dict[str, str] = {}
        self._waits_for = rest.why
        self._begin(self._start_all(), ActorContract)

    async def _start_all(self) -> None:
        os.nice(_BEHIND)
        while self._rest:
            still = Rest(self._plan, tuple(self._rest)).why
            self._waits_for = "; ".join((still, *_lines(self._late)))
            companion = self._rest.popleft()
            try:
                await asyncio.to_thread(self._start_one, companion)
            except StillStarting as error:
                self._wait_longer(companion, error)
            except X0Error as error:  # the others are no worse for it
                self._fails_to_start(companion, error, str(error))
            except Exception as error:  # noqa: BLE001 - handled, and told as well
                self._fails_to_start(companion, error, f"{type(error).__name__}: {error}")
            else:
                self._late.pop(companion.name, None)
        if self._failed:
            raise Unavailable(
                "not all companions could be started",
                "; ".join(_lines(self._failed)),
                "`x0 down`, then start again; the logs say more.",
                retry_after_s=60.0,
            )
        self._log.info("all companions have been started")
        await asyncio.to_thread(spawn.end, STARTER)

    def _start_one(self, companion: Companion) -> None:
        if companion.name not in self._waits:
            self._waits[companion.name] = companion.start(self._plan)
        wait = self._waits[companion.name]
        if wait is not None:
            wait(self._log.info)

    def _wait_longer(self, companion: Companion, error: StillStarting) -> None:
        """Go on with the others before it is waited for again."""
        if self._failed:  # which may be what it waits for
            self._fails_to_start(companion, error, str(error))
            return
        if companion.name not in self._late:
            self._errors.handle(error, severity="warning", companion=companion.name)
        self._late[companion.name] = str(error)
        self._rest.append(companion)

    def _fails_to_start(self, companion: Companion, error: Exception, why: str) -> None:
        self._errors.handle(error, companion=companion.name)
        self._failed[companion.name] = why


def _lines(why: Mapping[str, str]) -> list[str]:
    return [f"{name}: {reason}" for name, reason in why.items()]
