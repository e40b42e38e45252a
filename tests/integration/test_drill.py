"""Drills on a live mesh: every scenario heals as promised, and leaves the mesh as it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from living_mesh import MeshStarter, ask, in_time, inject, status, until

from actors.mesh.client import Mesh
from actors.mesh.contract import COORDINATOR
from actors.mesh.drill import conductor
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.drill_plan import LIES, DrillScenario, plan
from actors.mesh.membership import Faults
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Rested = Callable[[], AbstractAsyncContextManager[Mesh]]

RATE = 2000.0  # messages per second


def conducting(mesh: Mesh, scenario: DrillScenario, told: list[str]) -> Conductor:
    return Conductor(mesh, plan(scenario, mesh.membership, 1), RATE, 1, told.append)


async def faults() -> Faults:
    return (await Mesh.attach()).membership.faults


async def test_every_scenario_heals_as_promised(
    rested: Rested, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each scenario in which something fails, in turn: no shortcoming, and the mesh is mended."""
    monkeypatch.setattr(conductor, "WARM_UP_S", 0.5)
    async with rested():
        for scenario in [each for each in DrillScenario if each not in LIES]:
            told: list[str] = []
            mesh = await Mesh.attach()
            report = await in_time(conducting(mesh, scenario, told).run)
            assert report.shortcomings == [], scenario
            assert (report.nodes, report.scenario) == (24, scenario)
            assert report.all_pairs
            assert report.detected_s is not None
            assert report.healed_s is not None
            assert report.accepted == report.sent - report.refused > 500
            assert report.accepted == report.delivered + report.returned
            assert (report.restored_s is None) == (scenario is DrillScenario.SHARD_KILL)
            assert report.predicted_pairs_separated == report.unreachable_pairs_truth
            # Of datagrams, every one between nodes that are cut off is lost, and few others are.
            apart = report.unreachable_pairs_truth / report.pairs
            assert report.loss_before is not None
            assert report.loss_after is not None
            assert report.loss_before < 0.2
            assert apart <= report.loss_after < apart + 0.2
            assert any(text.startswith("breaking") for text in told)
            assert await faults() == Faults()


async def test_some_meshes_are_not_drilled(rested: Rested) -> None:
    """A mesh with injected faults, which stay as they are, and liars in one that believes all."""
    async with rested():
        broken = Faults(silent=frozenset({3}))
        await inject(broken)
        with pytest.raises(Conflict, match="injected"):
            await conducting(await Mesh.attach(), DrillScenario.LINK, []).run()
        assert await faults() == broken
        await inject(Faults())
        with pytest.raises(Conflict, match="X0TTA6BL4_BYZANTINE"):  # this mesh believes all nodes
            await conducting(await Mesh.attach(), DrillScenario.LIAR, []).run()


async def test_an_interrupted_drill_leaves_no_fault(rested: Rested) -> None:
    """A drill that is cancelled takes its fault and its messages back."""
    async with rested() as mesh:
        drilling = asyncio.create_task(conducting(mesh, DrillScenario.WORST_NODE, []).run())

        async def broken() -> bool:
            return await faults() != Faults()

        await until(broken, "the fault is injected")
        drilling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drilling
        assert await faults() == Faults()
        assert [shard.unread_messages for shard in (await status()).shards] == [0, 0]
        again = await conducting(await Mesh.attach(), DrillScenario.LINK, []).run()
        assert (again.lost_accepted, again.duplicates, again.loops) == (0, 0, 0)


async def test_a_map_that_changes_during_a_drill_is_the_verdict(
    namespace: str, tmp_path: Path
) -> None:
    """A refresh by hand is not held: a node joins, one leaves, and the drill judges no more."""
    path = tmp_path / "map.csv"
    ring = [(f"r{at}", f"r{(at + 1) % 8}") for at in range(8)]

    def publish(links: list[tuple[str, str]]) -> None:
        path.write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in links))

    publish(ring)
    async with MeshStarter(namespace, tmp_path).running(topology=str(path)) as mesh:
        drilling = asyncio.create_task(conducting(mesh, DrillScenario.LINK, []).run())

        async def broken() -> bool:
            return await faults() != Faults()

        await until(broken, "the fault is injected")
        publish([*ring[:6], ("r6", "new"), ("new", "r0")])
        await ask(COORDINATOR, "refresh")
        report = await drilling
        assert "node r7 is gone" in report.map_changes
        assert "node new is new" in report.map_changes
        (verdict,) = report.shortcomings
        assert verdict.startswith("the map changed during the drill: ")
        assert report.restored_s is None
        assert await faults() == Faults()
        again = await conducting(await Mesh.attach(), DrillScenario.WORST_NODE, []).run()
        assert (again.map_changes, again.shortcomings, again.nodes) == ([], [], 8)
