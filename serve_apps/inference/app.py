"""Inference on Ray Serve: starts it, warms it up, and scores requests together. It decides nothing.

It is an application of its own beside the gateway, so that a long evaluation never holds a message
up. A replica is ready when the first explanation takes as long as any other. What follows the
networks of the session is in another process, which ends, and is started again, for faults of its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from ray import serve
from ray.serve.schema import LoggingConfig
from threadpoolctl import threadpool_limits

from actors.runtime import alert_forwarding, log, spawn
from actors.runtime.errors import ActorUnavailable
from serve_apps.gateway.settings import GatewayOptions
from serve_apps.inference import shapley
from serve_apps.inference.http.application import PATH, build
from serve_apps.inference.inference_state import Inference, Job, scored_together
from serve_apps.inference.limits import Limits
from serve_apps.inference.live_replica import LiveReplica, ReplicaOptions
from serve_apps.inference.settings import InferenceOptions
from serve_apps.settings import Settings
from serve_apps.web.auth import ensure_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from fastapi import FastAPI
    from ray.serve import Application

    from actors.runtime.errors import X0Error
    from actors.topology.provenance import Network
    from serve_apps.inference.node_graph import NodeGraph
    from serve_apps.inference.scoring import Scores

NAME: Final = "inference"
FOLLOWING: Final = "following"  # of the same application, in a process of its own
_ANSWER_S: Final = 10.0  # of that process
_MOST_REQUESTS: Final = 1024
_BEHIND: Final = 19  # niceness of the warm-up: it takes seconds that nobody waits for
_BATCH: Final = Limits().batch_nodes


def _size(jobs: list[Job]) -> int:
    """Nodes to be scored together; a network that is larger than a batch is one of its own."""
    nodes = sum(len(job.graph.nodes) for job in jobs)
    return nodes if len(jobs) > 1 else min(nodes, _BATCH)


# Whatever waits is taken at once: a first request does not wait for others.
@serve.batch(max_batch_size=_BATCH, batch_wait_timeout_s=0.0, batch_size_fn=_size)
async def _evaluate(jobs: list[Job]) -> list[Scores | X0Error]:
    return await scored_together(jobs)


def _warm_up() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, _BEHIND)  # of this thread alone (Linux)
    shapley.warm_up()


class Following:
    """The process that follows the networks of the session."""

    def __init__(self, options: ReplicaOptions) -> None:
        self._replica = LiveReplica(options)

    async def check_health(self) -> None:
        """Begin with the first look that Serve takes."""
        await self._replica.follow()

    async def newest(self, network: Network | None) -> NodeGraph:
        """See `LiveReplica.newest`."""
        return await self._replica.newest(network)

    async def incidents(self, network: Network | None) -> list[dict[str, Any]]:
        """See `LiveReplica.incidents`."""
        return await self._replica.incidents(network)


class _Running:
    """Asks `Following`, in its own process."""

    async def newest(self, network: Network | None) -> NodeGraph:
        """See `LiveReplica.newest`.

        Raises:
            Unavailable: it does not answer.
        """
        found: NodeGraph = await self._asked(lambda handle: handle.newest.remote(network))
        return found

    async def incidents(self, network: Network | None) -> list[dict[str, Any]]:
        """See `LiveReplica.incidents`.

        Raises:
            Unavailable: it does not answer.
        """
        found: list[dict[str, Any]] = await self._asked(
            lambda handle: handle.incidents.remote(network)
        )
        return found

    async def _asked(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await ask(serve.get_deployment_handle(FOLLOWING, NAME))
        except TimeoutError:
            raise ActorUnavailable(FOLLOWING, f"no answer in {_ANSWER_S:g} s") from None
        except Exception as error:
            raise spawn.explained(error, FOLLOWING) from error


def _application(
    namespace: str, log_level: str, state_dir: Path, options: InferenceOptions
) -> FastAPI:
    """The routes."""
    log.configure(log_level)
    spawn.work_in(namespace)
    # Networks are narrow: on a busy machine several threads only wait for each other.
    threadpool_limits(1, "blas")
    inference = Inference(ensure_token(state_dir), options, metrics=spawn.ray_metrics())
    inference.evaluate = _evaluate
    inference.running = _Running()

    @contextlib.asynccontextmanager
    async def beside(_app: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(1) as apart:
            await asyncio.get_running_loop().run_in_executor(apart, _warm_up)
        gc.freeze()  # see the gateway's
        alerting = asyncio.create_task(alert_forwarding.forwarding(namespace))
        yield
        alerting.cancel()

    routes = build(inference)
    routes.router.lifespan_context = beside
    return routes


def app(arguments: dict[str, Any]) -> Application:
    """The Serve application, as a Serve configuration and `deploy` name it.

    Args:
        arguments: settings by name that win over the environment's.
    """
    settings = Settings.load(**arguments)
    return _bound(settings, GatewayOptions.of(settings).networks, time.time())


def _bound(settings: Settings, networks: tuple[Network, ...], began_at: float) -> Application:
    # The options travel with the application: the settings of this process hold on every host.
    options = InferenceOptions.of(settings)
    what = settings.namespace, settings.log_level, settings.state_dir, options

    def builder() -> FastAPI:
        return _application(*what)

    deployment: Any = serve.deployment(
        name=NAME,
        num_replicas=1,
        max_ongoing_requests=_MOST_REQUESTS,  # our own bounds answer 429
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=10,
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=2,
        logging_config=LoggingConfig(enable_access_log=False, encoding="JSON"),
    )(serve.ingress(builder)())
    following: Any = serve.deployment(
        name=FOLLOWING,
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=10,
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=2,
        logging_config=LoggingConfig(enable_access_log=False, encoding="JSON"),
    )(Following).bind(ReplicaOptions.of(settings, networks, began_at))
    bound: Application = deployment.bind(following)
    return bound


def deploy(settings: Settings, networks: tuple[Network, ...], began_at: float) -> None:
    """Start inference on Serve, which runs on the cluster that this process has joined.

    Returns when it is ready.

    Args:
        settings: of the session.
        networks: that it has.
        began_at: Unix time at which it began, s.
    """
    serve.run(_bound(settings, networks, began_at), name=NAME, route_prefix=PATH)
