"""Keeps a gateway's view of the mesh up to date."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.mesh import control
from actors.mesh.client import Mesh
from actors.mesh.formation import Formation
from actors.mesh.live_source import LiveSource
from actors.runtime.clock import SystemClock
from actors.runtime.errors import X0Error
from actors.topology.live import LOOK_S, Watch
from serve_apps.gateway.mesh_view import Snapshot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serve_apps.gateway.gateway_state import Gateway

STATUS_S: Final = 5.0  # how long the coordinator may take to tell its status


class MeshWatcher:
    """Two loops beside the routes: one looks at nodes and links, one asks how far the mesh is.

    They do not wait for each other, so that a shard that has stopped is told as soon as one look
    has waited for it in vain.

    Args:
        gateway: the gateway that is kept up to date.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._clock = SystemClock()
        self._watch = Watch(LiveSource(), self._clock)
        self._formation: Formation | None = None

    async def run(self) -> None:
        """Watch for ever; what fails is begun again."""
        looking, asking = self._looking, self._asking
        await asyncio.gather(self._again_and_again(looking), self._again_and_again(asking))

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except X0Error as error:
                if not self._gateway.ready:
                    self._gateway.progress = str(error)
            except Exception as error:  # noqa: BLE001 - counted and logged, and begun again
                self._gateway.errors.handle(error)
            await asyncio.sleep(LOOK_S)

    async def _looking(self) -> None:
        if self._gateway.mesh is None:
            self._gateway.mesh = await Mesh.attach()
        await self._watch.run(self._seen)

    async def _seen(self) -> None:
        """Take in what the watch has seen, and have the client work by the same membership."""
        seen, mesh = self._watch.mesh, self._gateway.mesh
        if seen is None or mesh is None:
            return
        if seen.roster.revision != mesh.membership.placement.version:
            await mesh.refresh()
        await self._gateway.take(
            Snapshot(
                topology=seen.roster.topology,
                present=seen.roster.present,
                parts=list(seen.parts.values()),
                down=self._watch.silent,
            )
        )

    async def _asking(self) -> None:
        gateway = self._gateway
        coordinator = control.coordinator(timeout_s=STATUS_S)
        if self._formation is None:
            self._formation = Formation((await coordinator.options()).shard.host.hold_s)
        status = await coordinator.status()
        if gateway.ready or gateway.view.topology is None:
            return
        lacking = self._formation.missing(status, self._clock.now())
        gateway.progress = f"waiting for {'; '.join(lacking)}" if lacking else "ready"
        gateway.ready = not lacking
