"""A partition's custody survives crashes: a model of it is compared after every step."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.mesh import batch as messages
from actors.mesh.batch import UNREACHABLE
from actors.mesh.contract import DRILL_PORTS, MAX_PORT
from actors.mesh.frames import Settlement
from actors.mesh.journal import FileJournal, MemoryJournal
from actors.mesh.partition import DRILL_UNFETCHED_S, Partition, Refusal
from tests.examples import share

NODES, CAPACITY, ORIGIN, HERE = 3, 4, 9, 2
NOBODY_SILENT = np.zeros(NODES, bool)


def ids_of(values: set[int] | list[int]) -> np.ndarray:
    return np.array(sorted(values), np.uint64)


class CrashingPartition(RuleBasedStateMachine):
    """Committed changes survive a crash; uncommitted ones were told to nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.partition = self.open()
        self.request = 0
        self.last: tuple[object, ...] | None = None
        self.open_ids: dict[int, tuple[int, bytes]] = {}  # accepted and not settled
        self.inbox: dict[int, bytes] = {}  # offsets unread → payload
        self.taken: set[int] = set()
        self.given_up: set[int] = set()
        self.incoming = 0

    def open(self) -> Partition:
        partition = Partition(HERE, NODES, FileJournal(self.directory), CAPACITY)
        partition.recover()
        return partition

    def teardown(self) -> None:
        self.partition.close()
        shutil.rmtree(self.directory)

    @rule(sources=st.lists(st.integers(0, NODES - 1), max_size=6), commit=st.booleans())
    def accept(self, sources: list[int], *, commit: bool) -> None:
        self.request += 1
        payloads = [os.urandom(3) for _ in sources]
        batch = messages.build(sources, [0] * len(sources), payloads)
        answer = self.partition.accept(77, self.request, batch, NOBODY_SILENT)
        room = [CAPACITY - sum(s == n for s, _ in self.open_ids.values()) for n in range(NODES)]
        for source, number, refusal in zip(sources, answer.ids, answer.refusal, strict=True):
            assert refusal == (Refusal.NONE if room[source] > 0 else Refusal.MAILBOX_FULL)
            room[source] -= 1
            assert (number != 0 or HERE == 0) == (refusal == Refusal.NONE)
        if not commit:
            self.crash()
            # The client was told nothing, so it asks again.
            answer = self.partition.accept(77, self.request, batch, NOBODY_SILENT)
        self.partition.commit()
        told = [int(number) for number in answer.ids[answer.refusal == Refusal.NONE]]
        assert not set(told) & set(self.open_ids)
        accepted = answer.refusal == Refusal.NONE
        for number, row in zip(told, np.flatnonzero(accepted).tolist(), strict=True):
            self.open_ids[number] = sources[row], payloads[row]
        self.last = batch, answer.ids.tolist(), answer.refusal.tolist()

    @precondition(lambda self: self.last is not None)
    @rule()
    def ask_again(self) -> None:
        assert self.last is not None
        batch, ids, refusal = self.last
        answer = self.partition.accept(77, self.request, batch, NOBODY_SILENT)
        assert (answer.ids.tolist(), answer.refusal.tolist()) == (ids, refusal)

    @rule(data=st.data(), delivered=st.booleans(), commit=st.booleans())
    def settle(self, data: st.DataObject, *, delivered: bool, commit: bool) -> None:
        some = data.draw(st.sets(st.sampled_from(sorted(self.open_ids) or [1])))
        before = self.partition.inbox.next_offset
        ids = ids_of(some)
        self.partition.settle(Settlement(ids, np.full(len(ids), delivered)))
        if not commit:
            self.crash()
            return
        self.partition.commit()
        for number in some & set(self.open_ids):
            del self.open_ids[number]
            if not delivered:
                self.inbox[before] = b""
                before += 1

    @rule(
        fresh=st.integers(0, 3),
        again=st.integers(0, 6),
        commit=st.booleans(),
        node=st.integers(0, NODES - 1),
    )
    def take(self, fresh: int, again: int, node: int, *, commit: bool) -> None:
        old = [n for n in range(self.incoming - again, self.incoming) if n >= 0]
        numbers = [*old, *range(self.incoming, self.incoming + fresh)]
        batch = messages.build(
            [0] * len(numbers), [node] * len(numbers), [b"%d" % n for n in numbers]
        )
        batch.head["id"] = messages.message_ids(ORIGIN, 0, self.incoming + fresh)[numbers]
        waiting = int(self.partition.inbox.waiting[node])
        before = self.partition.inbox.next_offset
        done = self.partition.take(batch)
        if not commit:
            self.crash()
            return
        self.partition.commit()
        self.incoming += fresh
        new = [n for n in numbers if n not in self.taken | self.given_up]
        new = new[: max(0, CAPACITY - waiting)]
        for place, number in enumerate(new):
            self.inbox[before + place] = b"%d" % number
        self.taken.update(new)
        told = dict(zip(messages.sequence(done.ids).tolist(), done.delivered, strict=True))
        expected = {n: n in self.taken for n in numbers if n in self.taken | self.given_up}
        assert told == expected

    @rule(data=st.data(), commit=st.booleans())
    def give_up(self, data: st.DataObject, *, commit: bool) -> None:
        some = data.draw(st.sets(st.integers(0, self.incoming + 2), max_size=4))
        ids = messages.message_ids(ORIGIN, 0, self.incoming + 3)[sorted(some)]
        answer = self.partition.give_up(ids)
        if not commit:
            self.crash()
            return
        self.partition.commit()
        assert answer.delivered.tolist() == [number in self.taken for number in sorted(some)]
        self.given_up |= some - self.taken

    @rule(data=st.data(), commit=st.booleans())
    def consume(self, data: st.DataObject, *, commit: bool) -> None:
        some = data.draw(st.sets(st.sampled_from([*self.inbox, 10_000])))
        self.partition.consume(0, np.array(sorted(some), np.int64))
        if not commit:
            self.crash()
            return
        self.partition.commit()
        for offset in some:
            self.inbox.pop(offset, None)

    @rule(before_the_disk_has_it=st.booleans())
    def crash(self, *, before_the_disk_has_it: bool = True) -> None:
        journal = self.partition._journal
        assert isinstance(journal, FileJournal)
        journal._pending = []  # never reached the kernel
        if before_the_disk_has_it and journal._successor is not None:
            journal._abandon(journal._successor)
        incarnation, next_sequence = self.partition.incarnation, self.partition.outbox.next_sequence
        journal.close()
        self.partition = self.open()
        assert self.partition.incarnation == incarnation + 1
        assert self.partition.outbox.next_sequence <= next_sequence

    @rule()
    def compact(self) -> None:
        self.partition._journal.base = 0  # so that it is not put off
        self.partition.compact(0)

    @invariant()
    def agrees_with_the_model(self) -> None:
        found = {}
        for kept in self.partition.outbox:
            for row in np.flatnonzero(kept.open).tolist():
                head = kept.batch.head[row]
                found[int(head["id"])] = int(head["source"]), kept.batch.payload_of(row)
        assert found == self.open_ids
        assert len(self.partition.outbox) == len(found)
        offsets, batch = self.partition.inbox.read(0, None, 1_000_000)
        unread = {int(o): batch.payload_of(row) for row, o in enumerate(offsets)}
        assert unread == self.inbox
        assert offsets.tolist() == sorted(offsets.tolist())
        notice = (batch.head["flags"] & UNREACHABLE) > 0
        assert all(unread[o] == b"" for o in offsets[notice].tolist())
        counts = np.bincount(batch.head["destination"], minlength=NODES)
        assert (self.partition.inbox.waiting == counts).all()


