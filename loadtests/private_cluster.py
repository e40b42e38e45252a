"""A Ray cluster for one benchmark, and meshes on it, found as a user's would be found."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from actors.runtime import spawn
from actors.runtime.flags import Flags
from cluster.local import LocalCluster
from cluster.ray_start import HeadOptions
from jobs.launch import session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from actors.mesh.contract import MeshStatus
    from loadtests.benchmark import Progress
    from serve_apps.settings import Settings

T = TypeVar("T")
READY_TIMEOUT_S: Final = 300.0  # limit for a mesh to become ready; thousands of nodes take long


@contextlib.contextmanager
def ray_address(address: str | None) -> Iterator[None]:
    """Set RAY_ADDRESS for the length of a block; with None, a mesh starts a cluster of its own."""
    before = os.environ.pop("RAY_ADDRESS", None)
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    try:
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        if before is not None:
            os.environ["RAY_ADDRESS"] = before


@contextlib.contextmanager
def started(progress: Progress) -> Iterator[LocalCluster]:
    """A cluster that all meshes of a run share, named by RAY_ADDRESS; no dashboard, which costs."""
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        progress("starting Ray")
        cluster = LocalCluster.start(Path(directory), HeadOptions(dashboard=False))
        try:
            with ray_address(cluster.address):
                yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def namespace(cluster: LocalCluster, name: str) -> Iterator[None]:
    """Join a cluster for the length of a block, and end the actors of that namespace after it."""
    spawn.connect(cluster.address, name)
    try:
        yield
        spawn.tear_down(name)
    finally:
        spawn.disconnect()


def on_mesh(
    settings: Settings,
    progress: Progress,
    work: Callable[[MeshStatus], Awaitable[T]],
    flags: Flags | None = None,
) -> T:
    """Start a mesh, wait until it is ready, do `work` with it, and end it.

    Args:
        settings: settings of the mesh.
        progress: is told what is being done.
        work: gets the status of the mesh, which this process has joined.
        flags: flags of the mesh; None means those of the environment.

    Raises:
        TopologyError: the topology cannot be used.
        Unavailable: the mesh did not become ready.
    """

    async def whole() -> T:
        return await work(await own.wait_ready(progress, READY_TIMEOUT_S))

    flags = Flags.from_env() if flags is None else flags
    with session.ephemeral(settings, flags, progress=progress) as own:
        return asyncio.run(whole())
