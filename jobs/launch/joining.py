"""How a job joins a cluster and asks the mesh in it, without an event loop of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from actors.mesh import control
from actors.runtime import spawn
from jobs.launch import interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.mesh.contract import CoordinatorContract

T = TypeVar("T")


def join(address: str, namespace: str) -> None:
    """Join a cluster and keep the signals, of which Ray takes one.

    Raises:
        NotRunning: none answers at `address`.
        ConfigurationError: it refuses this user's token, or the address is not host:port.
    """
    spawn.connect(address, namespace)
    interruption.rearm()


def ask(question: Callable[[CoordinatorContract], Coroutine[Any, Any, T]], timeout_s: float) -> T:
    """Call a method of the coordinator and wait for its answer.

    A thread waits for it: the caller may run an event loop, as a notebook does.

    Args:
        question: calls the method.
        timeout_s: for the answer.

    Raises:
        NotRunning: there is no coordinator.
        ActorUnavailable: it does not answer in time.
        X0Error: what it raised.
    """
    answer: Future[T] = Future()

    async def asked() -> T:
        return await question(control.coordinator(timeout_s=timeout_s))

    def wait() -> None:
        try:
            answer.set_result(asyncio.run(asked()))
        except BaseException as error:  # noqa: BLE001 - raised where the answer is taken
            answer.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    return answer.result()


def dashboard_url() -> str:
    """Of the cluster that this process has joined; "" without a dashboard."""
    import ray  # not before `spawn`, which sets what Ray reads when imported

    # Already joined, `init` does nothing but answer with the cluster's addresses.
    address = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url
    return f"http://{address}" if address else ""
