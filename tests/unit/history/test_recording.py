"""From a mesh and from sources into the history: everything once, whatever restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.history.collecting import EventCollector
from actors.history.event_store import EventQuery, EventStore, Progress
from actors.history.mesh_recorder import FORMING_S, MeshRecorder
from actors.topology.events import EventKind
from actors.topology.provenance import Network
from tests.unit.history.happenings import Source, event
from tests.unit.topology.test_mesh_events import mesh

if TYPE_CHECKING:
    from actors.history.event_store import StoredEvent
    from actors.topology.live import LiveMesh

REAL, LAB = Network.OBSERVED, Network.EMULATED


# -- the mesh ------------------------------------------------------------------------------------


def look(recorder: MeshRecorder, seen: LiveMesh, at: float = 0, **down: str) -> list[str]:
    """Look, and keep what is new; the kinds of events."""
    recording = recorder.look(seen, down, at)
    if recording is None:
        return []
    recorder.keep(recording)
    return [one.kind.value for one in recording.events]


def test_a_mesh_that_forms_is_no_news() -> None:
    """Its first links are not told; after it has formed, every change is."""
    recorder = MeshRecorder(1, Progress())
    assert look(recorder, mesh({0, 1, 2}), 0) == []
    assert look(recorder, mesh({0}), 1) == []
    assert not recorder.settled
    assert look(recorder, mesh(), 2) == []
    assert recorder.settled
    assert look(recorder, mesh({5}), 3) == ["link_down"]
    assert look(recorder, mesh({5}), 4) == []


def test_a_mesh_with_a_link_that_never_works_forms_by_time() -> None:
    """From then on it is recorded like any other; its shards are at once."""
    recorder = MeshRecorder(1, Progress())
    look(recorder, mesh({0}), 0)
    assert look(recorder, mesh({0}), FORMING_S - 1, s0="killed") == ["shard_down"]
    assert look(recorder, mesh({0}), FORMING_S + 1) == ["shard_back"]
    assert look(recorder, mesh({0, 3}), FORMING_S + 2) == ["link_down", "split", "gateway_lost"]


def test_what_happens_while_the_historian_is_away_is_told_once() -> None:
    """The stored view continues where the last event led, with its number."""
    recorder = MeshRecorder(5, Progress())
    look(recorder, mesh())
    recording = recorder.look(mesh({5}), {}, 1)
    assert recording is not None
    again = MeshRecorder(5, Progress(5, recording.events[-1].number, recording.view))
    assert look(again, mesh({5})) == []
    after = again.look(mesh({5, 6}), {}, 2)
    assert after is not None
    assert [(one.number, one.kind) for one in after.events] == [
        (2, EventKind.NODE_SILENT),
        (3, EventKind.LINK_DOWN),
    ]
    # What is not kept is told again, with the same numbers.
    assert again.look(mesh({5, 6}), {}, 2).events == after.events  # type: ignore[union-attr]


@pytest.mark.parametrize("view", [None, b"no view", b""])
def test_another_mesh_or_a_strange_view_is_a_new_begin(view: bytes | None) -> None:
    """Nothing is compared with what belongs to another session, or cannot be read."""
    recorder = MeshRecorder(5, Progress(5, 9, view))
    assert look(recorder, mesh()) == []
    recorder = MeshRecorder(6, Progress(5, 9, view))
    assert look(recorder, mesh()) == []
    (first,) = recorder.look(mesh({5}), {}, 0).events  # type: ignore[union-attr]
    assert first.number == 1


@given(st.lists(st.tuples(st.sets(st.integers(0, 6)), st.booleans(), st.booleans()), max_size=8))
def test_restarts_and_failed_writes_change_no_history(
    steps: list[tuple[set[int], bool, bool]],
) -> None:
    """The same events are stored as by one recorder that never failed."""
    steady, shaky = MeshRecorder(1, Progress()), MeshRecorder(1, Progress())
    told, stored = [], []
    progress = Progress()
    for down, fails, restarts in [(set[int](), False, False), *steps]:
        told += [(e.number, e.kind, e.link) for e in _events(steady, down)]
        recording = shaky.look(mesh(down), {}, 0)
        if fails:
            recording = shaky.look(mesh(down), {}, 0)  # the write failed; the next look tells it
        if recording is not None:
            stored += [(e.number, e.kind, e.link) for e in recording.events]
            number = max((e.number for e in recording.events), default=progress.number)
            progress = Progress(1, number, recording.view)
            shaky.keep(recording)
        if restarts:
            shaky = MeshRecorder(1, progress)
    assert stored == told


def _events(recorder: MeshRecorder, down: set[int]) -> tuple:  # type: ignore[type-arg]
    recording = recorder.look(mesh(down), {}, 0)
    if recording is None:
        return ()
    recorder.keep(recording)
    return recording.events


# -- sources -------------------------------------------------------------------------------------


async def _ignore(_stored: list[StoredEvent]) -> None:
    return


def collector(store: EventStore, source: object) -> EventCollector:
    return EventCollector("observer", REAL, source, store, lambda: 0.0)  # type: ignore[arg-type]


def numbers(store: EventStore) -> list[tuple[int, str]]:
    found = store.find(EventQuery(limit=10_000))
    return [(one.event.number, one.event.kind.value) for one in found]


async def test_a_source_is_read_to_its_end(store: EventStore) -> None:
    """In parts, and from where it was left, also by another collector."""
    source = Source([event(n) for n in range(1, 2_501)])
    await collector(store, source).collect(_ignore)
    assert store.progress("observer").number == 2_500
    source.kept.append(event(2_501))
    await collector(store, source).collect(_ignore)
    assert [one[0] for one in numbers(store)] == list(range(1, 2_502))


async def test_a_new_incarnation_is_read_from_its_begin(store: EventStore) -> None:
    """Its numbers have begun anew, and may be above or below those of before."""
    await collector(store, Source([event(n) for n in range(1, 6)])).collect(_ignore)
    new = Source([event(1, what="new"), event(2), *(event(n) for n in range(3, 9))], 8)
    await collector(store, new).collect(_ignore)
    assert len(numbers(store)) == 5 + 8


async def test_what_a_source_has_forgotten_is_said(store: EventStore) -> None:
    """One event in its place tells how much is missing."""
    await collector(store, Source([event(1)])).collect(_ignore)
    for _ in range(2):
        await collector(store, Source([event(5), event(6)])).collect(_ignore)
    assert numbers(store) == [
        (1, "node_silent"),
        (4, "events_missed"),
        (5, "node_silent"),
        (6, "node_silent"),
    ]
    assert store.find(EventQuery(kinds=[EventKind.EVENTS_MISSED]))[0].event.data == {"missed": 3}
