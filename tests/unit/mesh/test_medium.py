"""The emulated radio delivers as often as the topology says, and not at all across faults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from actors.mesh.medium import RadioMedium
from actors.topology.model import Topology

N = 20_000
FORTH, BACK = 0.8, 0.6
PAIR = Topology.of(["a", "b", "c"], [(0, 1), (1, 2)], [(FORTH, BACK), (1.0, 1.0)])
LINK = np.zeros(N, np.int32)


def plausible(successes: int, trials: int, probability: float) -> bool:
    """Not rarer than once in a million runs."""
    return bool(binomtest(successes, trials, probability).pvalue > 1e-6)


def test_bursts_arrive_with_the_quality_of_their_direction() -> None:
    """Copies of a burst arrive independently with the link's quality."""
    medium = RadioMedium(PAIR, 1)
    copies = np.full(N, 3)
    assert plausible(int(medium.burst(LINK, copies).sum()), 3 * N, FORTH)
    assert plausible(int(medium.burst(LINK + 1, copies).sum()), 3 * N, BACK)


@pytest.mark.parametrize("attempts", [1, 2, 8])
def test_frames_arrive_and_are_acknowledged(attempts: int) -> None:
    """A frame arrives by any attempt, and is known to if frame and answer both get through."""
    fate = RadioMedium(PAIR, 2).transmit(LINK, np.full(N, attempts))
    assert not (fate.acknowledged & ~fate.arrived).any()
    known = 1.0 - (1.0 - FORTH * BACK) ** attempts
    assert plausible(int(fate.acknowledged.sum()), N, known)
    # Attempts end with the first acknowledgement, so what arrived is what arrived before it.
    assert plausible(int(fate.arrived.sum()), N, 1.0 - (1.0 - FORTH) ** attempts)


def test_faults_silence_nodes_and_cut_links() -> None:
    """Nothing passes to or from a silent node or over a cut link, until it is mended."""
    medium = RadioMedium(PAIR, 3)
    links = np.arange(4, dtype=np.int32)

    def passes() -> list[bool]:
        return (medium.burst(links, np.full(4, 64)) > 0).tolist()

    assert passes() == [True, True, True, True]
    medium.fault([2], [])
    assert passes() == [True, True, False, False]
    assert not medium.transmit(links[2:], np.full(2, 8)).arrived.any()
    medium.fault([2], [(1, 0)])
    assert passes() == [False, False, False, False]
    medium.fault([], [(0, 1)])
    assert passes() == [False, False, True, True]
    medium.fault([], [])
    assert passes() == [True, True, True, True]


def test_a_grown_topology_keeps_the_faults() -> None:
    """Nodes that join are heard; who was silent stays so."""
    medium = RadioMedium(PAIR, 4)
    medium.fault([0], [])
    grown = Topology.of([*PAIR.ids, "d"], [*PAIR.ends.tolist(), (2, 3)])
    medium.replace(grown)
    assert medium.silent.tolist() == [True, False, False, False]
    assert (medium.burst(np.arange(6, dtype=np.int32), np.full(6, 9)) > 0).tolist() == [
        *[False] * 2,
        *[True] * 4,
    ]


def test_the_seed_decides() -> None:
    """The same seed draws the same fates, another seed others."""
    first, again, other = (
        RadioMedium(PAIR, seed).transmit(LINK, np.ones(N, np.int64)) for seed in (5, 5, 6)
    )
    assert np.array_equal(first.arrived, again.arrived)
    assert not np.array_equal(first.arrived, other.arrived)
