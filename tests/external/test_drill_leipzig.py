"""The demo: a measured community mesh loses its most important node, live, and heals."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.runtime.flags import Flags
from actors.runtime.settings import Settings

if TYPE_CHECKING:
    from actors.mesh.drill.report import Report
    from jobs.session import Session

MAP = Path(__file__).parents[2].parent / "shared/data/topologies/freifunk-leipzig.meshviewer.json"

pytestmark = pytest.mark.skipif(not MAP.is_file(), reason=f"no published map at {MAP}")

PAIRS = 143 * 142 // 2  # of the nodes that survive


async def drill(session: Session) -> Report:
    from actors.mesh.client import Mesh  # noqa: PLC0415 - imports Ray, which a skip need not
    from actors.mesh.drill.conductor import Conductor  # noqa: PLC0415 - the same
    from actors.mesh.drill.scenario import Scenario, plan  # noqa: PLC0415 - the same

    await session.wait_ready()
    mesh = await Mesh.attach()
    chosen = plan(Scenario.WORST_NODE, mesh.membership, 1)
    return await Conductor(mesh, chosen, 5000.0, 1, lambda _: None).run()


def test_the_worst_node_of_leipzig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At Hello 1 s the mesh finds its worst node's death, heals in time and loses nothing."""
    from jobs import session  # noqa: PLC0415 - imports Ray, which a skip need not

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    settings = Settings(
        state_dir=tmp_path, topology=str(MAP), vpn=False, hello_s=1.0, log_level="ERROR"
    )
    with session.ephemeral(settings, Flags()) as own:
        report = asyncio.run(drill(own))
    assert (report.nodes, report.links, report.diameter) == (144, 290, 17)
    assert report.pairs == PAIRS
    assert report.all_pairs
    assert report.shortcomings == []
    assert (report.lost_accepted, report.duplicates, report.corrupt, report.loops) == (0, 0, 0, 0)
    assert report.blackholed_pairs_after_bound == 0
    assert report.unreachable_pairs_reported == report.unreachable_pairs_truth
    # The worst single failure disconnects 64.8 % of the surviving pairs.
    assert report.predicted_pairs_separated == report.unreachable_pairs_truth
    assert report.predicted_pairs_separated / PAIRS == pytest.approx(0.648, abs=0.0005)
    # Protocol bounds, generous for a busy machine: the Hello hold time, and what follows it.
    assert report.detected_s is not None
    assert report.detected_s <= 3.5 * report.hello_s + 0.5
    assert report.healed_s is not None
    assert report.healed_s <= report.convergence_bound_s
