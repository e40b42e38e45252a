"""One private Ray cluster for the whole session, and proof that nothing of it is left."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    # Workers import actor classes of the tests by plain names, so the tests must as well.
    sys.path.append(HERE)

from leaks import carrying  # noqa: E402 - found through the line above

from cluster.local import LocalCluster  # noqa: E402 - keeps the order
from cluster.ray_start import HeadOptions  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from living_mesh import MeshStarter

    from actors.mesh.client import Mesh


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster that only this test session uses."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, before]))
    started = LocalCluster.start(tmp_path_factory.mktemp("state"), HeadOptions(num_cpus=2))
    members = [psutil.Process(pid) for pid in started.pids]
    try:
        yield started
    finally:
        from actors.runtime import spawn

        spawn.disconnect()
        started.stop()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    assert carrying(started.temp_dir) == []
    left = [p for p in members if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert not Path(started.temp_dir).parent.exists()


@pytest.fixture
def namespace(cluster: LocalCluster) -> Iterator[str]:
    """A fresh namespace that this process has joined; what lives in it is ended after the test."""
    from actors.runtime import spawn

    spawn.disconnect()
    fresh = f"test-{uuid.uuid4().hex[:12]}"
    spawn.connect(cluster.address, fresh)
    try:
        yield fresh
    finally:
        # The test may have left the cluster or joined another namespace.
        spawn.disconnect()
        spawn.connect(cluster.address, fresh)
        spawn.tear_down(fresh)
        assert spawn.listing(fresh) == ()
        spawn.disconnect()


@pytest.fixture(scope="module")
def shared(
    cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshStarter]:
    """A mesh of the usual kind for many tests of a file, in a namespace of its own."""
    from living_mesh import MeshStarter

    from actors.runtime import spawn

    started = MeshStarter(f"test-{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("shared"))
    spawn.disconnect()
    spawn.connect(cluster.address, started.namespace)
    started.begin(started.options())
    try:
        yield started
    finally:
        spawn.disconnect()
        spawn.connect(cluster.address, started.namespace)
        spawn.tear_down(started.namespace)
        assert spawn.listing(started.namespace) == ()
        spawn.disconnect()


@pytest.fixture
def rested(
    shared: MeshStarter, cluster: LocalCluster
) -> Iterator[Callable[[], AbstractAsyncContextManager[Mesh]]]:
    """The shared mesh, for a block that leaves it as it found it."""
    from living_mesh import at_rest

    from actors.runtime import spawn

    spawn.disconnect()  # whichever namespace the test before was in
    spawn.connect(cluster.address, shared.namespace)
    yield lambda: at_rest(shared.options().shard.host.hold_s)
    spawn.disconnect()
