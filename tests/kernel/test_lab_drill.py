"""What is observed of real babeld beside what the twin predicted, five times running."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources import babel_sockets
from actors.observe.sources.babeld import BabelSource
from actors.topology.events import EventKind
from actors.topology.model import Topology
from cluster.lab.laboratory import Laboratory
from jobs.launch.observed_drill import Turn, WatchedNetwork, predict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from jobs.launch.observed_drill import Network

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
        self._begun = time.time()
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


async def watched(lab: Laboratory) -> WatchedNetwork:
    where = lab.source.partition(":")[2]
    network = WatchedNetwork(BabelSource(babel_sockets.parse(where), timeout_s=HELLO_S), POLL_S)
    await network.wait_settled(len(IDS), 0.95, LIMIT_S)
    return network


def kinds(turn: Turn) -> set[EventKind]:
    return {one.event.kind for one in turn.timeline}


def doing(
    what: Callable[[], tuple[Laboratory, float]], at: list[float]
) -> Callable[[], Awaitable[float]]:
    async def done() -> float:
        at[:] = [what()[1]]
        return at[0]

    return done


async def there_and_back(
    expected: Network,
    network: WatchedNetwork,
    fault: Callable[[], tuple[Laboratory, float]],
    mend: Callable[[], tuple[Laboratory, float]],
    witnesses: list[Witness],
) -> tuple[Turn, Turn, float]:
    """Break, and mend; both turns, and how long the daemons knew before the observer did, s."""
    before, at = network.now(), [0.0]
    try:
        broken = await network.follow(doing(fault, at), expected, LIMIT_S)
    finally:
        mended = await network.follow(doing(mend, []), before, LIMIT_S)
        for witness in witnesses:
            witness.close()
    known = [one.at for one in witnesses if one.at is not None]
    assert known
    assert broken.agreed_s is not None, "what is observed is not what was predicted"
    assert mended.agreed_s is not None
    return broken, mended, at[0] + broken.agreed_s - max(known)


async def test_a_silent_death_and_a_return_are_seen(lab: Laboratory) -> None:
    """As the twin predicted, and within two Hellos and a poll of the daemons' knowing; a return,
    within two Hellos and a poll of the fact."""
    for node, cut_off in (("d", ("a", "b", "c")), ("f", ("leaf",)), *[("e", ())] * (TIMES - 2)):
        network = await watched(lab)
        told = predict(network.topology(), [node], [], HELLO_S)
        assert told.cut_off == cut_off
        row = IDS.index(node)
        around = [b if a == row else a for a, b in LINKS if row in (a, b)]
        seen = [
            Witness(lab.directory / f"{one}.sock", lambda said: said["reach"][0] in "01234567")
            for one in around
        ]
        broken, mended, late_s = await there_and_back(
            told.network, network, lambda n=node: lab.fail(n), lambda n=node: lab.mend(n), seen
        )
        assert EventKind.NODE_SILENT in kinds(broken)
        assert kinds(mended) & {EventKind.NODE_BACK, EventKind.REJOINED}
        assert late_s <= 2 * HELLO_S + POLL_S
        assert mended.seen_s is not None
        assert mended.seen_s <= 2 * HELLO_S + POLL_S


async def test_a_split_and_a_return_are_seen(lab: Laboratory) -> None:
    """A link that is cut: within two Hellos and a poll of the daemon's taking it for lost."""
    for _ in range(TIMES):
        network = await watched(lab)
        told = predict(network.topology(), [], [("c", "d")], HELLO_S)
        assert told.pairs_lost == 3 * 5
        seen = [
            Witness(lab.directory / f"{one}.sock", lambda said: said["rxcost"] == "65535")
            for one in (2, 3)
        ]
        broken, mended, late_s = await there_and_back(
            told.network,
            network,
            lambda: lab.lose("c", "d", 100),
            lambda: lab.lose("c", "d", 0),
            seen,
        )
        assert EventKind.SPLIT in kinds(broken)
        assert EventKind.REJOINED in kinds(mended)
        assert late_s <= 2 * HELLO_S + POLL_S
        assert mended.seen_s is not None
        assert mended.seen_s <= 2 * HELLO_S + POLL_S


async def test_a_link_that_loses_is_seen(lab: Laboratory) -> None:
    """Loss of 40 %: within two Hellos and a poll of the daemon's measuring it, five times."""
    for _ in range(TIMES):
        network = await watched(lab)
        seen = [
            Witness(lab.directory / f"{one}.sock", lambda said: 366 < int(said["rxcost"]) < 65535)
            for one in (0, 1)
        ]
        _, at = lab.lose("a", "b", 40)
        try:
            kinds_seen: set[EventKind] = set()
            while EventKind.LINK_DEGRADED not in kinds_seen and time.time() < at + LIMIT_S:
                kinds_seen |= {event.kind for event in await network.poll()}
                await asyncio.sleep(POLL_S)
            known = [one.at for one in seen if one.at is not None]
            assert EventKind.LINK_DEGRADED in kinds_seen
            assert time.time() - POLL_S - min(known) <= 2 * HELLO_S + POLL_S
        finally:
            lab.lose("a", "b", 0)
            for witness in seen:
                witness.close()
