"""What an owner does about an interface follows from what is seen and held, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.xdp.contract import Interface, Mode, Occupant
from actors.xdp.reconciliation import Held, Sight, Step, decide

ETH0 = Interface("eth0", 7, up=True, mtu=1500, programs={})
OURS = Occupant(41, Mode.DRV, "x0_mesh", "0" * 16, 3, ours=True)
FOREIGN = Occupant(50, Mode.SKB, "cil_xdp_entry", "f" * 16, None, ours=False)
HELD = Held(7, 41)


@pytest.mark.parametrize(
    ("sight", "held", "yielded", "step"),
    [
        (Sight(None), None, None, Step.WAIT),
        (Sight(None), HELD, None, Step.LET_GO),
        (Sight(ETH0), None, None, Step.ATTACH),
        (Sight(ETH0), None, 7, Step.YIELD),
        (Sight(ETH0), None, 6, Step.ATTACH),  # detached from an interface that is gone
        (Sight(ETH0, OURS, pinned=True), None, None, Step.ADOPT),
        (Sight(ETH0, OURS, pinned=False), None, None, Step.REFUSE),
        (Sight(ETH0, FOREIGN, pinned=False), None, None, Step.REFUSE),
        (Sight(ETH0, OURS), HELD, None, Step.KEEP),
        (Sight(ETH0, replace(OURS, program_id=42)), HELD, None, Step.RENEW),
        (Sight(ETH0, FOREIGN), HELD, None, Step.REFUSE),
        (Sight(ETH0), HELD, None, Step.YIELD),
        (Sight(replace(ETH0, index=8)), HELD, None, Step.LET_GO),
        (Sight(replace(ETH0, index=8), FOREIGN), HELD, None, Step.LET_GO),
    ],
)
def test_each_situation_has_its_step(
    sight: Sight, held: Held | None, yielded: int | None, step: Step
) -> None:
    """One step, whatever came before."""
    assert decide(sight, held, yielded) is step
