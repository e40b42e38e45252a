"""The process that follows the networks of a session, whatever runs it.

Each network has a loop of its own. A loop that ends by a defect ends the process, which is then
started again and goes on with the incidents that were open: nobody takes a dead loop for calm.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from actors.history import client as history
from actors.history.archive import Archive
from actors.mesh.errors import NoEmulatedMesh
from actors.mesh.live_source import LiveSource
from actors.runtime import alert_forwarding, log, spawn
from actors.runtime.error_handler import ErrorHandler
from actors.topology.provenance import Network
from actors.xdp import client as xdp
from serve_apps.gateway.errors import NoObserver
from serve_apps.inference import live_loop
from serve_apps.inference.condition import condition_model
from serve_apps.inference.hosts_traffic import HostsTraffic
from serve_apps.inference.learnt_ranking import ranker_of
from serve_apps.inference.live_loop import CONTEXT, LiveLoop, LiveOptions
from serve_apps.inference.looking import MeshLooks, ObservedLooks
from serve_apps.inference.settings import SHIPPED, InferenceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from actors.runtime.metrics import Metrics
    from serve_apps.inference.looking import NetworkLooks
    from serve_apps.inference.node_graph import NodeGraph
    from serve_apps.settings import Settings


@dataclass(frozen=True, slots=True)
class ReplicaOptions:
    """What the process is started with.

    Attributes:
        namespace: of the session.
        archive: where its history is.
        networks: how each network is followed.
        models: directory of the models that are used.
        log_level: least severe line to log.
        xdp: whether hosts have an actor that owns XDP, which counts what they receive.
    """

    namespace: str
    archive: Archive
    networks: tuple[LiveOptions, ...]
    models: Path = SHIPPED
    log_level: str = "INFO"
    xdp: bool = False

    @classmethod
    def of(cls, settings: Settings, networks: Sequence[Network], began_at: float) -> Self:
        """Those of a session.

        Args:
            settings: of the session.
            networks: that it has.
            began_at: Unix time at which it began, s.
        """
        live = {
            Network.EMULATED: LiveOptions.emulated(settings.hello_s, began_at),
            Network.OBSERVED: LiveOptions.observed(settings.observe_poll_s),
        }
        followed = tuple(live[network] for network in networks if network in live)
        models = InferenceOptions.of(settings).models
        return cls(
            settings.namespace,
            Archive.of(settings),
            followed,
            models,
            settings.log_level,
            settings.xdp,
        )


class LiveReplica:
    """Follows networks for as long as its process lives.

    Args:
        options: which, and how.
        metrics: where it counts; None: Ray exports it.
        end: ends the process.
    """

    def __init__(
        self,
        options: ReplicaOptions,
        metrics: Metrics | None = None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        log.configure(options.log_level)
        self._options = options
        self._metrics = metrics
        self._errors: ErrorHandler | None = None
        self._end = end
        self._tasks: list[asyncio.Task[None]] = []
        self._loops: dict[Network, LiveLoop] = {}

    async def follow(self) -> None:
        """Begin, unless it has begun."""
        if self._tasks:
            return
        spawn.work_in(self._options.namespace)
        metrics = self._metrics or spawn.ray_metrics()
        if self._metrics is None:
            alerting = alert_forwarding.forwarding(self._options.namespace)
            self._tasks.append(asyncio.create_task(alerting))
        self._errors = errors = ErrorHandler(CONTEXT, metrics)
        unusable = partial(errors.handle, severity="warning", during="loading models")
        ranker = await asyncio.to_thread(ranker_of, self._options.models, unusable)
        for options in self._options.networks:
            looks = _looks(options)
            loop = LiveLoop(
                options,
                looks,
                ranker,
                history.report,
                metrics,
                partial(live_loop.remembered, self._options.archive, options.network),
                condition_model(self._options.models, unusable),
                self._traffic(looks),
            )
            self._loops[options.network] = loop
            self._tasks.append(asyncio.create_task(self._guarded(loop)))

    def _traffic(self, looks: NetworkLooks) -> HostsTraffic | None:
        """Reads what hosts receive: only a real network has their addresses."""
        if not (self._options.xdp and isinstance(looks, ObservedLooks)):
            return None
        return HostsTraffic(xdp, spawn.hosts, lambda: looks.network)

    async def newest(self, network: Network | None) -> NodeGraph:
        """The nodes of a network as they were in the last interval.

        Args:
            network: which; None: the emulated mesh, or what is observed where nothing is emulated.

        Raises:
            NoEmulatedMesh, NoObserver: the session has no such network.
            Unavailable: nothing has been measured of it yet.
        """
        return await self._loop(network).condition()

    async def incidents(self, network: Network | None) -> list[dict[str, Any]]:
        """The open incidents of a network, the oldest first, for JSON.

        Raises:
            NoEmulatedMesh, NoObserver, Unavailable: as `newest`.
        """
        loop = self._loop(network)
        await loop.condition()  # what has not been judged yet is not calm
        return loop.told()

    def _loop(self, network: Network | None) -> LiveLoop:
        asked = Network.EMULATED if network is None else network
        if network is None and asked not in self._loops:
            asked = Network.OBSERVED
        if asked not in self._loops:
            raise NoEmulatedMesh if asked is Network.EMULATED else NoObserver
        return self._loops[asked]

    async def _guarded(self, loop: LiveLoop) -> None:
        try:
            await loop.run()
        except Exception as error:  # noqa: BLE001 - handled, and the process ends
            assert self._errors is not None  # noqa: S101 - made before
            self._errors.handle(error, severity="critical")
            self._end(os.EX_SOFTWARE)


def _looks(options: LiveOptions) -> NetworkLooks:
    if options.network is Network.EMULATED:
        return MeshLooks(LiveSource(), options.interval_s)
    return ObservedLooks()
