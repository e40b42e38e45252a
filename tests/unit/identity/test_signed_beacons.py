"""The beacons of shards: who is heard, who is not, and how keys come and go."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from actors.identity.beacon import Beacon
from actors.identity.enrolment import REGISTRY, Enrolment
from actors.identity.pqc_watch import PqcWatch
from actors.identity.signed_beacons import (
    REFUSED_RETRY_S,
    RETRY_S,
    BeaconOptions,
    SignedBeacons,
)
from actors.runtime.alerting import Alert, AlertName
from actors.runtime.metrics import MemoryMetrics
from tests.unit.mesh.worlds import grid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

EPOCH_S = 600.0
MAP = grid(2, 2)  # four nodes: 0 and 1 in one shard, 2 and 3 in the other
HERE, THERE = [0, 1], [2, 3]


class AtOnce(ThreadPoolExecutor):
    """Does what it is given at once, or when it is let."""

    def __init__(self) -> None:
        super().__init__(1)
        self.held: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.holding = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, lambda: fn(*args, **kwargs)))
        if not self.holding:
            self.let()
        return future

    def let(self) -> None:
        for future, work in self.held:
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - as an executor does
                future.set_exception(error)
        self.held = []


class Shard:
    """One shard's beacons, with a clock of its own."""

    def __init__(self, name: str, partition: int, nodes: list[int], directory: Path) -> None:
        self.now = 1_700_000_000.0
        self.metrics, self.alerts, self.run = MemoryMetrics(), [], AtOnce()
        self.name, self.partition, self.nodes = name, partition, nodes
        alerts: list[Alert] = self.alerts
        watch = PqcWatch(name, self.metrics, lambda: self.now, alerts.append)
        options = BeaconOptions(epoch_s=EPOCH_S, skew_s=5.0)
        self.beacons = SignedBeacons(directory, options, watch, lambda: self.now, self.run)

    def attend(self) -> Shard:
        self.beacons.attend(MAP, {self.partition: self.nodes})
        return self

    def says(self, *nodes: int) -> dict[int, bytes]:
        return self.beacons.beacons(_array(nodes or self.nodes), 0.0)

    def hears(self, said: dict[int, bytes], *nodes: int) -> list[bool]:
        counts = self.beacons.hear(_array(nodes or tuple(said)), said, 0.0)
        assert counts is not None
        return [bool(count) for count in counts]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.value(f"x0tta6bl4_pqc_{name}", shard=self.name, **labels)

    def sleeps(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "mesh").mkdir()
    return tmp_path / "mesh"


@pytest.fixture
def pair(directory: Path) -> tuple[Shard, Shard]:
    return (
        Shard("one", 0, HERE, directory).attend(),
        Shard("two", 1, THERE, directory).attend(),
    )


def test_proven_hellos_count_and_each_beacon_is_judged_once(pair: tuple[Shard, Shard]) -> None:
    """Many Hellos of one node go with one beacon; all of them count."""
    one, two = pair
    said = one.says(0, 0, 1, 0)
    assert said.keys() == {0, 1}
    assert two.hears(said, 0, 1, 0, 0) == [True] * 4
    assert two.count("beacons_accepted_total") == 2
    report = two.beacons.report()
    assert report["heard"].keys() == {MAP.ids[0], MAP.ids[1]}
    assert report["signing"].keys() == {MAP.ids[2], MAP.ids[3]}


def test_a_hello_without_a_beacon_or_with_anothers_does_not_count(
    pair: tuple[Shard, Shard],
) -> None:
    """One bad Hello costs that one."""
    one, two = pair
    said = one.says()
    assert two.hears({0: said[0]}, 0, 1) == [True, False]
    assert two.hears({1: said[0]}, 1) == [False]
    assert two.hears({0: said[0]}, 0) == [False]
    assert two.beacons.report()["refused"] == {"absent": 1, "wrong_node": 1, "replayed": 1}
    told = [("beacon-refused:wrong_node", 1, -1), ("beacon-refused:replayed", 0, -1)]
    assert two.beacons.incidents() == told
    assert two.beacons.incidents() == []
    assert two.count("beacons_refused_total", reason="replayed") == 1
    assert two.count("fallback_attempts_total", reason="absent") == 0


def test_a_weaker_beacon_is_an_attempt_to_fall_back(pair: tuple[Shard, Shard]) -> None:
    """It is refused, counted and alerted."""
    one, two = pair
    weaker = replace(Beacon.decode(one.says(0)[0]), suite=0x8001).encode()
    assert two.hears({0: weaker}) == [False]
    assert two.count("fallback_attempts_total", reason="suite_unsupported") == 1
    assert [alert.name for alert in two.alerts] == [AlertName.PQC_FALLBACK_ATTEMPTED]


