"""How a job joins a cluster and asks the mesh in it, without an event loop of its own."""

from __future__ import annotations

import logging
from typing import Any

from actors.mesh.contract import COORDINATOR
from actors.runtime import spawn
from actors.runtime.errors import ActorUnavailable
from jobs.launch import interruption


def join(address: str, namespace: str) -> None:
    """Join a cluster and keep the signals, of which Ray takes one.

    Raises:
        NotRunning: none answers at `address`.
        ConfigurationError: it refuses this user's token, or the address is not host:port.
    """
    spawn.connect(address, namespace)
    interruption.rearm()


def ask(method: str, timeout_s: float) -> Any:  # noqa: ANN401 - the answer of any method
    """Call a method of the coordinator and wait for its answer.

    Raises:
        NotRunning: there is no coordinator.
        ActorUnavailable: it does not answer in time.
        X0Error: what it raised.
    """
    answer = getattr(spawn.find(COORDINATOR), method).remote().future()
    try:
        # A thread delivers it: the caller may run an event loop, as a notebook does.
        return answer.result(timeout=timeout_s)
    except TimeoutError as error:
        raise ActorUnavailable(COORDINATOR) from error
    except Exception as error:
        raise spawn.explained(error, COORDINATOR) from error


def dashboard_url() -> str:
    """Of the cluster that this process has joined; "" without a dashboard."""
    import ray  # not before `spawn`, which sets what Ray reads when imported

    # Already joined, `init` does nothing but answer with the cluster's addresses.
    address = ray.init(ignore_reinit_error=True, logging_level=logging.ERROR).dashboard_url
    return f"http://{address}" if address else ""
