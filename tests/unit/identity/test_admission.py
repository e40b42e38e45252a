"""Claims wait their turn, and nobody's for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.byzantine.admission import PENALTY_S, Admission, Pace, Turn
from actors.identity.byzantine.suspicion import SUSPICION_S, Suspicions
from actors.topology.advertisement import Lsa
from tests.examples import share


def check(lsa: Lsa) -> Turn:
    """Everything is to be checked."""
    del lsa
    return Turn.CHECK


@given(
    floods=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=200),
    budget=st.integers(5, 20),
)
@settings(max_examples=share(1))
def test_who_sends_little_is_checked_with_the_next_job(
    floods: list[tuple[int, int]], budget: int
) -> None:
    """Whatever four senders send, the one claim of a fifth is in the next budget of five."""
    waiting = Admission()
    for number, (sender, origin) in enumerate(floods):
        waiting.put(sender, Lsa(origin, 1, number))
    waiting.put(4, Lsa(7, 1, 1000))
    assert (4, Lsa(7, 1, 1000)) in waiting.take(budget, check, 0.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=60))
@settings(max_examples=share(1))
def test_the_newest_of_each_sender_waits_and_all_are_taken(
    claims: list[tuple[int, int, int]],
) -> None:
    """One place for each sender and origin; what is taken does not wait any more."""
    waiting = Admission()
    newest: dict[tuple[int, int], int] = {}
    for sender, origin, sequence in claims:
        waiting.put(sender, Lsa(origin, 1, sequence))
        newest[sender, origin] = max(sequence, newest.get((sender, origin), 0))
    assert len(waiting) == len(newest)
    taken = waiting.take(1000, check, 0.0)
    assert {(sender, lsa.origin): lsa.sequence for sender, lsa in taken} == newest
    assert not waiting


def test_a_sender_of_forgeries_comes_last_for_a_while() -> None:
    """It has an eighth of a budget and never before others; the penalty ends."""
    waiting = Admission()
    waiting.strike(1, 0.0)
    for origin in range(40):
        waiting.put(1, Lsa(origin, 1, 1))
    for origin in range(3):
        waiting.put(2, Lsa(origin, 1, 1))
    taken = waiting.take(16, check, 1.0)
    assert [sender for sender, _ in taken] == [2, 2, 2, 1, 1]
    assert len(waiting.take(16, check, PENALTY_S + 1.0)) == 16


def test_what_must_wait_waits_and_what_is_old_goes() -> None:
    """A claim whose key is not there yet stays; one that is no news does not."""
    waiting = Admission()
    waiting.put(1, Lsa(0, 1, 1))
    waiting.put(1, Lsa(1, 1, 1))
    turns = {0: Turn.WAIT, 1: Turn.DROP}
    assert waiting.take(9, lambda lsa: turns[lsa.origin], 0.0) == []
    assert [lsa.origin for _, lsa in waiting.take(9, check, 0.0)] == [0]


def test_an_origin_changes_only_so_often() -> None:
    """A burst, then four changes an interval."""
    pace = Pace(2.0)
    for _ in range(Pace.BURST):
        assert pace.allows(3, 0.0)
        pace.spend(3, 0.0)
    assert not pace.allows(3, 0.4)
    assert pace.allows(3, 0.5)
    assert pace.allows(4, 0.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sets(st.integers(0, 4), max_size=3), st.floats(0, 30)),
        max_size=30,
    ),
    st.integers(1, 3),
)
@settings(max_examples=share(1))
def test_the_confirmed_are_those_that_enough_report(
    reports: list[tuple[int, set[int], float]], faults: int
) -> None:
    """Against a plain count of what each reporter last said and when it began to say so."""
    suspicions, now, said = Suspicions(faults), 0.0, dict[int, tuple[set[int], float]]()
    for stamp, (reporter, suspects, gap) in enumerate(reports):
        now += gap
        before = suspicions.confirmed
        changed = suspicions.report(reporter, stamp, sorted(suspects), now)
        said[reporter] = suspects, now
        wanted = {
            node
            for node in range(5)
            if sum(node in them and now < at + SUSPICION_S for them, at in said.values()) > faults
        }
        assert suspicions.confirmed == wanted
        assert changed == wanted ^ before


def test_the_same_word_again_renews_nothing() -> None:
    """An advertisement that is heard again keeps the time at which it was first believed."""
    suspicions = Suspicions(1)
    for reporter in (1, 2):
        suspicions.report(reporter, 5, [9], 0.0)
    suspicions.report(1, 5, [9], SUSPICION_S / 2)
    assert suspicions.confirmed == {9}
    assert suspicions.lapse(SUSPICION_S) == {9}
    assert not suspicions.confirmed
