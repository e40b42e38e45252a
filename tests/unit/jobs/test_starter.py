"""The actor that starts the companions that nobody waits for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from actors.runtime.metrics import MemoryMetrics
from jobs.launch import companions, starter
from jobs.launch.companion import (
    STARTER,
    Companion,
    Plan,
    Rest,
    Seen,
    Stage,
    State,
    StillStarting,
)
from jobs.launch.options import mesh_options
from jobs.launch.starter import StarterActor
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from jobs.launch.companion import Wait


class One(Companion):
    """A companion that notes what is done with it."""

    off = "never"
    done: ClassVar[list[str]] = []

    def __init__(self, name: str, stage: Stage, *, works: bool = True, late: int = 0) -> None:
        self.name = name  # type: ignore[misc]  # of the class elsewhere
        self.stage = stage  # type: ignore[misc]  # the same
        self.works = works
        self.late = late  # how often it is waited for in vain

    def wanted(self, _plan: Plan) -> bool:
        return True

    def start(self, _plan: Plan) -> Wait:
        self.done.append(f"start {self.name}")

        def wait(_tell: object) -> None:
            self.done.append(f"wait {self.name}")
            if self.late:
                self.late -= 1
                raise StillStarting(self.name, "a busy machine", "Wait.", retry_after_s=1.0)
            if not self.works:
                raise Unavailable(self.name, "its port is taken", "Free it.", retry_after_s=1.0)

        return wait


def plan(state: Path, **settings: object) -> Plan:
    found = Settings.load(state_dir=state, **settings)
    return Plan(found, mesh_options(found, Flags()), own_cluster=True)


async def test_what_cannot_be_started_is_told_and_the_others_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, by their stages; the actor stays, and says why one is not there."""
    monkeypatch.setattr(os, "nice", lambda _more: 0)  # of the tests themselves
    One.done.clear()
    chosen = (One("late", Stage.LAST), One("broken", Stage.BESIDE, works=False))
    rest = Rest.of(plan(tmp_path), chosen)
    assert rest is not None
    assert rest.why == "still to be started: broken, late"
    actor = StarterActor(rest, metrics=MemoryMetrics())
    await actor._started.wait()
    health = await actor.health()
    assert One.done == ["start broken", "wait broken", "start late", "wait late"]
    assert health.state == "failed"
    assert "broken: " in health.why
    assert "its port is taken" in health.why
    assert "late: " not in health.why


async def test_what_takes_long_is_starting_and_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are started meanwhile; it is started once, and waited for until it is there."""
    ended: list[str] = []
    monkeypatch.setattr(os, "nice", lambda _more: 0)
    monkeypatch.setattr(starter.spawn, "end", ended.append)
    One.done.clear()
    rest = Rest.of(plan(tmp_path), (One("slow", Stage.BESIDE, late=2), One("late", Stage.LAST)))
    assert rest is not None
    actor = StarterActor(rest, metrics=MemoryMetrics())
    await actor._ready()
    assert One.done == [
        *("start slow", "wait slow", "start late", "wait late"),
        *("wait slow", "wait slow"),
    ]
    assert "slow: slow: a busy machine" in actor._waits_for
    assert ended == [STARTER]


async def test_what_waits_for_what_has_failed_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _more: 0)
    broken, waiting = One("broken", Stage.BESIDE, works=False), One("waiting", Stage.BEHIND, late=9)
    rest = Rest.of(plan(tmp_path), (broken, waiting))
    assert rest is not None
    actor = StarterActor(rest, metrics=MemoryMetrics())
    await actor._started.wait()
    told = (await actor.health()).why
    assert Rest.tells(told, "broken")
    assert Rest.tells(told, "waiting")


async def test_it_ends_when_all_have_been_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left of it then."""
    ended: list[str] = []
    monkeypatch.setattr(os, "nice", lambda _more: 0)
    monkeypatch.setattr(starter.spawn, "end", ended.append)
    rest = Rest.of(plan(tmp_path), (One("late", Stage.LAST),))
    assert rest is not None
    await StarterActor(rest, metrics=MemoryMetrics())._ready()
    assert ended == [STARTER]


def test_what_is_still_to_be_started_is_not_off() -> None:
    """What the starter speaks of is as it says; others are not."""
    for state, why in (
        ("starting", "still to be started: gateway, historian"),
        ("starting", "still to be started: historian; gateway: it takes long"),
        ("failed", "not all could be: gateway: its port is taken; historian: its database is not"),
    ):
        told = State(STARTER, state, why)
        seen = Seen("http://127.0.0.1:1", {STARTER: told})
        found = {state.name: state for state in companions.states(seen)}
        assert str(found["historian"]) == str(found["gateway"]) == str(told)
        assert found["payments"].state == found["observer"].state == "off"
        assert found["inference"].state.startswith("no answer")
    ready = {STARTER: told, "historian": State("historian", "ready")}
    states = {state.name: state for state in companions.states(Seen(actors=ready))}
    assert states["historian"].state == "ready"


def test_secrets_of_others_do_not_go_to_it(tmp_path: Path) -> None:
    """Only what the companions need, none of which watches a chain or is the bot."""
    said = "123:secret"
    rest = Rest.of(plan(tmp_path, telegram_token=said), (One("late", Stage.LAST),))
    assert rest is not None
    assert rest.plan.settings.telegram_token is None
    assert Rest.of(plan(tmp_path), ()) is None