CrashingPartition.TestCase.settings = settings(max_examples=share(2 / 3), stateful_step_count=25)
TestCrashes = CrashingPartition.TestCase


def test_a_silent_node_accepts_nothing() -> None:
    """A silent source is refused as such, the others of the request are accepted."""
    partition = Partition(0, NODES, MemoryJournal(), CAPACITY)
    partition.recover()
    silent = np.array([False, True, False])
    answer = partition.accept(1, 1, messages.build([0, 1, 2], 0, [b"a", b"b", b"c"]), silent)
    assert answer.refusal.tolist() == [Refusal.NONE, Refusal.NODE_SILENT, Refusal.NONE]
    assert len(partition.outbox) == 2


def test_what_a_killed_drill_has_left_is_discarded_and_nothing_else(tmp_path: Path) -> None:
    """After a while, counted from when this process first met it; also for good."""

    def arriving(port: int, number: int) -> messages.MessageBatch:
        batch = messages.build([1], [number % NODES], [b"x"], port=port)
        batch.head["id"] = messages.message_ids(ORIGIN, number, 1)
        return batch

    def opened() -> Partition:
        partition = Partition(HERE, NODES, FileJournal(tmp_path), CAPACITY)
        partition.recover()
        return partition

    partition = opened()
    for number, port in enumerate((0, MAX_PORT, *DRILL_PORTS)):
        partition.take(arriving(port, 1 + number))
    partition.commit()
    partition.close()
    partition = opened()
    partition.discard_drills(1000.0)
    partition.discard_drills(1000.0 + DRILL_UNFETCHED_S - 1)
    assert len(partition.inbox) == 4
    partition.take(arriving(DRILL_PORTS[0], 9))  # its drill may be another, which lives
    partition.discard_drills(1000.0 + DRILL_UNFETCHED_S)
    assert len(partition.inbox) == 3
    partition.commit()
    partition.close()
    partition = opened()
    assert len(partition.inbox) == 3
    partition.discard_drills(0.0)
    partition.discard_drills(DRILL_UNFETCHED_S)
    assert sorted(int(each.batch.head["port"][0]) for each in partition.inbox) == [0, MAX_PORT]
    partition.close()


