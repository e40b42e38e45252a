"""The basis of an actor: log, errors, metrics, clock, loop lag, and state.

An actor is `starting` until the coroutine given to `_begin` has ended, then `ready`. An `X0Error`
from it is a fault that a restart would not correct (a map that cannot be read, a database of a
newer version): the actor is `failed`, lives on, and callers that wait in `_ready` get the error. A
start that waits for a person to correct it says so with `_fails`, and goes on trying.
Anything else that ends the start, or a loop given to `_vital`, is a defect or an accident: the
process ends, and Ray restarts the actor. So no actor lives on without its loops.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar

from actors.runtime import alert_forwarding, ids, log, remote, spawn
from actors.runtime.actor_health import ActorHealth
from actors.runtime.clock import SystemClock
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import X0Error
from actors.runtime.lag import PROBE_S, LoopLag
from actors.runtime.loop_lag_alert import LoopLagAlert

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from actors.runtime.metrics import Metrics


class ActorShell:
    """The base of all actor classes.

    Args:
        name: name of the actor.
        log_level: least severe line to log.
        context: label of the actor's errors in metrics, shared by actors of one kind.
        metrics: metrics to count in; None for Ray's.

    Attributes:
        probe_s: time between two looks at the lag of the loop, s; each takes processor time.
    """

    probe_s: ClassVar[float] = PROBE_S

    def __init__(
        self, name: str, *, log_level: str, context: str = "", metrics: Metrics | None = None
    ) -> None:
        log.configure(log_level)
        self._name = name
        self._log = log.get(type(self).__module__).bind(actor=name)
        self._clock = SystemClock()
        self._metrics = metrics or spawn.ray_metrics()
        self._errors = ErrorHandler(context or name, self._metrics)
        self._incarnation = ids.random_id()
        self._failure: X0Error | None = None
        self._waits_for = "it has just been started"
        self._started = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        gauge = self._metrics.gauge(
            "x0tta6bl4_actor_loop_lag_seconds",
            "Largest delay of the event loop in the last second",
            ("actor",),
        )
        alert = LoopLagAlert(name)

        def tell(late_s: float) -> None:
            gauge.set(late_s, actor=name)
            alert.note(late_s, time.time())

        self._lag = LoopLag(self._clock, tell, probe_s=self.probe_s)
        self._start(self._lag.probe())
        if metrics is None:  # a process of a cluster, whose actor takes alerts over
            self._start(alert_forwarding.forwarding(spawn.scope()[1]))

    def __repr__(self) -> str:
        return self._name

    # -- tasks -----------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task whose failure is logged and counted, without other consequences."""
        self._errors.watch(self._run(work))

    def _vital(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a loop that the actor needs: if the loop ends, the process ends."""
        self._run(self._guarded(work))

    def _begin(self, work: Coroutine[Any, Any, None], contract: type) -> None:
        """Run the start of the actor, and answer the methods of its contract meanwhile."""
        self._run(self._starting(work))
        self._start(self._serve(contract))

    async def _serve(self, contract: type) -> None:
        try:
            self._listener = await remote.serve(self._name, self, contract)
        except OSError as error:  # calls then go through Ray, at a higher cost
            self._errors.handle(error, severity="warning")

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - handled, and the process ends
            self._end(error)
        else:
            self._end(RuntimeError("a loop of the actor has ended"))

    def _fails(self, error: X0Error, *, alerted: bool = False) -> None:
        """In a start that goes on trying: the actor is `failed` until the start has ended."""
        if str(error) != str(self._failure):
            self._errors.handle(error, severity="critical", alerted=alerted, during="start")
        self._failure = error
        self._started.set()

    async def _starting(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
            self._failure = None
        except X0Error as error:
            self._errors.handle(error, severity="critical", during="start")
            self._failure = error
        except Exception as error:  # noqa: BLE001 - handled, and the process ends
            self._end(error)
        # Objects from the start stay alive. Without this, each collection of the oldest generation
        # would visit them, which blocks this loop for a tenth of a second.
        gc.freeze()
        self._started.set()

    def _end(self, error: Exception) -> None:
        self._errors.handle(error, severity="critical")
        os._exit(os.EX_SOFTWARE)

    # -- state -----------------------------------------------------------------------------------

    async def _ready(self) -> None:
        """Wait until the actor is ready.

        Raises:
            X0Error: the reason why the actor failed.
        """
        await self._started.wait()
        if self._failure is not None:
            raise self._failure

    async def health(self) -> ActorHealth:
        """The health of the actor. Answers also while it starts and after it has failed."""
        pid = os.getpid()
        if not self._started.is_set():
            return ActorHealth("starting", self._waits_for, self._incarnation, pid)
        if self._failure is not None:
            return ActorHealth("failed", str(self._failure), self._incarnation, pid)
        return ActorHealth("ready", "", self._incarnation, pid)
