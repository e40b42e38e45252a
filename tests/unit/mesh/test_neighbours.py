"""What a host believes of its neighbours' links, from what it hears."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy.stats import binom

from actors.mesh.neighbours import (
    FALSE_ALARM,
    HYSTERESIS,
    MAX_ATTEMPTS,
    MIN_ATTEMPTS,
    ROUNDS,
    Hellos,
    NeighbourTable,
)
from actors.topology.etx import COST_UNIT
from actors.topology.model import Topology
from tests.unit.mesh.worlds import of_graph

PAIR = of_graph(nx.path_graph(2))
HELLO_S = 1.0
FIRST = np.array([True, False])


def table(mesh: Topology = PAIR, hosted: np.ndarray = FIRST) -> NeighbourTable:
    return NeighbourTable(mesh, hosted, HELLO_S, 1, 0.0)


def hear(
    neighbours: NeighbourTable, now: float, arrived: int = 8, heard: float = 1.0, copies: int = 8
) -> tuple[list[int], list[int], list[int]]:
    """The neighbour's burst over link 1 (from node 1 to node 0); rows up, down and dearer."""
    hellos = Hellos(np.array([1], np.int32), np.array([copies]), np.array([heard]))
    change = neighbours.hear(hellos, np.array([arrived]), now)
    rows = np.concatenate([change.up, change.down, change.cost])
    neighbours.settle_costs(rows)
    return change.up.tolist(), change.down.tolist(), change.cost.tolist()


def test_a_link_is_up_only_when_heard_both_ways() -> None:
    """Hearing a neighbour that does not hear us brings no link; it does once both hear."""
    neighbours = table()
    assert hear(neighbours, 1.0, heard=0.0) == ([], [], [])
    assert hear(neighbours, 2.0, heard=0.5) == ([0], [], [0])
    assert hear(neighbours, 3.0, heard=0.0) == ([], [0], [])
    assert neighbours.cost.tolist() == [0]
    assert hear(neighbours, 4.0, arrived=0) == ([], [], [])


@pytest.mark.parametrize(("forth", "back"), [(1.0, 1.0), (0.95, 0.8), (0.5, 0.7)])
def test_etx_converges_to_the_truth(forth: float, back: float) -> None:
    """The smoothed cost comes within a fifth of 256 / (d_f d_r), and stays there."""
    both = table(hosted=np.array([True, True]))
    draw = np.random.default_rng(8)
    quality = np.array([forth, back])
    nobody = np.zeros(2, bool)
    for step in range(400):
        now = step / 4
        hellos = both.hellos(now, nobody)
        arrived = draw.binomial(hellos.copies, quality[hellos.links])
        change = both.hear(hellos, arrived, now)
        both.settle_costs(np.concatenate([change.up, change.down, change.cost]))
        both.expire(now)
        if step > 160:
            estimate = both._etx(np.arange(2))
            assert estimate == pytest.approx(COST_UNIT / (forth * back), rel=0.2)
    assert both.up.all()
    assert both.measured == pytest.approx(quality[both.link ^ 1], abs=0.1)


def test_hysteresis_delays_a_change_of_cost() -> None:
    """A cost is advertised anew only when it is off by more than the hysteresis."""
    neighbours = table()
    hear(neighbours, 0.0)
    before = int(neighbours.cost[0])
    advertised = []
    for step in range(1, 40):
        _, _, dearer = hear(neighbours, float(step), arrived=5)
        if dearer:
            advertised.append(int(neighbours.cost[0]))
    assert advertised
    steps = zip([before, *advertised], advertised, strict=False)
    assert all(new > (1 + HYSTERESIS) * old for old, new in steps)
    assert advertised[-1] == pytest.approx(COST_UNIT * 8 / 5, rel=HYSTERESIS)


def test_hysteresis_never_delays_a_withdrawal() -> None:
    """A neighbour unheard for more than 3.5 Hellos is lost at the next look, not before."""
    neighbours = table()
    hear(neighbours, 0.0)
    for step in range(1, 15):
        assert neighbours.expire(step / 4).down.tolist() == []
    assert neighbours.up.tolist() == [True]
    assert neighbours.expire(3.55).down.tolist() == [0]
    assert neighbours.up.tolist() == [False]
    assert neighbours.expire(3.6).down.tolist() == []


