"""A mesh that has ended begins again where its journals stand."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from living_mesh import MeshStarter, collect, inject, isolating, sides

from actors.mesh.client import Mesh
from actors.mesh.journal import FileJournal
from actors.mesh.membership import Faults
from actors.mesh.partition import Partition
from actors.runtime import spawn
from actors.runtime.errors import NotRunning
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.local import LocalCluster


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


def incarnations(journals: Path, scratch: Path, n_nodes: int) -> list[int]:
    """Of the partitions, as a successor would find them; read from a copy."""
    shutil.copytree(journals, scratch)
    found = []
    for directory in sorted(scratch.glob("partition-*")):
        journal = FileJournal(directory)
        partition = Partition(len(found), n_nodes, journal, 1)
        partition.recover()
        found.append(partition.incarnation)
        partition.close()
    return found


async def test_undelivered_messages_survive_the_end_of_everything(
    starter: MeshStarter, tmp_path: Path
) -> None:
    """What was accepted and not delivered when all processes died arrives in the next run."""
    directory = starter.options().shard.directory
    # A slow Hello leaves time before messages to the node that is cut off are returned.
    async with starter.running(hello_s=30.0) as mesh:
        here, there = (side[0] for side in sides(mesh))
        read = await mesh.send(here, there, b"read")
        assert [m.id for m in await collect(mesh, there, 1)] == [read]
        unread = await mesh.send(there, here, b"unread")
        await inject(isolating(mesh, there))
        stuck = [await mesh.send(here, there, b"stuck %d" % number) for number in range(5)]
        assert (await mesh.pending(np.array(stuck, np.uint64))).all()
        before = mesh.membership
    first = incarnations(directory, tmp_path / "first", 24)
    async with starter.running() as mesh:
        assert mesh.membership.topology == before.topology
        assert mesh.membership.faults == Faults()  # a new run begins unbroken
        assert mesh.membership.placement.version > before.placement.version
        found = await collect(mesh, there, 5)
        assert {m.id: m.payload for m in found} == {
            message: b"stuck %d" % number for number, message in enumerate(stuck)
        }
        assert len(found) == 5
        fresh = await mesh.send(here, there, b"fresh")
        assert fresh not in {read, unread, *stuck}
        assert [m.id for m in await collect(mesh, there, 1)] == [fresh]
        back = await collect(mesh, here, 1)
        assert [(m.id, m.payload) for m in back] == [(unread, b"unread")]
        assert await mesh.node(there).receive(wait_s=0.5) == []
    second = incarnations(directory, tmp_path / "second", 24)
    assert len(first) == len(second) == 2
    assert all(b > a for a, b in zip(first, second, strict=True))


async def test_an_address_outlasts_the_connection(
    starter: MeshStarter, cluster: LocalCluster
) -> None:
    """A process that leaves the cluster and joins it again goes on using its addresses."""
    async with starter.running() as mesh:
        here, there = (mesh.node(side[0]) for side in sides(mesh))
        await here.send(there, b"before")
        spawn.disconnect()
        with pytest.raises(NotRunning):
            await here.send(there, b"to nobody")
        spawn.connect(cluster.address, starter.namespace)
        await here.send(there, b"after")
        found = await collect(mesh, there.id, 2)
        assert sorted(m.payload for m in found) == [b"after", b"before"]


@pytest.mark.parametrize("content", [None, "{", '{"nodes": [], "links": []}'])
async def test_a_mesh_without_a_readable_topology_says_so(
    starter: MeshStarter, tmp_path: Path, content: str | None
) -> None:
    """Whoever attaches to a mesh whose map cannot be used is told what is wrong with the map."""
    path = tmp_path / "map.json"
    if content is not None:
        path.write_text(content)
    starter.begin(starter.options(topology=str(path)))
    async with asyncio.timeout(60):  # at once, but for the start of the process
        with pytest.raises(TopologyError) as refused:
            await Mesh.attach()
    assert refused.value.source == str(path)
    assert refused.value.remedy
