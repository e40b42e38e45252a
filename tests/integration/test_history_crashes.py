"""A historian killed at any step loses nothing, doubles nothing, and leaves what can be read."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.history import collecting
from actors.history.archive import Archive
from actors.history.collecting import EventCollector
from actors.history.event_store import EventQuery
from actors.history.metric_store import LINKS
from actors.topology.provenance import Network
from tests.integration.payments.lives import Kill, arm
from tests.unit.history.happenings import HOUR, Source, event, sample

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext
    from pathlib import Path

REAL = Network.OBSERVED
PROCESSES: ForkServerContext = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
EVENTS, PAGE, MINUTES = 7, 2, 3
CHANGES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")


def archive(directory: Path) -> Archive:
    return Archive(SecretStr(f"sqlite:///{directory / 'history.db'}"), directory / "history")


def collect(directory: Path) -> None:
    """Read a source that keeps all its events, page by page."""
    collecting.PAGE = PAGE  # type: ignore[misc]
    source = Source([event(number) for number in range(1, EVENTS + 1)])
    collector = EventCollector("observer", REAL, source, archive(directory).events, lambda: 0)

    async def ignore(_stored: object) -> None:
        return

    asyncio.run(collector.collect(ignore))


def measure(directory: Path) -> None:
    """Sample some minutes, make one file of them, and go on in the next hour."""
    store = archive(directory).metrics
    for minute in range(MINUTES):
        store.write(REAL, sample({("a", "b"): 0.5}), HOUR + 60 * minute)
    store.compact(HOUR + 3600)
    store.write(REAL, sample({("a", "b"): 0.5}), HOUR + 3600)


def _killed_at_commit(directory: Path, kill: Kill) -> None:
    arm(kill)
    collect(directory)


def _killed_at_change(directory: Path, step: int) -> None:
    """Die before the change number `step` of the files of metrics."""
    done = 0
    where = str(directory / "history")

    def audit(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        changes = name in CHANGES and str(arguments[0]).startswith(where)
        if changes and not (name == "open" and not int(arguments[2]) & os.O_ACCMODE):  # type: ignore[call-overload]
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    measure(directory)


def life(target: object, *arguments: object) -> int:
    process = PROCESSES.Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def stored(directory: Path) -> list[int]:
    return [one.event.number for one in archive(directory).events.find(EventQuery())]


def minutes(directory: Path) -> list[int]:
    found = archive(directory).metrics.read(REAL, LINKS, since=0, until=2 * HOUR)
    assert found.unreadable == ()
    return [round(row["at"].timestamp() - HOUR) // 60 for row in found.table.to_pylist()]


@pytest.mark.parametrize("side", ["before", "after"])
def test_no_kill_at_a_commit_loses_or_doubles_an_event(tmp_path: Path, side: str) -> None:
    """At each commit in turn; the next life completes the history."""
    killed = 0
    for commit in range(1, 40):
        directory = tmp_path / str(commit)
        directory.mkdir()
        code = life(_killed_at_commit, directory, Kill(commit, side))  # type: ignore[arg-type]
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        before = stored(directory)
        assert before == list(range(1, len(before) + 1))
        assert life(collect, directory) == 0
        assert stored(directory) == list(range(1, EVENTS + 1)), f"killed {side} commit {commit}"
    assert killed >= EVENTS // PAGE


def test_no_kill_at_a_change_of_a_file_loses_or_doubles_a_minute(tmp_path: Path) -> None:
    """Before each change in turn; what is left is read at once, and completed by the next life."""
    expected = [*range(MINUTES), 60]
    killed = 0
    for step in range(1, 200):
        directory = tmp_path / str(step)
        code = life(_killed_at_change, directory, step)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        left = minutes(directory)
        assert left == expected[: len(left)], f"killed before change {step}"
        assert life(measure, directory) == 0
        assert minutes(directory) == expected, f"killed before change {step}"
    # Each of 8 files of a minute and 2 of an hour is opened and named; then 6 are removed.
    assert killed > 2 * (8 + 2) + 6
