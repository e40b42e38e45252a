"""The actor that starts the companions that `x0 watch` does not wait for, and then ends.

They take seconds of all cores, in which the first questions would be answered late; and the command
that launched the session may have ended before. While there is this actor, `x0 status` shows what
is still to be started; where something cannot be, the actor stays and says why.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from actors.runtime import spawn
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import Unavailable, X0Error
from actors.runtime.shell import ActorShell
from jobs.launch.companion import STARTER, Rest

if TYPE_CHECKING:
    from actors.runtime.metrics import Metrics
    from jobs.launch.companion import Companion

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
        self._rest = rest
        self._waits_for = rest.why
        self._begin(self._start_all(), ActorContract)

    async def _start_all(self) -> None:
        os.nice(_BEHIND)
        plan, failed = self._rest.plan, []
        for place, companion in enumerate(self._rest.companions):
            self._waits_for = Rest(plan, self._rest.companions[place:]).why
            try:
                await asyncio.to_thread(self._start_one, companion)
            except X0Error as error:  # the others are no worse for it
                self._errors.handle(error, companion=companion.name)
                failed.append(f"{companion.name}: {error}")
            except Exception as error:  # noqa: BLE001 - handled, and told as well
                self._errors.handle(error, companion=companion.name)
                failed.append(f"{companion.name}: {type(error).__name__}: {error}")
        if failed:
            raise Unavailable(
                "not all companions could be started",
                "; ".join(failed),
                "`x0 down`, then `x0 watch` again; the logs say more.",
                retry_after_s=60.0,
            )
        self._log.info("all companions have been started")
        await asyncio.to_thread(spawn.end, STARTER)

    def _start_one(self, companion: Companion) -> None:
        wait = companion.start(self._rest.plan)
        if wait is not None:
            wait(self._log.info)