WORKER = """
import pathlib, sys
import numpy as np
from actors.mesh import batch as messages
from actors.mesh.journal import FileJournal
from actors.mesh.partition import Partition

partition = Partition(1, 2, FileJournal(pathlib.Path(sys.argv[1])), 1_000_000)
partition.recover()
incarnation, speaking = partition.incarnation, np.zeros(2, bool)
for turn in range(1_000_000):
    size = 1 + turn % 3
    payloads = [b"%d.%d.%d" % (incarnation, turn, k) for k in range(size)]
    answer = partition.accept(incarnation, turn, messages.build([0] * size, 1, payloads), speaking)
    incoming = messages.build([1] * size, [0] * size, payloads)
    incoming.head["id"] = messages.message_ids(5, (incarnation << 24) + 3 * turn, size)
    taken = partition.take(incoming)
    partition.commit()
    partition.compact(50_000)
    for number, arrived, payload in zip(answer.ids, taken.ids, payloads, strict=True):
        print(number, arrived, payload.decode(), flush=True)
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """A process killed at random moments has lost nothing it acknowledged, and doubled nothing."""
    moments = random.Random(4)
    acknowledged: dict[int, str] = {}
    arrived: dict[int, str] = {}
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdout is not None
            lines = [worker.stdout.readline() for _ in range(moments.randrange(1, 400))]
            os.kill(worker.pid, signal.SIGKILL)
            lines += worker.stdout.readlines()
        assert worker.returncode == -signal.SIGKILL
        if not lines[-1].endswith("\n"):
            lines.pop()  # died while it wrote
        for line in lines:
            number, taken, payload = line.split()
            assert int(number) not in acknowledged
            acknowledged[int(number)], arrived[int(taken)] = payload, payload
    partition = Partition(1, 2, FileJournal(tmp_path), 1_000_000)
    partition.recover()
    kept = {
        int(number): kept.batch.payload_of(row).decode()
        for kept in partition.outbox
        for row, number in enumerate(kept.batch.head["id"])
    }
    assert acknowledged.items() <= kept.items()
    _, inbox = partition.inbox.read(0, 0, 10_000_000)
    found = {int(n): inbox.payload_of(row).decode() for row, n in enumerate(inbox.head["id"])}
    assert len(found) == len(inbox)
    assert arrived.items() <= found.items()
    assert partition.take(inbox).delivered.all()
    assert len(partition.inbox) == len(inbox)
    partition.close()
