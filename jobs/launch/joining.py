"""How a job joins a cluster and asks the actors in it, without an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.mesh import control
from actors.runtime import remote
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import Unavailable
from jobs.launch import interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.mesh.contract import CoordinatorContract
    from jobs.launch.companion import Wait
    from jobs.launch.readiness import Progress

T = TypeVar("T")
START_S: Final = 120.0  # longest start of an actor; a source may take a minute to answer
_HEALTH_S: Final = 2.0
_POLL_S: Final = 0.05


def join(address: str, namespace: str) -> None:
    """Join a cluster and keep the signals, of which Ray takes one.

    Raises:
        NotRunning: none answers at `address`.
        ConfigurationError: it refuses this user's token, or the address is not host:port.
    """
    from actors.runtime import spawn

    spawn.connect(address, namespace)
    interruption.rearm()


def leave() -> None:
    """Leave the cluster, if this process has joined one; its actors live on."""
    from actors.runtime import spawn

    spawn.disconnect()


def ask(question: Callable[[CoordinatorContract], Coroutine[Any, Any, T]], timeout_s: float) -> T:
    """Call a method of the coordinator and wait for its answer.

    Args:
        question: calls the method.
        timeout_s: for the answer.

    Raises:
        NotRunning: there is no coordinator.
        ActorUnavailable: it does not answer in time.
        X0Error: what it raised.
    """

    async def asked() -> T:
        return await question(control.coordinator(timeout_s=timeout_s))

    return wait_for(asked)


def wait_for(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in a thread: the caller may run an event loop, as a notebook does.

    Raises:
        Exception: what it raised.
    """
    answer: Future[T] = Future()

    def wait() -> None:
        try:
            answer.set_result(asyncio.run(work()))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is taken
            answer.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    return answer.result()


def until_ready(actor: str) -> Wait:
    """What waits until an actor has ended its start."""

    async def ready(tell: Progress) -> None:
        """Ask it again and again.

        Raises:
            Unavailable: its start has failed, or takes too long; the error says why.
        """
        deadline = time.monotonic() + START_S
        asked = remote.proxy(ActorContract, actor, timeout_s=_HEALTH_S)
        said = ""
        while True:
            try:
                health = await asked.health()
            except Unavailable as error:
                state, why = "starting", error.why
            else:
                state, why = health.state, health.why
            if state == "ready":
                return
            if state == "failed" or time.monotonic() > deadline:
                raise Unavailable(
                    f"the {actor} is not ready", why, "See `x0 status`.", retry_after_s=5.0
                )
            if why != said:
                said = why
                tell(f"waiting for the {actor}: {why}")
            await asyncio.sleep(_POLL_S)

    return lambda tell: wait_for(lambda: ready(tell))


def dashboard_url() -> str:
    """Of the cluster that this process has joined; "" without a dashboard."""
    import ray  # not before `spawn`, which sets what Ray reads when imported

    # Already joined, `init` does nothing but answer with the cluster's addresses.
    address = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url
    return f"http://{address}" if address else ""
