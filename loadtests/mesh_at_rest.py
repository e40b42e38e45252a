"""What a mesh that carries no messages takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.mesh.actor import MeshShard
from actors.mesh.coordinator import MeshCoordinator
from loadtests import footprint, private_cluster
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from actors.mesh.contract import MeshStatus
    from actors.runtime.flags import Flags
    from cluster.local import LocalCluster
    from loadtests.benchmark import Progress


def cores(
    cluster: LocalCluster, topology: str, seconds: float, progress: Progress, flags: Flags
) -> float:
    """Cores that shards and coordinator of a mesh of two shards take."""

    async def use(_: MeshStatus) -> float:
        processes = footprint.actors(cluster, [MeshShard.__name__, MeshCoordinator.__name__])
        progress("at rest")
        return await footprint.cores_used(processes, seconds)

    settings = Settings.load(topology=topology, shards=2, hello_s=1.0)
    return private_cluster.on_mesh(settings, progress, use, flags)
