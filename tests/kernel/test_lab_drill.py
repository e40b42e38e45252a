"""What is observed of real babeld beside what the twin predicted, five times running."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from actors.topology.events import EventKind
from actors.topology.model import Topology
from cluster.lab.laboratory import Laboratory
from jobs.launch.observed_drill import Expectation, Fault, Turn, Verdict
from loadtests.lab_observer import LabObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Two rings that the link c,d joins, and a leaf behind f.
IDS = ("a", "b", "c", "d", "e", "f", "leaf", "g")
LINKS = ((0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (3, 5), (5, 6), (4, 7), (5, 7))
HELLO_S = 1.0
POLL_S = 0.5
LIMIT_S = 60 * HELLO_S
TIMES = 5


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = Laboratory.up(tmp_path_factory.mktemp("lab"), Topology.of(IDS, LINKS), HELLO_S)
    yield made
    made.down()


class Witness:
    """Listens to one babeld by itself: when it first said a thing of the kind asked for."""

    def __init__(self, path: Path, says: Callable[[dict[str, str]], bool]) -> None:
        self.at: float | None = None
        self._says = says
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.sendall(b"monitor\n")
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self._socket.makefile() as lines:
            for line in lines:
                words = line.split()
                if words[:2] in (["change", "neighbour"], ["flush", "neighbour"]):
                    said = dict(zip(words[3::2], words[4::2], strict=False))
                    if self.at is None and self._says(said):
                        self.at = time.time()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)


def kinds(turn: Turn) -> set[EventKind]:
    return {event.kind for event in turn.timeline}


async def there_and_back(
    lab: Laboratory, fault: Fault, around: list[int], says: Callable[[dict[str, str]], bool]
) -> tuple[Expectation, Turn, Turn, float]:
    """Break, and mend: what was expected, both turns, and how long the daemons knew it first, s.

    Args:
        lab: the laboratory.
        fault: what to break.
        around: nodes whose daemons notice it.
        says: whether their words about a neighbour mean the fault.
    """
    async with LabObserver(lab, POLL_S) as observer:
        follower = observer.follower()
        expected = Expectation.of(await observer.settled(LIMIT_S), fault)
        witnesses = [Witness(lab.directory / f"{one}.sock", says) for one in around]
        at = [lab.fail(node)[1] for node in fault.nodes]
        at += [lab.lose(*link, 100)[1] for link in fault.links]
        try:
            broken = await follower.follow(
                expected.before.event, expected.is_met, LIMIT_S, since=at[0]
            )
        finally:
            at = [lab.mend(node)[1] for node in fault.nodes]
            at += [lab.lose(*link, 0)[1] for link in fault.links]
        last = broken.timeline[-1].number
        mended = await follower.follow(last, expected.is_over, LIMIT_S, since=at[0])
    for witness in witnesses:
        witness.close()
    known = [one.at for one in witnesses if one.at is not None]
    assert known
    assert expected.judge(broken).verdict is Verdict.AS_PREDICTED
    assert expected.judge(mended, back=True).verdict is Verdict.AS_PREDICTED
    return expected, broken, mended, broken.timeline[-1].at - max(known)


async def test_a_silent_death_and_a_return_are_seen(lab: Laboratory) -> None:
    """As the twin predicted, and within two Hellos and a poll of the daemons' knowing; a return,
    within two Hellos and a poll of the fact."""
    for node, cut_off in (("d", ("a", "b", "c")), ("f", ("leaf",)), *[("e", ())] * (TIMES - 2)):
        row = IDS.index(node)
        around = [b if a == row else a for a, b in LINKS if row in (a, b)]
        expected, broken, mended, late_s = await there_and_back(
            lab, Fault((node,)), around, lambda said: said["reach"][0] in "01234567"
        )
        assert expected.predicted.cut_off == cut_off
        assert EventKind.NODE_SILENT in kinds(broken)
        assert kinds(mended) & {EventKind.NODE_BACK, EventKind.REJOINED}
        assert late_s <= 2 * HELLO_S + POLL_S
        assert mended.seen_s is not None
        assert mended.seen_s <= 2 * HELLO_S + POLL_S


async def test_a_split_and_a_return_are_seen(lab: Laboratory) -> None:
    """A link that is cut: within two Hellos and a poll of both daemons' missing three of them."""
    for _ in range(TIMES):
        expected, broken, mended, late_s = await there_and_back(
            lab, Fault(links=(("c", "d"),)), [2, 3], lambda said: said["reach"][0] in "01"
        )
        assert expected.predicted.pairs_lost == 3 * 5
        assert EventKind.SPLIT in kinds(broken)
        assert EventKind.REJOINED in kinds(mended)
        assert late_s <= 2 * HELLO_S + POLL_S
        assert mended.seen_s is not None
        assert mended.seen_s <= 2 * HELLO_S + POLL_S


async def test_a_link_that_loses_is_seen(lab: Laboratory) -> None:
    """Loss of 40 %: within two Hellos and a poll of the daemon's measuring it, five times."""
    for _ in range(TIMES):
        async with LabObserver(lab, POLL_S) as observer:
            before = await observer.settled(LIMIT_S)
            seen = [
                Witness(
                    lab.directory / f"{one}.sock", lambda said: 366 < int(said["rxcost"]) < 65535
                )
                for one in (0, 1)
            ]
            lab.lose("a", "b", 40)
            try:
                turn = await observer.follower().follow(
                    before.event,
                    lambda _, watch=observer: watch.has_told(EventKind.LINK_DEGRADED),
                    LIMIT_S,
                )
            finally:
                lab.lose("a", "b", 0)
                for witness in seen:
                    witness.close()
        known = [one.at for one in seen if one.at is not None]
        told = [event.at for event in turn.timeline if event.kind is EventKind.LINK_DEGRADED]
        assert known
        assert told
        assert told[0] - min(known) <= 2 * HELLO_S + POLL_S
