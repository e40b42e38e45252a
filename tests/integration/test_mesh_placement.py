"""Nodes move between shards, and clients find them by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from living_mesh import MeshStarter, ask, collect, sides, sigkill, status, until

from actors.mesh.client import Mesh
from actors.mesh.errors import StalePlacement

if TYPE_CHECKING:
    from pathlib import Path

NONE = np.empty(0, np.uint64)


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


async def test_a_shard_refuses_what_it_does_not_own(starter: MeshStarter) -> None:
    """A request to the wrong shard is refused with the name of the right one."""
    async with starter.running() as mesh:
        version = mesh.membership.placement.version
        for wrong, partition in ("mesh-shard-01", 0), ("mesh-shard-00", 1):
            with pytest.raises(StalePlacement) as refused:
                await ask(wrong, "pending", partition, version, NONE)
            assert refused.value.owner == f"mesh-shard-{partition:02d}"
            assert refused.value.held == refused.value.asked == version
            assert refused.value.partition == partition


async def _back(dead: int) -> bool:
    """Whether all shards work by the same placement, none of them in the process `dead`."""
    now = await status()
    known = {shard.version for shard in now.shards}
    return (
        not now.down
        and known == {now.placement_version}
        and dead not in {shard.pid for shard in now.shards}
    )


async def test_clients_follow_a_take_over(starter: MeshStarter) -> None:
    """After a take-over a client with the old map is told so and recovers by itself."""
    # So patient that no message is returned while the other shard takes over.
    async with starter.running(failover=True, hello_s=10.0) as mesh:
        here, there = (side[0] for side in sides(mesh))
        old = mesh.membership.placement
        assert old.shard_of == ("mesh-shard-00", "mesh-shard-01")
        early = [await mesh.send(here, there, b"%d" % number) for number in range(3)]
        pid = await sigkill("mesh-shard-00")
        await until(lambda: _back(pid), "the dead shard is back")
        assert (await Mesh.attach()).membership.placement.shards == ("mesh-shard-01",)
        with pytest.raises(StalePlacement) as refused:
            await ask("mesh-shard-00", "pending", 0, old.version, NONE)
        assert refused.value.owner == "mesh-shard-01"
        assert refused.value.held > refused.value.asked == old.version
        # This client still goes by the old map: it has asked nobody since.
        assert mesh.membership.placement.version == old.version
        late = await mesh.send(here, there, b"3")
        assert mesh.membership.placement.version > old.version
        found = await collect(mesh, there, 4)
        assert sorted(m.id for m in found) == sorted([*early, late])
        assert sorted(m.payload for m in found) == [b"0", b"1", b"2", b"3"]
