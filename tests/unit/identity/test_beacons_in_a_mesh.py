"""Hosts that ask for signed beacons: who proves itself is a neighbour, and nobody else."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from actors.identity.beacon_judge import BeaconReason
from actors.identity.enrolment import Enrolment
from actors.identity.pqc_watch import PqcWatch
from actors.identity.signed_beacons import BeaconOptions, SignedBeacons
from actors.mesh.guard import Guard
from actors.mesh.simulator import Distrust, Simulation
from actors.runtime.metrics import MemoryMetrics
from tests.unit.mesh.worlds import grid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.mesh.guard import Held

UNPROVEN = 4  # the centre of the grid
START = 1_700_000_000.0


class AtOnce(ThreadPoolExecutor):
    """Does what it is given at once: the simulation has one thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class World:
    """A grid of hosts that ask for beacons, all but one, at the simulation's time."""

    def __init__(self, directory: Path, *, unproven: int | None, epoch_s: float = 3600.0) -> None:
        self.sim: Simulation | None = None
        self.watches = [PqcWatch(f"{node}", MemoryMetrics(), self.clock) for node in range(9)]
        options = BeaconOptions(epoch_s=epoch_s, skew_s=5.0)

        def guard(node: int, _held: Held) -> Guard:
            if node == unproven:
                return Guard()
            watch = self.watches[node]
            return Guard(beacons=SignedBeacons(directory, options, watch, self.clock, AtOnce(1)))

        self.sim = Simulation(grid(3, 3), distrust=Distrust(guard=guard))

    def clock(self) -> float:
        return START + (0.0 if self.sim is None else self.sim.now)

    def run(self, until: float) -> None:
        assert self.sim is not None
        self.sim.run(until)

    def neighbours(self, node: int) -> set[int]:
        assert self.sim is not None
        table = self.sim.hosts[node].neighbours
        return set(table.neighbour[table.up].tolist())

    def lost(self, since: float) -> int:
        assert self.sim is not None
        return sum(
            event.kind == "neighbour-lost" and event.at >= since
            for host in self.sim.hosts
            for event in host.events
        )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "mesh").mkdir()
    return tmp_path / "mesh"


def test_a_node_without_beacons_is_nobodys_neighbour(directory: Path) -> None:
    """It says Hello as the others do; the others have each other, and each refusal its reason."""
    world = World(directory, unproven=UNPROVEN)
    world.run(20.0)
    around = {node: world.neighbours(node) for node in range(9)}
    assert all(UNPROVEN not in neighbours for neighbours in around.values())
    assert around[0] == {1, 3}
    assert around[1] == {0, 2}
    assert world.watches[1].refused[BeaconReason.ABSENT] > 10


def test_proven_nodes_stay_neighbours_through_new_keys_and_a_forgotten_one_falls_out(
    directory: Path,
) -> None:
    """Rotation loses nobody; whose key is enrolled no more is lost within the hold."""
    world = World(directory, unproven=None, epoch_s=12.0)
    world.run(5.0)
    assert world.neighbours(4) == {1, 3, 5, 7}
    world.run(40.0)  # three epochs
    assert world.lost(since=0.0) == 0
    assert world.neighbours(4) == {1, 3, 5, 7}

    registry = Enrolment(directory)
    registry.forget(["n4"])
    registry.enrol({"n4": bytes(32)}, "ml-dsa-65")  # of another key
    world.run(46.0)
    assert world.neighbours(1) == {0, 2}
    assert world.neighbours(4) == set()