def test_a_node_says_nothing_until_its_keys_are_made(directory: Path) -> None:
    """They are made outside the turn; the turn never waits."""
    one = Shard("one", 0, HERE, directory)
    one.run.holding = True
    one.attend()
    assert one.says() == {}
    assert one.beacons.report()["without_key"] == [MAP.ids[0], MAP.ids[1]]
    one.run.let()
    assert one.says().keys() == {0, 1}


def test_epochs_rotate_and_old_beacons_are_refused_then(pair: tuple[Shard, Shard]) -> None:
    """The new key is certified and heard at once; what the old one signed is old."""
    one, two = pair
    late = one.says()
    assert two.hears(one.says()) == [True, True]
    before = one.beacons.report()["signing"][MAP.ids[0]]["epoch"]
    for shard in pair:
        shard.sleeps(EPOCH_S)
    one.says()  # begins the epoch
    assert two.hears(one.says()) == [True, True]
    assert one.beacons.report()["signing"][MAP.ids[0]]["epoch"] > before
    assert one.count("key_rotation_success_total", kind="beacons") == 1
    assert two.hears(late) == [False, False]


def test_an_epoch_that_cannot_begin_leaves_the_old_one_until_its_end(
    pair: tuple[Shard, Shard], directory: Path
) -> None:
    """It is alerted and tried again; beyond the end nothing is signed, for nobody would take it."""
    one, two = pair
    assert two.hears(one.says()) == [True, True]
    (directory / "partition-00.epoch").unlink()
    (directory / "partition-00.epoch").mkdir()  # it can be neither read nor replaced
    for shard in pair:
        shard.sleeps(EPOCH_S)
    one.says()
    one.says()
    assert one.count("key_rotation_failure_total", kind="beacons") == 1
    assert [alert.name for alert in one.alerts] == [AlertName.PQC_KEY_ROTATION_FAILED]
    assert two.hears(one.says()) == [True, True]
    for shard in pair:
        shard.sleeps(EPOCH_S + 1.0)
    assert one.says() == {}
    (directory / "partition-00.epoch").rmdir()
    for _ in range(2):  # the failed attempt is noticed, then made again
        one.sleeps(RETRY_S)
        two.sleeps(RETRY_S)
        one.says()
    assert two.hears(one.says()) == [True, True]


def test_a_shard_that_restarts_is_heard_anew_and_hears_again(
    pair: tuple[Shard, Shard], directory: Path
) -> None:
    """With or without its epoch file; the others enclose their certificates for it."""
    one, two = pair
    two.hears(one.says())
    one.hears(two.says())
    for _ in range(3):
        two.says()  # beyond those that enclose the certificate anyway
    old = one.says()
    (directory / "partition-00.epoch").unlink()
    again = Shard("one", 0, HERE, directory)
    again.now = one.now + 0.5
    two.now = again.now
    again.attend()
    assert again.hears(two.says()) == [False, False]  # it has not their certificates yet
    assert again.beacons.report()["refused"] == {"certificate_missing": 2}
    assert two.hears(again.says()) == [True, True]
    assert again.hears(two.says()) == [True, True]
    assert two.hears(old) == [False, False]


def test_another_key_for_an_enrolled_node_is_refused_until_it_is_forgotten(
    pair: tuple[Shard, Shard], directory: Path
) -> None:
    """A lost seed is told as what it is; nothing is believed meanwhile."""
    assert pair[0].says()
    (directory / "partition-00.seed").unlink()
    again = Shard("one", 0, HERE, directory).attend()
    assert again.says() == {}
    assert "another key is enrolled" in again.alerts[0].summary
    assert again.beacons.report()["without_key"] == [MAP.ids[0], MAP.ids[1]]
    Enrolment(directory).forget(MAP.ids)
    again.sleeps(REFUSED_RETRY_S)
    again.says()
    assert again.says().keys() == {0, 1}


def test_an_unreadable_registry_lets_nobody_count(
    pair: tuple[Shard, Shard], directory: Path
) -> None:
    """The turn goes on, and each node is unknown, until it is mended."""
    one, two = pair
    said, whole = one.says(), (directory / REGISTRY).read_bytes()
    (directory / REGISTRY).write_text("{")
    assert two.hears(said) == [False, False]
    assert two.beacons.report()["refused"] == {"unknown_node": 2}
    (directory / REGISTRY).write_bytes(whole + b" ")
    assert two.hears(said) == [True, True]


def test_a_partition_that_moves_takes_its_keys_along(
    pair: tuple[Shard, Shard], directory: Path
) -> None:
    """The new host signs for it in a higher epoch; the old one signs for it no more."""
    one, two = pair
    three = Shard("three", 2, [], directory)
    assert two.hears(one.says()) == [True, True]
    one.beacons.attend(MAP, {})
    assert one.says(0, 1) == {}
    three.sleeps(0.1)
    two.sleeps(0.1)
    three.beacons.attend(MAP, {0: HERE})
    assert two.hears(three.says(0, 1)) == [True, True]


def _array(nodes: tuple[int, ...] | list[int]) -> NDArray[np.int32]:
    return np.array(nodes, np.int32)
