"""The life of an SVID: its states by both clocks, and when somebody looks at it."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.contract import SvidState
from actors.identity.lifecycle import (
    JITTER,
    JUMP_S,
    LEAST_PAUSE_S,
    LEAST_REQUEST_S,
    LOOKS,
    ClockWatch,
    Life,
    Moment,
    RenewalRequests,
    begin,
)
from tests.unit.identity.certificates import NOW

LENGTHS = st.floats(2, 1e7)
ORDER = [SvidState.FRESH, SvidState.DUE, SvidState.STALE, SvidState.EXPIRED]


def life_of(length: float, threshold: float = 0.5, seed: int = 1, at: float = 0.0) -> Life:
    """A life that begins at NOW on the wall clock and at 0 on the monotonic one."""
    now = Moment(NOW + at, at)
    return begin(NOW, NOW + length, now, threshold=threshold, random=Random(seed))


def later(seconds: float, set_by: float = 0.0) -> Moment:
    return Moment(NOW + seconds + set_by, seconds)


@given(LENGTHS, st.floats(0.01, 0.99), st.integers())
def test_states_follow_each_other_and_none_is_left_out(
    length: float, threshold: float, seed: int
) -> None:
    """An SVID is fresh, then due within the jitter of the threshold, then stale, then over."""
    life = life_of(length, threshold, seed)
    due = (life.due_at - NOW) / length
    assert min(threshold * (1 - JITTER), 0.98) <= due <= threshold * (1 + JITTER) + 1e-6
    assert life.state(later(0)) is SvidState.FRESH
    assert life.state(later(length - life.due_left * 0.999)) is SvidState.DUE
    assert life.state(later(length - life.stale_left * 0.999)) is SvidState.STALE
    assert life.stale_left <= length / 4 + 1e-6
    assert life.state(later(length)) is SvidState.EXPIRED


def test_the_jitter_differs_between_svids() -> None:
    """Many hosts do not renew at once."""
    assert len({life_of(3600, seed=seed).due_left for seed in range(50)}) == 50


@given(LENGTHS, st.floats(0.01, 0.99), st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_no_change_of_state_is_slept_through(
    length: float, threshold: float, seed: int, at: float, part: float
) -> None:
    """Until the next look the state stays as it is, and there are `LOOKS` looks in a life."""
    life = life_of(length, threshold, seed)
    now = later(at * length)
    pause = life.wake_in(now)
    assert LEAST_PAUSE_S <= pause <= max(LEAST_PAUSE_S, length / LOOKS) + 1e-5
    asleep = later(at * length + part * (pause - LEAST_PAUSE_S) * 0.999)
    assert life.state(asleep) is life.state(now)


@given(
    LENGTHS,
    st.lists(st.tuples(st.floats(0, 0.4), st.one_of(st.just(0.0), st.floats(-2, 2))), max_size=20),
)
def test_no_svid_outlives_either_clock(length: float, steps: list[tuple[float, float]]) -> None:
    """However the wall clock is set, an SVID is over when either clock says so, and stays so
    unless the wall clock made it so too early."""
    life = life_of(length)
    passed = set_by = 0.0
    for part, jump in steps:
        passed += part * length
        set_by += jump * length
        now = later(passed, set_by)
        over = now.wall >= NOW + length or passed >= length
        assert (life.state(now) is SvidState.EXPIRED) == (life.left(now) <= 0)
        if over and abs(life.left(now)) > 1e-6 * length:
            assert life.state(now) is SvidState.EXPIRED
        assert life.left(now) <= length - passed + 1e-6 * length


@given(LENGTHS, st.floats(0, 0.9))
def test_an_svid_that_comes_late_in_its_life_has_only_the_rest(length: float, at: float) -> None:
    """What counts is NotAfter, not when it came."""
    life = life_of(length, at=at * length)
    assert life.left(later(at * length)) == pytest.approx((1 - at) * length, abs=1e-3)


def test_a_new_svid_is_asked_for_once_due_and_then_now_and_again() -> None:
    """Before it is due nothing is asked; afterwards once, then every twentieth of the life."""
    life, requests = life_of(100), RenewalRequests()
    asked = [tenth / 10 for tenth in range(1000) if requests.asks(life, later(tenth / 10))]
    assert asked[0] == pytest.approx(100 - life.due_left, abs=0.11)
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert gaps
    assert all(gap == pytest.approx(100 / LOOKS, abs=0.11) for gap in gaps)


def test_a_new_life_is_asked_for_by_its_own_times() -> None:
    """What was asked for the last SVID does not delay the request for the next."""
    requests = RenewalRequests()
    assert requests.asks(life_of(100), later(99))
    second = begin(NOW + 60, NOW + 99.2, later(99), threshold=0.5, random=Random(2))
    assert requests.asks(second, later(99 + 0.1))
    assert not requests.asks(second, later(99 + 0.1 + LEAST_REQUEST_S))


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e6, 1e6)), min_size=1, max_size=10))
def test_each_setting_of_the_wall_clock_is_noticed_once(steps: list[tuple[float, float]]) -> None:
    """A jump is told at the next look, with its size; slow corrections are no jumps."""
    watch = ClockWatch()
    assert watch.jump(later(0)) == 0.0
    passed = set_by = 0.0
    for pause, jump in steps:
        passed += pause
        set_by += jump
        told = watch.jump(later(passed, set_by))
        if abs(abs(jump) - JUMP_S) > 1e-3:
            assert told == (pytest.approx(jump, abs=1e-3) if abs(jump) > JUMP_S else 0.0)
        assert watch.jump(later(passed, set_by)) == 0.0