def test_time_that_the_host_slept_through_does_not_count() -> None:
    """After a stall a neighbour has the rest of its hold time, and no more than all of it."""
    neighbours = table()
    for step in range(8):
        hear(neighbours, step / 4)
        neighbours.expire(step / 4)
    assert neighbours.expire(61.75).down.tolist() == []
    hear(neighbours, 62.0)
    neighbours.expire(62.0)
    assert neighbours.expire(92.0).down.tolist() == []
    hear(neighbours, 92.0)
    lost_at = next(t for t in np.arange(92.0, 130.0, 0.25) if len(neighbours.expire(t).down))
    assert 95.5 < lost_at <= 95.75


def test_a_burst_heard_before_the_stall_is_noticed_counts_once() -> None:
    """A Hello heard right after a stall does not buy its sender the stalled time on top."""
    neighbours = table()
    hear(neighbours, 0.0)
    neighbours.expire(0.0)
    hear(neighbours, 60.0)
    neighbours.expire(60.0)
    lost_at = next(t for t in np.arange(60.0, 160.0, 0.25) if len(neighbours.expire(t).down))
    assert lost_at <= 63.75


@pytest.mark.parametrize("quality", [1.0, 0.95, 0.8, 0.5])
@pytest.mark.parametrize("heard", [8, 64, 256])
def test_feedback_is_wrong_less_than_once_in_1e9_frames(quality: float, heard: int) -> None:
    """Over all estimates that `heard` copies may give, a false alarm is rarer than 1e-9.

    Exact: the estimates' binomial probabilities times the chance that a living neighbour leaves
    that many transmissions unanswered, which is (1 - q q) to their number.
    """
    counts = np.arange(heard + 1)
    weight = binom.pmf(counts, heard, quality)
    likely = counts[weight > 1e-7]
    pairs = np.array([(i, j) for i in likely for j in likely if i and j])
    star = of_graph(nx.star_graph(len(pairs)))
    neighbours = table(star, np.arange(star.n_nodes) == 0)
    neighbours._sent[:] = heard
    neighbours._arrived[:] = pairs[:, 0]
    neighbours._reported[:] = pairs[:, 1] / heard
    needed = neighbours.threshold(np.arange(len(pairs)))
    false = (1.0 - quality * quality) ** needed
    probability = (weight[pairs[:, 0]] * weight[pairs[:, 1]] * false).sum()
    assert probability < FALSE_ALARM
    # And it is of use: a good link that is known well betrays its neighbour within few frames.
    if quality == 1.0 and heard == 256:
        assert needed.max() <= 2 * MIN_ATTEMPTS


def test_unanswered_frames_betray_and_one_answer_clears() -> None:
    """A neighbour is lost when its limit of unanswered transmissions in a row is reached."""
    neighbours = table()
    for step in range(32):
        hear(neighbours, step / 32)
    link, row = np.array([0], np.int32), np.array([0])
    limit = int(np.ceil(neighbours.threshold(row)[0] / neighbours.attempts_over(link)[0]))
    assert limit > 1

    def frame(*, answered: bool) -> list[int]:
        return neighbours.acknowledge(link, np.array([answered])).down.tolist()

    for _ in range(limit - 1):
        assert frame(answered=False) == []
    assert neighbours.suspect.tolist() == [True]
    assert frame(answered=True) == []
    assert neighbours.suspect.tolist() == [False]
    for _ in range(limit - 1):
        assert frame(answered=False) == []
    hear(neighbours, 1.1)  # a Hello is a sign of life too
    for _ in range(limit - 1):
        assert frame(answered=False) == []
    assert frame(answered=False) == [0]
    assert neighbours.up.tolist() == [False]


@pytest.mark.parametrize("quality", [1.0, 0.8, 0.5, 0.3])
def test_a_poor_link_is_asked_as_often_as_its_limit_needs(quality: float) -> None:
    """However poor the link, a dead neighbour is found out in a few frames."""
    neighbours = table()
    for step in range(64):
        hear(neighbours, step / 64, arrived=round(100 * quality), copies=100, heard=quality)
    attempts = int(neighbours.attempts_over(np.array([0], np.int32))[0])
    limit = int(neighbours.threshold(np.array([0]))[0])
    assert MIN_ATTEMPTS <= attempts <= MAX_ATTEMPTS
    assert limit / attempts < ROUNDS + 1


