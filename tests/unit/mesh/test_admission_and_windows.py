"""Mailboxes, outbox, inbox and windows against models that are plain Python sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.mesh import batch as messages
from actors.mesh.mailbox_space import admit
from actors.mesh.message_inbox import SeenWindow
from actors.mesh.message_outbox import MAX_BACKOFF, Outbox
from tests.examples import share

NODES = 4


@given(
    st.lists(st.integers(0, NODES - 1), max_size=20),
    st.lists(st.integers(-1, 4), min_size=NODES, max_size=NODES),
)
def test_admission_is_first_come_first_served(owner: list[int], room: list[int]) -> None:
    """A message is admitted exactly if fewer than its mailbox's room came before it."""
    admitted = admit(np.array(owner, np.int32), np.array(room, np.int64))
    expected = [owner[:place].count(box) < room[box] for place, box in enumerate(owner)]
    assert admitted.tolist() == expected


class Window(RuleBasedStateMachine):
    """A window is a set of numbers, of which those too far below the highest all count as seen."""

    SIZE = 8

    def __init__(self) -> None:
        super().__init__()
        self.window = SeenWindow(self.SIZE)
        self.seen: set[int] = set()

    @rule(some=st.sets(st.integers(0, 40), max_size=6))
    def mark(self, some: set[int]) -> None:
        self.window.mark(np.array(sorted(some), np.int64))
        self.seen |= some

    @rule()
    def reload(self) -> None:
        self.window = SeenWindow.load(self.window.high, self.window.dump(), self.SIZE)

    @invariant()
    def agrees(self) -> None:
        high = max(self.seen, default=-1)
        numbers = np.arange(60)
        expected = [n not in self.seen and n > high - self.SIZE for n in numbers]
        assert self.window.high == high
        assert self.window.unseen(numbers).tolist() == expected


Window.TestCase.settings = settings(max_examples=share(2 / 3), stateful_step_count=12)
TestWindow = Window.TestCase


class Custody(RuleBasedStateMachine):
    """An outbox is the set of accepted messages that nobody has settled."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = Outbox(3, NODES)
        self.open: dict[int, int] = {}  # id → source
        self.given: list[int] = []

    @rule(sources=st.lists(st.integers(0, NODES - 1), max_size=4))
    def accept(self, sources: list[int]) -> None:
        kept = self.outbox.accept(messages.build(sources, 0, [b"x"] * len(sources)))
        ids = kept.head["id"].tolist()
        assert not set(ids) & set(self.given)
        self.given += ids
        self.open.update(zip(ids, sources, strict=True))

    @rule(data=st.data(), quietly=st.booleans())
    def settle(self, data: st.DataObject, *, quietly: bool) -> None:
        unknown = messages.message_ids(3, 1000, 1).tolist()
        some = data.draw(st.lists(st.sampled_from(self.given + unknown), max_size=5))
        asked, expected = np.array(some, np.uint64), sorted(set(some) & set(self.open))
        if quietly:
            assert self.outbox.settle(asked) == len(expected)
        else:
            assert sorted(self.outbox.withdraw(asked).head["id"].tolist()) == expected
        for number in expected:
            del self.open[number]

    @rule(again=st.booleans())
    def send(self, *, again: bool) -> None:
        if again:
            self.outbox.hasten()
            due = self.outbox.due(1e6, 1.0)
            assert sorted(due.head["id"].tolist()) == sorted(self.open)

    @invariant()
    def agrees(self) -> None:
        ids = np.array(self.given, np.uint64)
        assert self.outbox.is_open(ids).tolist() == [n in self.open for n in self.given]
        assert len(self.outbox) == len(self.open)
        counts = np.bincount(list(self.open.values()), minlength=NODES)
        assert self.outbox.pending.tolist() == counts.tolist()
        oldest = min((n for n in self.open), default=None)
        if oldest is not None:
            first = int(messages.sequence(np.array([oldest], np.uint64))[0])
            assert self.outbox.span >= self.outbox.next_sequence - first


Custody.TestCase.settings = settings(max_examples=share(2 / 3), stateful_step_count=15)
TestCustody = Custody.TestCase


def test_sending_again_backs_off() -> None:
    """An open batch is due at once, then after waits that double up to the limit."""
    outbox = Outbox(0, NODES)
    outbox.accept(messages.build([0], 1, [b"x"], record_route=True))
    moments = [step / 4 for step in range(400) if len(outbox.due(step / 4, 1.0))]
    waits = np.diff(moments).tolist()
    assert moments[0] == 0.0
    assert waits[:5] == [1.0, 2.0, 4.0, MAX_BACKOFF, MAX_BACKOFF]


def test_a_copy_sent_again_has_no_past() -> None:
    """What an outbox sends again carries no stamp of earlier hops."""
    outbox = Outbox(0, NODES)
    outbox.accept(messages.build([2], 1, [b"x"], record_route=True))
    first = outbox.due(0.0, 1.0)
    first.head["at"], first.head["version"], first.head["hops"] = 1, 9, 3
    outbox.hasten()
    again = outbox.due(0.0, 1.0)
    assert again.head["at"].tolist() == [2]
    assert again.head["version"].tolist() == [messages.UNSTAMPED]
    assert again.head["hops"].tolist() == [0]
    assert again.trail is not None
    assert again.trail.tolist() == [[messages.RECORD]]
