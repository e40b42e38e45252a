"""What nodes have answered over many polls, whoever answers what, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from actors.observe.sources import respondd_book, respondd_reading
from actors.observe.sources.respondd_book import (
    DUPLICATE,
    ELSEWHERE,
    LATE,
    LATELY_S,
    MAX_ANSWERS,
    MAX_STRANGERS,
    PATIENCE,
    TOO_MANY,
    UNASKED,
    Peer,
    RespondentBook,
)
from actors.observe.sources.respondd_datagram import PORT
from actors.observe.sources.respondd_reading import Told
from loadtests.respondd_nodes import deflated, sections

if TYPE_CHECKING:
    import pytest

A, B, X = (Peer(host, PORT) for host in ("10.0.0.1", "10.0.0.2", "10.0.0.9"))
LINK_LOCAL = Peer("fe80::7", PORT, 2)


def answer(at: int = 0, **more: object) -> bytes:
    said = sections(at, 8)
    said["nodeinfo"] |= more
    return deflated(said)


def book(*, anybody: bool = True) -> RespondentBook:
    return RespondentBook([PORT], anybody=anybody)


def poll(one: RespondentBook, now: float, *answers: tuple[Peer, bytes], hosts: object = ()) -> None:
    one.begin(now, hosts)  # type: ignore[arg-type]
    for peer, datagram in answers:
        one.offer(peer, datagram, now)
    one.read_waiting()
    one.end()


def ids(one: RespondentBook) -> list[str]:
    return [each.node_id[-1] for each in one.current()]


def test_who_has_not_answered_is_asked_again() -> None:
    """Hosts that are listed, and nodes that were heard lately."""
    one = book()
    poll(one, 0.0, (A, answer(0)), (B, answer(1)), hosts=[X])
    assert one.missing() == (X,)
    poll(one, 60.0, (X, answer(2)), hosts=[X])
    assert set(one.missing()) == {A, B}
    poll(one, 60.0 + LATELY_S, hosts=[X])
    assert one.missing() == (X,)


def test_the_last_words_hold_for_some_polls() -> None:
    """Then the node is silent: listed as offline, without links of its own; later forgotten."""
    one = book()
    poll(one, 0.0, (A, answer(0)), (B, answer(1)))
    for at in range(1, PATIENCE):
        poll(one, 60.0 * at, (B, answer(1)))
        assert ids(one) == ["0", "1"]
    poll(one, 60.0 * PATIENCE, (B, answer(1)))
    assert ids(one) == ["1"]
    reading = respondd_reading.read("respondd:x", Told.of(one, {}))
    assert {node.name: (node.online, node.seen_at) for node in reading.nodes} == {
        "node-1": (True, 60.0 * PATIENCE),
        "node-0": (False, 0.0 or None),
    }
    assert len(reading.links) == 1  # of node 1, which still hears it
    poll(one, LATELY_S + 1, (B, answer(1)))
    assert not one.silent()


def test_a_late_answer_counts_in_the_next_reading() -> None:
    """It is counted as late, and it is as good as another."""
    one = book()
    poll(one, 0.0, (A, answer(0)))
    one.offer(B, answer(1), 30.0)
    poll(one, 60.0, (A, answer(0)))
    assert ids(one) == ["0", "1"]
    assert one.counts[LATE] == 1
    poll(one, 120.0, (A, answer(0)))
    assert one.counts[LATE] == 0


def test_duplicates_change_nothing_but_the_count() -> None:
    """A node that hears a group on two interfaces answers twice, from two addresses."""
    one = book()
    poll(one, 0.0, (A, answer(0)), (A, answer(0)), (LINK_LOCAL, answer(0)))
    assert ids(one) == ["0"]
    assert one.counts[DUPLICATE] == 2


def test_an_answer_under_anothers_id_changes_nothing() -> None:
    """While the node itself answers, wherever it comes from and whenever."""
    one = book()
    forged = answer(0, hostname="evil", network={"mac": "66:66:66:66:66:66"})
    poll(one, 0.0, (A, answer(0)), (X, forged))
    poll(one, 60.0, (X, forged))
    assert one.counts[ELSEWHERE] == 1
    (kept,) = one.current()
    assert (kept.peer, kept.sections["nodeinfo"]["hostname"]) == (A, "node-0")


def test_a_node_with_a_new_address_is_known_again() -> None:
    """Once its old address has been silent for a whole poll."""
    one = book()
    poll(one, 0.0, (A, answer(0)))
    poll(one, 60.0)
    poll(one, 120.0, (B, answer(0)))
    (kept,) = one.current()
    assert kept.peer == B


def test_one_address_may_speak_for_many_nodes() -> None:
    """A controller answers for its access points."""
    one = book()
    poll(one, 0.0, *((A, answer(at)) for at in range(5)))
    assert ids(one) == list("01234")


def test_only_who_was_asked_is_heard() -> None:
    """Without a group that is the hosts alone; with one, whoever answers from the port asked."""
    one = book(anybody=False)
    poll(one, 0.0, (A, answer(0)), (X, answer(1)), hosts=[A])
    assert (ids(one), one.counts[UNASKED]) == (["0"], 1)
    other = book()
    poll(other, 0.0, (Peer(X.host, 4711), answer(1)))
    assert (ids(other), other.counts[UNASKED]) == ([], 1)


def test_the_last_good_answer_stays() -> None:
    """A truncated one is counted, named, and its node is asked again."""
    one = book()
    poll(one, 0.0, (A, answer(0)))
    poll(one, 60.0, (A, answer(0)[:50]), (A, b"x" * 9000))
    assert one.missing() == (A,)
    assert ids(one) == ["0"]
    assert (one.counts["truncated answers"], one.counts["oversized answers"]) == (1, 1)
    reading = respondd_reading.read("respondd:x", Told.of(one, {}))
    assert [(each.reason, each.entry) for each in reading.left_out if "answers" in each.reason] == [
        ("oversized answers", "10.0.0.1")
    ]


def test_a_good_answer_to_the_second_question_makes_up_for_the_first() -> None:
    """Nothing is left out then."""
    one = book()
    poll(one, 0.0, (A, answer(0)[:50]), (A, answer(0)))
    assert not one.unreadable()
    assert one.counts["truncated answers"] == 1


def test_strangers_with_rubbish_are_few() -> None:
    """Anybody can make up addresses: all are counted, some are named, the share stays small."""
    one = book()
    strangers = [(Peer(f"10.1.{at >> 8}.{at & 255}", PORT), b"\xff rubbish") for at in range(500)]
    poll(one, 0.0, (A, answer(0)), *strangers)
    assert len(one.unreadable()) == MAX_STRANGERS
    assert one.counts["unreadable answers"] == 500


def test_a_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By answers of one address, by bytes that wait, and by nodes."""
    one = book()
    poll(one, 0.0, *((A, b"x") for _ in range(MAX_ANSWERS + 5)))
    assert one.counts[TOO_MANY] == 5
    monkeypatch.setattr(respondd_book, "MAX_WAITING", 1000)
    poll(one, 60.0, *((Peer("10.0.0.3", PORT), b"x" * 400) for _ in range(4)))
    assert one.counts[TOO_MANY] == 2
    monkeypatch.setattr(respondd_book, "MAX_WAITING", 2**20)
    monkeypatch.setattr(respondd_book, "MAX_NODES", 2)
    poll(one, 120.0, *((Peer(f"10.0.1.{at}", PORT), answer(at)) for at in range(4)))
    assert len(one.current()) == 2
    assert one.counts[TOO_MANY] == 2


