"""The gateway on Ray Serve: starts it, and keeps it looking at the mesh. It decides nothing.

The port answers from the first moment; joining the mesh happens beside, so that `/healthz` is 200
and `/readyz` tells the progress while shards and routes are still being made.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from actors.history.archive import Archive
from actors.observe import client as observer
from actors.payments.shop import Shop
from actors.runtime import alert_forwarding, log, spawn
from actors.topology.provenance import Network
from actors.twin import client as twin
from actors.twin.contract import twins
from serve_apps import operations
from serve_apps.gateway.alert_channels import alert_channels
from serve_apps.gateway.cluster_watch import ClusterWatch
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.settings import GatewayOptions
from serve_apps.gateway.watching import MeshWatcher
from serve_apps.settings import Settings
from serve_apps.web.auth import ensure_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from ray.serve import Application

    from serve_apps.gateway.settings import MtlsOptions


NAME: Final = "gateway"
_POLL_S: Final = 0.02
_MOST_REQUESTS: Final = 4096  # as many connections as HAProxy takes


def _application(
    namespace: str, log_level: str, shop: Shop, options: GatewayOptions, archive: Archive
) -> FastAPI:
    """The routes, with the watch beside them for as long as they are served."""
    log.configure(log_level)
    spawn.work_in(namespace)
    gateway = Gateway(
        ensure_token(shop.state_dir),
        shop=shop,
        metrics=spawn.ray_metrics(),
        options=options,
        archive=archive,
    )
    gateway.cluster = watch = ClusterWatch(spawn.control_address())
    for network, name in twins(options.networks).items():
        gateway.twins[network] = functools.partial(twin.ask, twin=name)
    gateway.operations = functools.partial(operations.session_state, options.networks)
    gateway.alerts = alert_channels
    if Network.OBSERVED in options.networks:
        gateway.observed.observer = observer

    @contextlib.asynccontextmanager
    async def beside(app: FastAPI) -> AsyncIterator[None]:
        # What was imported and built stays. Collections of the oldest generation would go through
        # it on this loop: a tenth of a second each.
        gc.freeze()
        always = (gateway.counts.lag.probe(), watch.run(), alert_forwarding.forwarding(namespace))
        tasks = [asyncio.create_task(work) for work in always]
        if Network.EMULATED in options.networks:
            tasks.append(asyncio.create_task(MeshWatcher(gateway).run()))
        if Network.OBSERVED in options.networks:
            tasks.append(asyncio.create_task(gateway.observed.follow()))
        if options.mtls is not None:
            gateway.errors.watch(listening := asyncio.create_task(_over_mtls(app, options.mtls)))
            tasks.append(listening)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(gateway.payments.close)

    routes = build(gateway)
    routes.router.lifespan_context = beside
    return routes


async def _over_mtls(app: FastAPI, options: MtlsOptions) -> None:
    from serve_apps.gateway import mtls_listener  # noqa: PLC0415 - gRPC takes time to import

    await mtls_listener.listen(app, options)


def app(arguments: dict[str, Any]) -> Application:
    """The Serve application, as `serve_config.yaml` and `deploy` name it.

    Args:
        arguments: settings by name that win over the environment's.
    """
    return _bound(Settings.load(**arguments))


def _bound(settings: Settings, networks: tuple[Network, ...] | None = None) -> Application:
    # The shop travels with the application: the settings of this process hold on every host.
    options = GatewayOptions.of(settings)
    if networks is not None:
        options = replace(options, networks=networks)
    shop, archive = Shop.of(settings.for_orders()), Archive.of(settings)
    what = settings.namespace, settings.log_level, shop, options, archive

    def builder() -> FastAPI:
        return _application(*what)

    deployment: Any = serve.deployment(
        name=NAME,
        num_replicas=1,
        # Our own bounds answer 429; Serve's would answer 503 without a problem document.
        max_ongoing_requests=_MOST_REQUESTS,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=10,
        graceful_shutdown_timeout_s=2,
        logging_config=LoggingConfig(enable_access_log=False, encoding="JSON"),
    )(serve.ingress(builder)())
    bound: Application = deployment.bind()
    return bound


def deploy(
    settings: Settings, port: int, networks: tuple[Network, ...] = (Network.EMULATED,)
) -> None:
    """Start Serve on the cluster that this process has joined, and the gateway on it.

    Returns at once after Serve runs: the replica starts by itself.

    Args:
        settings: of the gateway.
        port: that it listens on.
        networks: those of its session.
    """
    os.environ.setdefault("RAY_SERVE_ENABLE_HA_PROXY", "1")
    options = HTTPOptions(host=settings.gateway_host, port=port)
    with ThreadPoolExecutor(1) as beside:
        # `serve.start` waits for the proxies, which the replica need not wait for.
        starting = beside.submit(serve.start, http_options=options)
        while not (starting.done() or serve.status().proxies):
            time.sleep(_POLL_S)
        if starting.done():
            starting.result()  # raises what kept Serve from starting
        serve.run(_bound(settings, networks), name=NAME, route_prefix="/")
        starting.result()
