"""The replay window against a plain set of what was admitted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.identity.replay_window import WINDOW, Freshness, ReplayWindow

numbers = st.tuples(st.integers(0, 3), st.integers(0, 3 * WINDOW))


@given(st.lists(numbers, max_size=60))
def test_a_number_is_admitted_once_and_no_old_one_ever(fed: list[tuple[int, int]]) -> None:
    """The bitmap answers as a set of all that was admitted would."""
    window = ReplayWindow()
    admitted: set[tuple[int, int]] = set()
    for epoch, sequence in fed:
        top = max((e for e, _ in admitted), default=-1)
        highest = max((s for e, s in admitted if e == top), default=-1)
        if epoch < top:
            expected = Freshness.OLD_EPOCH
        elif epoch == top and sequence <= highest - WINDOW:
            expected = Freshness.TOO_OLD
        elif (epoch, sequence) in admitted:
            expected = Freshness.REPLAYED
        else:
            expected = Freshness.NEW
        assert window.check(epoch, sequence) is expected
        assert window.admit(epoch, sequence) is expected
        if expected is Freshness.NEW:
            admitted.add((epoch, sequence))


def test_checking_moves_nothing() -> None:
    """A forged high number that is only checked leaves the window open for the honest one."""
    window = ReplayWindow()
    window.admit(1, 5)
    assert window.check(9, 2**60) is Freshness.NEW
    assert window.check(1, 2**60) is Freshness.NEW
    assert window.admit(1, 6) is Freshness.NEW
    assert (window.epoch, window.highest) == (1, 6)