def test_what_waits_is_no_more_than_needed() -> None:
    """One byte above the limit tells that an answer is too large."""
    one = book()
    one.begin(0.0, ())
    one.offer(A, b"x" * 60_000, 0.0)
    assert one._waiting_bytes <= 8193
    one.read_waiting()
    assert one._waiting_bytes == 0


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("poll"), st.floats(0, 400), st.integers(0, 3)),
        st.tuples(st.just("answer"), st.integers(0, 3), st.integers(0, 3)),
        st.tuples(st.just("rubbish"), st.integers(0, 3), st.integers(0, 3)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_any_sequence_keeps_the_invariants(events: list[tuple[str, float, int]]) -> None:
    """Nodes are current, silent or forgotten; an id has one address; all is accounted for."""
    one, now = book(), 0.0
    peers = [Peer(f"10.0.0.{at}", PORT) for at in range(4)]
    heard: set[str] = set()
    one.begin(now, peers[:1])
    for kind, first, second in events:
        if kind == "poll":
            one.end()
            now += first
            one.begin(now, peers[:second])
        elif kind == "answer":
            one.offer(peers[int(first)], answer(second), now)
            heard.add(f"{second:012x}")
        else:
            one.offer(peers[int(first)], answer(second)[: 10 + second], now)
    one.read_waiting()
    current, silent = one.current(), one.silent()
    known = [each.node_id for each in (*current, *silent)]
    assert len(known) == len(set(known))
    assert set(known) <= heard
    assert one.heard_now <= len(current)
    assert {each.peer for each in silent} <= set(one.missing())
    if known:
        reading = respondd_reading.read("respondd:x", Told.of(one, {}))
        found = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
        assert reading.records + reading.implied == found
        assert {node.id for node in reading.nodes} == set(known)
