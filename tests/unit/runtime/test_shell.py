"""An actor never lives on without its loops, and says why it cannot work."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime import alerting
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import InvalidInput
from actors.runtime.metrics import MemoryMetrics
from actors.runtime.shell import ActorShell

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from actors.runtime.alerting import Alert


class Actor(ActorShell):
    """What is started."""

    def __init__(self, start: Coroutine[Any, Any, None], *loops: Coroutine[Any, Any, None]) -> None:
        super().__init__("probe", log_level="INFO", metrics=MemoryMetrics())
        self._begin(start, ActorContract)
        for loop in loops:
            self._vital(loop)

    async def ask(self) -> str:
        await self._ready()
        return "answer"


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    found: list[int] = []

    def leave(code: int) -> None:
        found.append(code)
        raise asyncio.CancelledError

    monkeypatch.setattr(os, "_exit", leave)
    return found


@pytest.fixture
def alerts() -> Iterator[list[Alert]]:
    found: list[Alert] = []
    alerting.send_alerts_to(found.append)
    yield found
    alerting._sinks.clear()


async def _ended(exits: list[int]) -> None:
    """Until a process would have ended."""
    async with asyncio.timeout(60):
        while not exits:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)


async def good() -> None:
    await asyncio.sleep(0.01)


async def forever() -> None:
    await asyncio.Event().wait()


async def refused() -> None:
    raise InvalidInput("the map cannot be used", "it is empty", "Give another.")


async def defect() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def test_it_is_ready_when_its_start_is_done(exits: list[int]) -> None:
    """Until then it is starting, and questions wait."""
    actor = Actor(good(), forever())
    first = await actor.health()
    assert (first.state, bool(first.why)) == ("starting", True)
    assert await actor.ask() == "answer"
    assert (await actor.health()).state == "ready"
    assert (await actor.health()).incarnation == first.incarnation
    assert not exits


async def test_what_a_restart_would_not_mend_is_told_to_who_asks(
    exits: list[int], alerts: list[Alert]
) -> None:
    """It lives on, failed, with its reason, and somebody is woken."""
    actor = Actor(refused())
    for _ in range(2):
        with pytest.raises(InvalidInput, match="it is empty"):
            await actor.ask()
    health = await actor.health()
    assert health.state == "failed"
    assert "it is empty" in health.why
    assert not exits
    assert [alert.labels["error_type"] for alert in alerts] == ["InvalidInput"]


@pytest.mark.parametrize("ending", [defect, good, refused])
async def test_without_a_loop_its_process_ends(
    ending: Any, exits: list[int], alerts: list[Alert]
) -> None:
    """However the loop ends, Ray then starts the actor anew."""
    actor = Actor(forever(), ending())
    await _ended(exits)
    assert exits == [os.EX_SOFTWARE]
    assert len(alerts) == 1
    assert (await actor.health()).state == "starting"


async def test_a_defect_at_the_start_ends_its_process(exits: list[int]) -> None:
    """As anything that a restart may mend."""
    Actor(defect())
    await _ended(exits)
    assert exits == [os.EX_SOFTWARE]
