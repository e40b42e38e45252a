"""The actor polls, stores before it tells, goes on after a restart, and is watched like a mesh."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from actors.observe.actor import ObserverActor
from actors.observe.contract import OBSERVER, ObserverOptions, ObserverRules
from actors.observe.sources.published import MapSource
from actors.runtime.clock import SystemClock
from actors.runtime.errors import Conflict, InvalidInput, Unavailable, X0Error
from actors.runtime.metrics import MemoryMetrics
from actors.topology.live import Watch
from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading
from tests.unit.observe.networks import kinds, link, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from actors.topology.link_state import LinkState, Roster

POLL_S = 0.05


class Told:
    """A source that says what a test last told it to say, or raises it."""

    kind = "test"

    def __init__(self, says: Reading | Exception, name: str = "map") -> None:
        self.name = name
        self.says = says

    async def poll(self) -> Reading:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Observed:
    """An actor in this process as a `MeshSource`."""

    def __init__(self, actor: ObserverActor) -> None:
        self._actor = actor

    async def roster(self) -> Roster:
        return await self._actor.roster()

    async def link_state(self, shard: str, known: tuple[int, int] | None) -> LinkState | None:
        assert shard == OBSERVER
        return await self._actor.link_state(known)


def started(
    directory: Path, *sources: Any, metrics: MemoryMetrics | None = None, **rules: Any
) -> ObserverActor:
    """An observer of these sources."""
    options = ObserverOptions(sources, directory, POLL_S, ObserverRules(**rules))
    return ObserverActor(options, metrics=metrics or MemoryMetrics())


async def ended(actor: ObserverActor) -> None:
    """End an actor as far as a process is not needed for it."""
    tasks = list(actor._tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    actor._held.close()


async def until(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not await true():  # noqa: ASYNC110 - what another task does tells nobody
            await asyncio.sleep(0.01)


async def test_a_map_in_a_file_is_followed(tmp_path: Path) -> None:
    """From the file to states, events, metrics, and how the source is."""

    def write(target: float) -> None:
        nodes = [{"node_id": n, "hostname": n.upper(), "is_online": True} for n in "abc"]
        links = [
            {"source": a, "target": b, "source_tq": 1, "target_tq": target, "type": "wifi"}
            for a, b in ("ab", "bc")
        ]
        links.append({"source": "a", "target": "z", "source_tq": 1, "target_tq": 1})
        (tmp_path / "new.json").write_text(json.dumps({"nodes": nodes, "links": links}))
        (tmp_path / "new.json").rename(tmp_path / "map.json")

    write(1.0)
    metrics = MemoryMetrics()
    source = MapSource(str(tmp_path / "map.json"))
    actor = started(tmp_path / "state", source, metrics=metrics, odd_share=0.5)
    network = await actor.network()
    assert [(node.id, node.name, node.state) for node in network.nodes] == [
        ("a", "A", "up"), ("b", "B", "up"), ("c", "C", "up"),
    ]  # fmt: skip
    at = await actor.network_if_changed(network.revision)  # nothing has: only the time is told
    assert isinstance(at, float)
    assert at >= network.at
    (state,) = await actor.sources()
    assert (state.state, state.kind, state.nodes, state.links) == ("ok", "map", 3, 2)
    assert sum(state.left_out.values()) == len(state.examples) == 1
    assert metrics.value("x0tta6bl4_observe_nodes", state="up") == 3
    assert metrics.value("x0tta6bl4_observe_left_out_records", source=source.name) == 1
    write(0.4)
    await until(lambda: _has(actor, "link_degraded"))
    changed = await actor.network_if_changed(network.revision)
    assert not isinstance(changed, float)
    assert {one.state for one in changed.links} == {"degraded"}
    assert (await actor.health()).state == "ready"
    await ended(actor)


async def _has(actor: ObserverActor, kind: str) -> bool:
    return kind in kinds((await actor.events(0, 1000)).events)


async def test_a_restart_goes_on_with_members_events_and_their_numbers(tmp_path: Path) -> None:
    """Also where the source fails just then."""
    source = Told(reading("abc", ["ab", "bc"]))
    first = started(tmp_path, source)
    before = await first.network()
    page = await first.events(0, 100)
    await ended(first)
    second = started(tmp_path, Told(X0Error("no answer", "it is off", "Wait.")))
    assert [node.id for node in (await second.network()).nodes] == ["a", "b", "c"]
    await until(lambda: _has(second, "source_failed"))
    after = await second.events(0, 100)
    assert after.incarnation == page.incarnation
    assert after.events[: len(page.events)] == page.events
    assert kinds(after.events[len(page.events) :]) == ["source_failed"]
    assert [node.joined_at for node in (await second.network()).nodes] == [
        node.joined_at for node in before.nodes
    ]
    (state,) = await second.sources()
    assert (state.state, state.nodes) == ("failed", 3)
    assert "it is off" in state.why
    await ended(second)


class Recalling(Told):
    """A source that is told what it said before its process ended."""

    recalled: tuple[str, ...] = ()

    def recall(self, nodes: Mapping[str, NetworkNode]) -> None:
        self.recalled = tuple(nodes)


async def test_a_source_is_told_what_it_said_before(tmp_path: Path) -> None:
    """Before its first poll, by its own ids; nothing at the very first start."""
    for expected in ((), ("a", "b")):
        source = Recalling(reading("ab", [link("a", "b")], source="map"))
        actor = started(tmp_path, source)
        await actor.network()
        assert source.recalled == expected
        await ended(actor)


async def test_every_left_out_record_can_be_asked_for(tmp_path: Path) -> None:
    """In pages, what was left out before what was altered; of an unknown source none."""
    odd = tuple(LeftOut("dangling links", f"links[{n}]", "no such node") for n in range(250))
    changed = (LeftOut("names in another encoding", "nodes[0]", "latin-1"),)
    said = replace(reading("ab", [link("a", "b")]), records=4000, left_out=odd, altered=changed)
    actor = started(tmp_path, Told(said, "map"))
    await actor.network()
    found: list[tuple[LeftOut, bool]] = []
    more = True
    while more:
        page = await actor.left_out("map", len(found), 100)
        assert page.total == 251
        found += zip(page.records, page.used, strict=True)
        more = page.more
    assert found == [*((one, False) for one in odd), *((one, True) for one in changed)]
    with pytest.raises(InvalidInput, match="Did you mean map"):
        await actor.left_out("mapp", 0, 100)
    await ended(actor)


async def test_a_watch_sees_the_network_as_a_mesh(tmp_path: Path) -> None:
    """What is unknown is assumed and not measured; what is down or silent keeps its place."""
    nodes = [
        NetworkNode("a", name="Attic", online=True, gateway=True, clients=3, location=(51.0, 12.0)),
        NetworkNode("b", online=True),
        NetworkNode("c", online=False),
        NetworkNode("d", online=True),
    ]
    links = [
        link("a", "b", (0.5, None)),
        link("b", "c", 0.9),
        link("b", "d", (None, None)),
        NetworkLink("a", "d", (0.8, 0.8), "fastd"),
        link("a", "b", 0.3, "vpn", up=False),
    ]
    source = Told(reading(nodes, links))
    actor = started(tmp_path, source)
    watch = Watch(Observed(actor), SystemClock())
    await watch.look()
    assert watch.mesh is not None
    assert watch.mesh.is_whole
    seen = watch.mesh.topology()
    assert seen.ids == ("a", "b", "c", "d")
    named = {
        seen.link_name(e): (seen.quality[e].tolist(), seen.kinds[seen.kind[e]]) for e in range(3)
    }
    assert named == {
        "a--b": ([0.5, 0.5], "wifi"),
        "b--d": ([0.8, 0.8], "wifi"),
        "a--d": ([0.8, 0.8], "vpn"),
    }
    assert seen.measured.tolist() == [[True, False], [False, False], [True, True]]
    assert seen.parallel.tolist() == [1, 1, 1]
    assert (seen.nodes.names[0], seen.nodes.gateway.tolist()) == ("Attic", [True] + [False] * 3)
    assert watch.mesh.roster.topology.n_links == 4  # b--c keeps its place
    revision = watch.mesh.roster.revision
    assert await actor.link_state(watch.mesh.known(OBSERVER)) is None
    source.says = reading(nodes, [link("a", "b", (0.4, None)), *links[1:]])
    await until(lambda: _news(actor, watch))
    await watch.look()
    assert watch.mesh.roster.revision == revision
    assert watch.mesh.topology().quality[0].tolist() == [0.4, 0.4]
    await ended(actor)


async def _news(actor: ObserverActor, watch: Watch) -> bool:
    assert watch.mesh is not None
    return await actor.link_state(watch.mesh.known(OBSERVER)) is not None


async def test_indices_of_nodes_never_change_their_meaning(tmp_path: Path) -> None:
    """A retired node is absent, and its row stays, over a restart too."""
    source = Told(reading("abc", ["ab", "bc"]))
    actor = started(tmp_path, source)
    await actor.roster()
    with pytest.raises(Conflict):
        await actor.retire("a")
    source.says = reading("bc", ["bc"])
    await until(lambda: _has(actor, "node_gone"))
    await actor.retire("a")
    roster = await actor.roster()
    assert roster.topology.ids == ("a", "b", "c")
    assert roster.present.tolist() == [False, True, True]
    await ended(actor)
    again = started(tmp_path, source)
    other = await again.roster()
    assert other.revision == roster.revision
    assert np.array_equal(other.present, roster.present)
    await ended(again)


async def test_a_defect_in_one_source_costs_that_source(tmp_path: Path) -> None:
    """It is counted and said; the others go on."""
    metrics = MemoryMetrics()
    broken = Told(ZeroDivisionError("division by zero"), "broken")
    actor = started(tmp_path, broken, Told(reading("ab", ["ab"])), metrics=metrics)
    assert len((await actor.network()).nodes) == 2
    states = {state.name: state for state in await actor.sources()}
    assert (states["broken"].state, states["map"].state) == ("failed", "ok")
    assert "this is a defect" in states["broken"].why
    assert metrics.value("x0tta6bl4_observe_source_ok", source="broken") == 0
    await ended(actor)


async def test_it_waits_for_each_source_and_says_for_which(tmp_path: Path) -> None:
    """Questions meanwhile are answered with what is awaited."""
    asked = asyncio.Event()

    class Slow(Told):
        async def poll(self) -> Reading:
            await asked.wait()
            return await super().poll()

    actor = started(tmp_path, Told(reading("ab", ["ab"])), Slow(reading("cd", ["cd"]), "slow"))
    await until(lambda: _waits_for(actor, "the first answer of slow"))
    states = {state.name: state.state for state in await actor.sources()}
    assert states == {"map": "ok", "slow": "waiting"}
    asked.set()
    assert len((await actor.network()).nodes) == 4
    await ended(actor)


async def _waits_for(actor: ObserverActor, what: str) -> bool:
    health = await actor.health()
    return health.state == "starting" and health.why == what


async def test_pushed_readings_are_taken_or_refused_with_the_reason(tmp_path: Path) -> None:
    """Without any source that is polled, too."""
    actor = started(tmp_path)
    assert (await actor.network()).nodes == ()
    await actor.take(reading("ab", ["ab"], source="openwisp"), whole=True)
    assert [node.sources for node in (await actor.network()).nodes] == [("openwisp",)] * 2
    with pytest.raises(Conflict, match="it heard are missing"):
        await actor.take(reading([], source="openwisp"), whole=True)
    assert await _has(actor, "map_held")
    await ended(actor)


async def test_a_damaged_state_is_no_empty_network(tmp_path: Path) -> None:
    """The actor has failed, says which file it is, and leaves it alone."""
    (tmp_path / "observer.state").write_bytes(b"damaged")
    actor = started(tmp_path, Told(reading("ab", ["ab"])))
    with pytest.raises(X0Error, match=r"observer\.state cannot be read"):
        await actor.network()
    with pytest.raises(X0Error, match=r"observer\.state cannot be read"):
        await actor.events(0, 10)
    assert (await actor.health()).state == "failed"
    assert (tmp_path / "observer.state").read_bytes() == b"damaged"
    await ended(actor)


async def test_two_observers_do_not_share_a_state(tmp_path: Path) -> None:
    """The second one has failed; neither writes over the other."""
    actor = started(tmp_path, Told(reading("ab", ["ab"])))
    await actor.network()
    second = started(tmp_path, Told(reading("ab", ["ab"])))
    with pytest.raises((Conflict, Unavailable)):
        await second.network()
    await ended(second)
    await ended(actor)


async def test_without_a_loop_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray then starts the actor again."""
    exits: list[int] = []

    def leave(code: int) -> None:
        exits.append(code)
        raise asyncio.CancelledError

    monkeypatch.setattr(os, "_exit", leave)

    async def broken(_self: object, _source: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ObserverActor, "_poll", broken)
    actor = started(tmp_path, Told(reading("ab")))
    await until(lambda: _is_true(exits))
    assert exits == [os.EX_SOFTWARE]
    await ended(actor)


async def _is_true(value: object) -> bool:
    return bool(value)
