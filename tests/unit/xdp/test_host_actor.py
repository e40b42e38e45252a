"""No actor of a host lives on without its loop."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import TYPE_CHECKING

from actors.runtime.metrics import MemoryMetrics
from actors.xdp.actor import XdpActor
from actors.xdp.contract import Mode, XdpOptions
from actors.xdp.host_owner import HostOwner

if TYPE_CHECKING:
    import pytest


async def test_without_its_loop_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray then starts the actor again, and the kernel has detached what was not pinned."""
    ended = asyncio.Event()
    looks = count()

    def leave(code: int) -> None:
        assert code == os.EX_SOFTWARE
        ended.set()
        raise asyncio.CancelledError

    def look(_core: HostOwner) -> tuple[str, ...]:
        if next(looks):
            raise ZeroDivisionError
        return ("the first look of all",)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(HostOwner, "look", look)
    options = XdpOptions(
        "box",
        (),
        Mode.AUTO,
        False,  # noqa: FBT003
        "/nowhere",
        "CRITICAL",
        "/nowhere",
        "one",
        look_s=0.01,
    )
    made = XdpActor(options, metrics=MemoryMetrics())
    await made.status()
    assert (await made.health()).state == "ready"
    async with asyncio.timeout(60):
        await ended.wait()
