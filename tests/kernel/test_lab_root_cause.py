"""Of ten faults of real babeld nine at least are traced to their root, by what it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.lab.laboratory import Laboratory
from loadtests.faults import POLL_S
from loadtests.lab_observer import LabObserver
from loadtests.root_cause import HELLO_S, PATIENCE, laboratory, one_round

if TYPE_CHECKING:
    from pathlib import Path


async def test_nine_in_ten_faults_are_named(tmp_path: Path) -> None:
    """Deaths, losses one way and both, flapping links, nodes cut from a gateway: in 2 intervals."""
    lab = Laboratory.up(tmp_path, laboratory(), HELLO_S)
    try:
        async with LabObserver(lab, POLL_S) as observer:
            await observer.settled(PATIENCE * HELLO_S)
            gateways = [node.id for node in (await observer.network()).nodes if node.gateway]
            assert gateways == [lab.nodes[0]]
            named, _ = await one_round(lab, observer, 0)
    finally:
        lab.down()
    assert len(named) == 10
    assert sum(each.first for each in named) >= 9, named
