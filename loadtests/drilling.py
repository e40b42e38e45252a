"""Drills of this project's mesh as benchmarks need them: several on one mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.mesh.client import Mesh
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.drill_plan import DrillScenario, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.mesh.drill.report import DrillReport
    from loadtests.benchmark import Progress


async def worst_node(seed: int, progress: Progress, target: Sequence[str] = ()) -> DrillReport:
    """Silence the node whose loss costs most (or `target`) in the mesh that this process joined."""
    mesh = await Mesh.attach()
    chosen = plan(DrillScenario.WORST_NODE, mesh.membership, seed, target)
    return await Conductor(mesh, chosen, None, seed, progress).run()
