"""Alerts on their way out of a process: written down at once, and handed over once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import alert_record, alert_spool
from actors.runtime.alert_spool import MOST_BYTES, AlertSpool, SpooledAlert, adopted
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.runtime.errors import ActorUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WAIT_S = 60.0


def alert(key: str = "a", summary: str = "a is gone") -> Alert:
    return Alert(AlertName.NODE_OFFLINE, key, summary, 1_767_268_800.0)


class Taker:
    """An actor that takes alerts over, hangs, or is away."""

    def __init__(self) -> None:
        self.taken: list[SpooledAlert] = []
        self.away = 0
        self.hangs = False

    async def take(self, batch: Sequence[SpooledAlert]) -> int:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            self.away -= 1
            raise ActorUnavailable("alerts")
        self.taken.extend(batch)
        return len(batch)

    def keys(self) -> list[str]:
        return [each.alert.key for each in self.taken]


def sizes(directory: Path) -> list[int]:
    return [path.stat().st_size for path in directory.iterdir()]


async def until(taker: Taker, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(taker.taken) < count:  # noqa: ASYNC110 - the condition is the test's
            await asyncio.sleep(0.01)


@given(
    st.builds(
        Alert,
        name=st.sampled_from(AlertName),
        key=st.text(max_size=400),
        summary=st.text(max_size=2_000),
        started=st.floats(0, 1e12),
        ended=st.none() | st.floats(0, 1e12),
        severity=st.none() | st.sampled_from(AlertSeverity),
        labels=st.dictionaries(st.text(max_size=300), st.text(max_size=300), max_size=40),
        details=st.lists(st.text(), max_size=60).map(tuple),
        subjects=st.lists(st.text(), max_size=5).map(tuple),
        momentary=st.booleans(),
    )
)
def test_an_alert_survives_its_record(given: Alert) -> None:
    """What fits the bounds comes back as it was, and what does not comes back cut, for ever."""
    once = alert_record.of_dict(alert_record.as_dict(given))
    assert alert_record.of_dict(alert_record.as_dict(once)) == once
    if len(given.summary) <= alert_record.MOST_TEXT and given.summary.isprintable():
        assert once.summary == given.summary
    assert (once.name, once.severity, once.momentary) == (
        given.name,
        given.severity,
        given.momentary,
    )


async def test_raising_returns_although_nobody_takes_alerts_over(tmp_path: Path) -> None:
    """Raising waits for nobody: all is written down while the one taker hangs for ever."""
    spool, taker = AlertSpool(tmp_path, "x0"), Taker()
    taker.hangs = True
    work = asyncio.create_task(spool.forward(taker))
    for number in range(500):
        spool.append(alert(str(number)))
        await asyncio.sleep(0)
    assert (spool.raised, spool.lost, taker.taken) == (500, 0, [])
    work.cancel()
    spool.close()
    with adopted(tmp_path, "x0") as orphan:
        assert [each.alert.key for each in orphan.alerts] == [str(n) for n in range(500)]
    assert sizes(tmp_path) == []


async def test_alerts_are_handed_over_in_order_and_the_file_shrinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the taker refuses is handed over again; then the spool is empty."""
    monkeypatch.setattr(alert_spool, "_PAUSES_S", (0.01,))
    spool, taker = AlertSpool(tmp_path, "x0"), Taker()
    taker.away = 3
    work = asyncio.create_task(spool.forward(taker))
    for number in range(250):
        spool.append(alert(str(number)))
    await until(taker, 250)
    spool.append(alert("last"))
    await until(taker, 251)
    assert taker.keys() == [*map(str, range(250)), "last"]
    assert len({each.id for each in taker.taken}) == 251
    async with asyncio.timeout(WAIT_S):
        while any(sizes(tmp_path)):  # noqa: ASYNC110 - the condition is the test's
            await asyncio.sleep(0.01)
    work.cancel()


def test_a_spool_that_cannot_be_written_is_no_error_of_the_caller(tmp_path: Path) -> None:
    """Alerts are lost, and counted: no directory, a full spool, a record that is none."""
    file = tmp_path / "file"
    file.touch()
    spool = AlertSpool(file / "below", "x0")
    spool.append(alert())
    assert (spool.raised, spool.lost) == (0, 1)
    full = AlertSpool(tmp_path / "spool", "x0")
    full.append(Alert("unknown", "k", "s", float("nan")))  # type: ignore[arg-type]
    assert full.lost == 1
    for _ in range(MOST_BYTES // 1_000 + 10):
        full.append(alert(summary="x" * 1_000))
    assert full.lost > 1
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= MOST_BYTES


def test_a_damaged_line_costs_one_alert(tmp_path: Path) -> None:
    """The lines before and after it are adopted."""
    spool = AlertSpool(tmp_path, "x0")
    spool.append(alert("a"))
    (path,) = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'{"id": "x", "alert": {"name": "NodeOffline"\n\xff\n[]\n')
    spool.append(alert("b"))
    spool.close()
    with adopted(tmp_path, "x0") as orphan:
        assert [each.alert.key for each in orphan.alerts] == ["a", "b"]


def test_the_spool_of_a_killed_process_is_adopted_and_of_a_living_one_not(tmp_path: Path) -> None:
    """What a process raised before it was killed is not lost."""
    program = (
        "import sys, time, pathlib;"
        "from actors.runtime.alert_spool import AlertSpool;"
        "from actors.runtime.alerting import Alert, AlertName;"
        "spool = AlertSpool(pathlib.Path(sys.argv[1]), 'x0');"
        "[spool.append(Alert(AlertName.NODE_OFFLINE, str(n), 's', 1.0)) for n in range(100)];"
        "print('raised', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "raised\n"
        with adopted(tmp_path, "x0") as orphan:
            assert not orphan.found
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with adopted(tmp_path, "x0") as orphan:
        assert [each.alert.key for each in orphan.alerts] == [str(n) for n in range(100)]


def test_a_process_outside_of_a_cluster_leaves_each_alert_to_be_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it lives, and in a bounded number of files while nobody adopts any."""
    monkeypatch.setattr(alert_spool, "MOST_SPOOLS", 3)
    spool = AlertSpool(tmp_path, "x0")
    for key in "abcd":
        spool.leave(alert(key))
    assert (spool.raised, spool.lost) == (3, 1)
    found = []
    for _ in range(3):
        with adopted(tmp_path, "x0") as orphan:
            found += [each.alert.key for each in orphan.alerts]
    assert sorted(found) == ["a", "b", "c"]
    spool.leave(alert("e"))
    with adopted(tmp_path, "x0") as orphan:
        assert [each.alert.key for each in orphan.alerts] == ["e"]


def test_a_spool_that_is_not_taken_over_stays(tmp_path: Path) -> None:
    """The taker failed: the alerts are there at the next try. What is too old goes."""
    spool = AlertSpool(tmp_path, "x0")
    spool.append(alert())
    spool.close()
    with pytest.raises(ActorUnavailable), adopted(tmp_path, "x0"):
        raise ActorUnavailable("alerts")
    with adopted(tmp_path, "x0") as orphan:
        assert orphan.found
    left = AlertSpool(tmp_path, "gone")
    left.append(alert())
    left.close()
    (path,) = tmp_path.iterdir()
    os.utime(path, (1.0, time.time() - alert_spool.OLDEST_S - 1))
    AlertSpool(tmp_path, "x0").append(alert())
    assert not path.exists()
