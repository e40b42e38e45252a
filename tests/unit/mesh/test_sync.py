"""What one peer owes another, and how digests mend what flooding missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from actors.mesh.lsdb import LinkStateDatabase
from actors.mesh.sync import ANTI_ENTROPY_S, MAX_LSAS, Synchroniser
from actors.topology.advertisement import Lsa

if TYPE_CHECKING:
    from collections.abc import Callable


class End:
    """A replica and its synchroniser."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.database = LinkStateDatabase()
        self.sync = Synchroniser(self.database)


def exchange(ends: list[End], now: float, lost: Callable[[], bool] = lambda: False) -> int:
    """Everybody tells everybody else what is owed, once; how many frames were sent."""
    sent = 0
    for speaker in ends:
        for listener in ends:
            if speaker is listener:
                continue
            frame = speaker.sync.frame(listener.name, now)
            if frame is None:
                continue
            sent += 1
            if lost():
                continue
            listener.sync.receive(speaker.name, frame, now)
            if not lost():  # the acknowledgement
                speaker.sync.delivered(listener.name, frame, now)
    return sent


def pair() -> tuple[End, End]:
    a, b = End("a"), End("b")
    a.sync.meet("b", 0.0)
    b.sync.meet("a", 0.0)
    return a, b


def lsa(origin: int, sequence: int = 1) -> Lsa:
    return Lsa(origin, 1, sequence)


def test_news_is_owed_until_it_is_acknowledged() -> None:
    """A frame that was not acknowledged is told again, one that was is not."""
    a, b = pair()
    exchange([a, b], 0.0)
    a.sync.learn([lsa(1)], None)
    first = a.sync.frame("b", 1.0)
    again = a.sync.frame("b", 1.0)
    assert first is not None
    assert first == again
    assert first.lsas == (lsa(1),)
    a.sync.delivered("b", first, 1.0)
    assert not a.sync.owes("b", 1.0)
    assert a.sync.frame("b", 1.0) is None


def test_what_became_newer_under_way_is_still_owed() -> None:
    """An acknowledgement of older news does not settle the newer."""
    a, _ = pair()
    a.sync.learn([lsa(1)], None)
    frame = a.sync.frame("b", 0.0)
    assert frame is not None
    a.sync.learn([lsa(1, 2)], None)
    a.sync.delivered("b", frame, 0.0)
    newer = a.sync.frame("b", 0.0)
    assert newer is not None
    assert newer.lsas == (lsa(1, 2),)


def test_news_does_not_go_back_where_it_came_from() -> None:
    """An advertisement is owed to every peer but its bringer, and only if it was news."""
    a = End("a")
    for name in "bcd":
        a.sync.meet(name, -ANTI_ENTROPY_S)
        frame = a.sync.frame(name, -ANTI_ENTROPY_S)
        assert frame is not None
        a.sync.delivered(name, frame, 0.0)
    assert a.sync.learn([lsa(1)], "b") == [lsa(1)]
    assert [a.sync.owes(name, 1.0) for name in "bcd"] == [False, True, True]
    assert a.sync.learn([lsa(1)], "c") == []


def test_frames_are_bounded_and_everything_comes() -> None:
    """A cold start is told in several frames of limited length."""
    a, b = pair()
    a.sync.learn([lsa(origin) for origin in range(2 * MAX_LSAS + 1)], None)
    frames = 0
    while (frame := a.sync.frame("b", 0.0)) is not None:
        frames += 1
        assert len(frame.lsas) <= MAX_LSAS
        b.sync.receive("a", frame, 0.0)
        a.sync.delivered("b", frame, 0.0)
    assert frames == 3
    assert b.database == a.database


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 5)), max_size=12),
    st.floats(0.0, 0.8),
    st.randoms(use_true_random=False),
)
def test_digests_mend_a_partition(
    heard: list[tuple[bool, int, int]], loss: float, random: object
) -> None:
    """Ends that learnt apart and meet become equal, whatever frames and answers are lost."""
    a, b = End("a"), End("b")
    for first, origin, sequence in heard:
        (a if first else b).sync.learn([lsa(origin, sequence)], None)
    a.sync.meet("b", 0.0)
    b.sync.meet("a", 0.0)
    for _ in range(60):
        exchange([a, b], 0.0, lambda: random.random() < loss)  # type: ignore[attr-defined]
    for _ in range(5):
        exchange([a, b], 0.0)
    assert a.database == b.database
    assert a.database.digest == b.database.digest
    assert exchange([a, b], 0.0) == 0  # and then they are quiet
    assert exchange([a, b], ANTI_ENTROPY_S) == 2  # until digests are due again


def test_a_periodic_digest_mends_what_nobody_knew_of() -> None:
    """A peer that lost its database unnoticed has all of it back at the next comparison."""
    a, b = pair()
    a.sync.learn([lsa(1), lsa(2)], None)
    for _ in range(4):
        exchange([a, b], 0.0)
    restarted = End("b")
    assert exchange([a, restarted], ANTI_ENTROPY_S / 2) == 0
    for _ in range(4):
        exchange([a, restarted], ANTI_ENTROPY_S)
    assert restarted.database == a.database


def test_a_peer_that_parted_is_owed_nothing() -> None:
    """Out of reach means no frames; to strangers there is nothing to say."""
    a, _ = pair()
    a.sync.learn([lsa(1)], None)
    a.sync.part("b")
    assert not a.sync.owes("b", 1e9)
    assert a.sync.frame("b", 1e9) is None
    a.sync.part("stranger")