def test_a_new_neighbour_is_answered_before_the_next_interval() -> None:
    """Who hears somebody it has no link with says so soon, but not without end."""
    neighbours = table()
    nobody = np.zeros(2, bool)
    start = neighbours.next_hello
    assert len(neighbours.hellos(start, nobody).links) == 1
    hear(neighbours, start + 0.01, heard=0.0)
    soon = neighbours.next_hello - start
    assert 0.05 <= soon < HELLO_S / 2
    assert len(neighbours.hellos(start + soon, nobody).links) == 1
    hear(neighbours, start + soon + 0.01)
    assert neighbours.next_hello - (start + soon) >= soon


def test_doubt_falls_on_links_that_are_up() -> None:
    """Only living links to the doubted neighbours are suspected."""
    star = of_graph(nx.star_graph(2))
    neighbours = table(star, np.array([True, False, False]))
    neighbours.up[0] = True
    neighbours.doubt(np.array([1, 2], np.int32))
    assert neighbours.suspect.tolist() == [True, False]


def test_a_missed_burst_makes_a_link_dearer() -> None:
    """Bursts that were lost whole count as copies that did not arrive."""
    steady, gappy = table(), table()
    for step in range(12):
        hear(steady, float(step))
        if step % 2 == 0:
            hear(gappy, float(step))
    assert steady.measured[0] == pytest.approx(1.0)
    assert gappy.measured[0] == pytest.approx(0.5, abs=0.1)


def test_hellos_keep_their_phase_and_skip_what_was_slept_through() -> None:
    """Each node speaks once an interval; after a stall once, and then in its old rhythm."""
    neighbours = table()
    nobody = np.zeros(2, bool)
    spoken = [t for t in np.arange(0.0, 10.0, 0.01) if len(neighbours.hellos(t, nobody).links)]
    assert np.diff(spoken) == pytest.approx(HELLO_S, abs=0.011)
    assert len(neighbours.hellos(27.3, nobody).links) == 1
    assert len(neighbours.hellos(27.3, nobody).links) == 0
    intervals = (neighbours.next_hello - spoken[0]) / HELLO_S
    assert intervals == pytest.approx(round(intervals), abs=0.011)
    assert len(neighbours.hellos(40.0, FIRST).links) == 0  # node 0 is silent


def test_a_host_of_nothing_never_speaks() -> None:
    """Without hosted nodes there is no Hello to wait for."""
    assert table(hosted=np.array([False, False])).next_hello == np.inf


def test_a_renumbering_keeps_what_was_known() -> None:
    """Links with the same ends keep their state when nodes and links are added."""
    neighbours = table()
    for step in range(5):
        hear(neighbours, float(step), arrived=6)
    grown = Topology.of(["n0", "n1", "n2"], [(0, 2), (1, 0)])
    after = table(grown, np.array([True, False, False]))
    after.keep(neighbours)
    row = after.neighbour.tolist().index(1)
    assert after.up[row]
    assert after.cost[row] == neighbours.cost[0]
    assert after.measured[row] == neighbours.measured[0]
    assert not after.up[1 - row]
    assert after.expire(4.0).down.tolist() == []


def test_bursts_that_piled_up_count_one_by_one() -> None:
    """Hellos of a stall, heard together, neither worsen a perfect link nor take it down."""
    neighbours = table()
    for step in range(1, 40):
        hear(neighbours, float(step))
    before = neighbours.cost.tolist()
    piled = Hellos(np.ones(5, np.int32), np.full(5, 8), np.array([1.0, 0.0, 1.0, 1.0, 1.0]))
    change = neighbours.hear(piled, np.full(5, 8), 44.0)
    assert not len(change.up) + len(change.down) + len(change.cost)
    assert neighbours.up.tolist() == [True]
    assert neighbours.measured.tolist() == pytest.approx([1.0])
    assert neighbours.cost.tolist() == before
