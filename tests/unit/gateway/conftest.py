"""A gateway over a mesh that is not there: the routes run in this process, without Ray."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from actors.history.archive import Archive
from actors.mesh.partition import Acceptance
from actors.topology.link_state import LinkState
from actors.topology.model import Topology
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.mesh_view import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.mesh.batch import MessageBatch
    from serve_apps.gateway.limits import Limits

TOKEN = "a-token-of-the-tests"  # noqa: S105 - opens nothing


class StillMesh:
    """Accepts messages, and refuses those of the nodes it is told to. Knows some ways."""

    def __init__(self, topology: Topology) -> None:
        placement = SimpleNamespace(partition_of=np.zeros(topology.n_nodes, np.int16))
        self.membership = SimpleNamespace(topology=topology, placement=placement)
        self.refusing: dict[int, int] = {}
        self.batches: list[MessageBatch] = []
        self.asked = asyncio.Event()
        self.known: dict[tuple[int, int], list[tuple[list[int], int]]] = {}

    async def paths(self, source: int, destination: int, most: int) -> list[tuple[list[int], int]]:
        return self.known[source, destination][:most]

    async def send_batch(self, batch: MessageBatch) -> Acceptance:
        self.batches.append(batch)
        self.asked.set()
        sources = batch.head["source"].tolist()
        refusal = np.array([self.refusing.get(s, 0) for s in sources], np.uint8)
        ids = np.where(refusal == 0, np.arange(1, len(batch) + 1), 0).astype(np.uint64)
        return Acceptance(ids, refusal)


def topology() -> Topology:
    return Topology.of(["a", "b", "c"], [(0, 1), (1, 2)])


def look(world: Topology, cut: tuple[int, ...] = (), **changes: Any) -> Snapshot:
    """All directed links up except those that are cut."""
    cost = np.full(2 * world.n_links, 256, np.int32)
    cost[list(cut)] = 0
    link = np.arange(2 * world.n_links, dtype=np.int32)
    given = {"down": {}} | changes
    present = np.ones(world.n_nodes, bool)
    return Snapshot(world, present, [LinkState(1, 1, link, cost, np.ones(len(link)))], **given)


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Any]:
    """Make a gateway with limits of its own, ready, and a client of it."""

    async def started(limits: Limits | None = None, *, ready: bool = True, **given: Any) -> Any:
        archive = Archive(SecretStr(f"sqlite:///{tmp_path / 'history.db'}"), tmp_path / "history")
        gateway = Gateway(TOKEN, limits, **{"archive": archive} | given)
        if ready:
            world = topology()
            await gateway.take(look(world))
            gateway.mesh = StillMesh(world)  # type: ignore[assignment]
            gateway.ready = True
        transport = httpx.ASGITransport(build(gateway), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        return gateway, client

    return started
