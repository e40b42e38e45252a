"""Drills of this project's mesh as benchmarks need them: several on one mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.mesh.client import Mesh
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.scenario import Scenario, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.mesh.drill.report import Report


async def worst_node(
    seed: int, progress: Callable[[str], None], target: Sequence[str] = ()
) -> Report:
    """Silence the node whose loss costs most (or `target`) in the mesh that this process joined."""
    mesh = await Mesh.attach()
    chosen = plan(Scenario.WORST_NODE, mesh.membership, seed, target)
    return await Conductor(mesh, chosen, None, seed, progress).run()


def faults(report: Report) -> str:
    """What the drill counted that ought to be zero, in few words."""
    return f"{report.lost_accepted} lost, {report.duplicates} twice, {report.loops} loops"
