"""What has happened in a mesh between two looks: each change is told once, with its cause."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import mesh_events, samples
from actors.topology.events import EventKind, EventSeverity
from actors.topology.link_state import LinkState, Roster
from actors.topology.live import LiveMesh
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable

if TYPE_CHECKING:
    from actors.topology.mesh_events import MeshState

# Two triangles joined by one link, c--d; a is a gateway.
LINKS = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3)]


def table(ids: str, names: tuple[str, ...] = ()) -> NodeTable:
    known = NodeTable.unknown(len(ids))
    gateway = np.array([name == "a" for name in ids])
    return replace(known, names=names or ("",) * len(ids), gateway=gateway)


def mesh(
    down: set[int] = frozenset(),  # type: ignore[assignment]
    *,
    ids: str = "abcdef",
    links: list[tuple[int, int]] = LINKS,
    lossy: int | None = None,
    present: list[bool] | None = None,
    life: int = 1,
    names: tuple[str, ...] = (),
    dear: dict[int, int] = {},  # noqa: B006 - it is only read
) -> LiveMesh:
    """A mesh of one shard, some of whose links (by index) are down, and some dear."""
    topology = Topology.of(ids, links, nodes=table(ids, names))
    here = np.ones(len(ids), bool) if present is None else np.array(present)
    live = LiveMesh(Roster(1, "test", topology, here, ("s0",)))
    cost = np.full(2 * len(links), 256, np.int32)
    heard = np.ones(2 * len(links))
    for link, price in dear.items():
        cost[2 * link : 2 * link + 2] = price
    for link in down:
        cost[2 * link : 2 * link + 2] = 0
    if lossy is not None:
        heard[2 * lossy] = 0.4
    numbers = np.arange(2 * len(links), dtype=np.int32)
    live.learn("s0", LinkState(1, 1, numbers, cost, heard, life))
    return live


def state(*args: object, **kwargs: object) -> MeshState:
    found = mesh_events.state_of(mesh(*args, **kwargs), {})  # type: ignore[arg-type]
    assert found is not None
    return found


def kinds(before: MeshState, now: MeshState) -> Counter[str]:
    return Counter(e.kind.value for e in mesh_events.changes(before, now, first=1, at=1.0))


def test_nothing_is_told_of_what_stays() -> None:
    """The same state twice, also in another numbering, is no event."""
    other = state(ids="fedcba", links=[(5 - a, 5 - b) for a, b in LINKS])
    assert mesh_events.changes(state(), state(), first=1, at=0) == ()
    assert mesh_events.changes(state(), other, first=1, at=0) == ()


def test_a_link_that_fails_alone_is_a_warning() -> None:
    """Its end is told with both ids, and no node is silent by it, nor takes another way."""
    (event,) = mesh_events.changes(state(), state({5}), first=7, at=12.5)
    assert (event.kind, event.link, event.nodes) == (EventKind.LINK_DOWN, ("e", "f"), ("e", "f"))
    assert (event.severity, event.number, event.at) == (EventSeverity.WARNING, 7, 12.5)
    assert kinds(state({5}), state()) == {"link_up": 1}


def test_a_bridge_that_fails_splits_the_mesh_and_takes_the_gateway() -> None:
    """Both sides are listed; those without a gateway are counted; its return is told as well."""
    before, now = state(), state({3})
    assert kinds(before, now) == {"link_down": 1, "split": 1, "gateway_lost": 1}
    events = {e.kind: e for e in mesh_events.changes(before, now, first=1, at=0)}
    sides = events[EventKind.SPLIT].data["sides"]
    assert sorted(side["ids"] for side in sides) == [("a", "b", "c"), ("d", "e", "f")]
    assert events[EventKind.SPLIT].severity is EventSeverity.CRITICAL
    assert events[EventKind.GATEWAY_LOST].nodes == ("d", "e", "f")
    assert kinds(now, before) == {"link_up": 1, "rejoined": 1, "gateway_back": 1}


def test_a_silent_node_is_the_warning_and_its_links_are_not() -> None:
    """Of a failed node, one line asks to look; a mesh that holds together is not split by it."""
    now = state({0, 1})
    assert kinds(state(), now) == {"node_silent": 1, "link_down": 2}
    severities = {e.kind: e.severity for e in mesh_events.changes(state(), now, first=1, at=0)}
    assert severities[EventKind.NODE_SILENT] is EventSeverity.WARNING
    assert severities[EventKind.LINK_DOWN] is EventSeverity.INFO
    assert kinds(now, state()) == {"node_back": 1, "link_up": 2}


def test_events_say_who_and_how_the_mesh_stands() -> None:
    """Names, neighbours, gateways; and how many are silent or reach no gateway after it."""
    names = ("Tower", "Attic", "", "", "", "")
    well, now = state(names=names), state({0, 2, 3}, names=names)
    events = {e.kind: e for e in mesh_events.changes(well, now, first=1, at=0)}
    silent = events[EventKind.NODE_SILENT].data
    assert (silent["named"], silent["gateways"]) == ({"a": "Tower"}, ["a"])
    assert silent["neighbours"] == {"b": "Attic", "c": ""}
    assert silent["now"] == {"silent": 1, "parts": 2, "without_gateway": 5, "links": 7}
    assert events[EventKind.GATEWAY_LOST].data["reached"] == ["a"]
    assert events[EventKind.SPLIT].data["named"] == {"b": "Attic"}
    back = {e.kind: e for e in mesh_events.changes(now, state({1, 2, 3}), first=1, at=0)}
    assert back[EventKind.NODE_BACK].data["cut_off"] is True
    assert "no_gateway" not in back[EventKind.NODE_BACK].data
    whole = {e.kind: e for e in mesh_events.changes(state({3}), state(), first=1, at=0)}
    assert whole[EventKind.REJOINED].data["main"] is True


def test_names_are_told_with_ids() -> None:
    """`name (id)`; a new name is an event."""
    names = ("Tower", "", "", "", "", "")
    (renamed,) = mesh_events.changes(state(), state(names=names), first=1, at=0)
    assert (renamed.kind, renamed.nodes) == (EventKind.NODE_RENAMED, ("a",))
    before, now = state(names=names), state({0}, names=names)
    down, route = mesh_events.changes(before, now, first=1, at=0)
    assert down.what == "link Tower (a)--b is down"
    assert route.what == "node b reaches its gateway over c, no longer over Tower (a)"


def test_a_link_that_loses_much_is_degraded_until_it_is_clearly_better() -> None:
    """Between the two limits it stays what it was."""
    bad = state(lossy=0)
    assert kinds(state(), bad) == {"link_degraded": 1}
    between = mesh(lossy=0)
    part = between.parts["s0"]
    part.heard[0] = 0.55
    stays = mesh_events.state_of(between, {}, bad)
    assert stays is not None
    assert kinds(bad, stays) == {}
    fresh = mesh_events.state_of(between, {}, state())
    assert fresh is not None
    assert kinds(state(), fresh) == {}
    assert kinds(stays, state()) == {"link_recovered": 1}


def test_another_way_to_the_gateway_is_told_once() -> None:
    """With both hops; e and f go either way round, and change only when theirs is dearer."""
    before = state()
    assert before.nexthop.tolist() == [-1, 0, 0, 2, 3, 3]
    (event,) = mesh_events.changes(before, state(dear={2: 600}), first=1, at=0)
    assert (event.kind, event.severity) == (EventKind.ROUTE_CHANGED, EventSeverity.INFO)
    assert event.nodes == ("c",)
    assert event.what == "node c reaches its gateway over b, no longer over a"
    assert event.data == {"count": 1, "routes": {"c": ["a", "b"]}}


def test_of_equally_cheap_ways_the_old_one_stays() -> None:
    """In a square, d reaches a over b or c; the mesh alone knows which of them."""
    square = [(0, 1), (0, 2), (1, 3), (2, 3)]

    def look(before: MeshState | None, **how: object) -> MeshState:
        live = mesh(ids="abcd", links=square, **how)  # type: ignore[arg-type]
        found = mesh_events.state_of(live, {}, before)
        assert found is not None
        return found

    over_b = look(None, dear={3: 300})
    over_c = look(None, dear={2: 300})
    assert [each.nexthop[3] for each in (over_b, over_c)] == [1, 2]
    for before in (over_b, over_c):
        assert kinds(before, look(before)) == {}
    assert kinds(over_b, look(over_b, down={2})) == {"link_down": 1, "route_changed": 1}
    lost = look(over_b, down={2, 3})
    assert kinds(over_b, lost) == {"link_down": 2, "node_silent": 1}
    assert lost.nexthop[3] == -1


def test_membership_is_told() -> None:
    """Who joins, who leaves, and what is not in the map any more."""
    fewer = state(present=[True] * 5 + [False], down={5, 6})
    assert kinds(state(), fewer)["node_retired"] == 1
    assert kinds(fewer, state())["node_joined"] == 1
    smaller = state(ids="abcde", links=LINKS[:5])
    assert kinds(state(), smaller) == {"node_retired": 1, "link_down": 2}
    assert kinds(smaller, state()) == {"node_joined": 1, "link_added": 2}


def test_a_shard_is_down_back_or_restarted() -> None:
    """Another process is told apart from one that was silent, even if its silence was not seen."""
    well = state()
    silent = mesh_events.state_of(mesh(), {"s0": "no answer"}, well)
    assert silent is not None
    assert kinds(well, silent) == {"shard_down": 1}
    assert kinds(silent, silent) == {}
    assert kinds(silent, well) == {"shard_back": 1}
    assert kinds(silent, state(life=2)) == {"shard_restarted": 1}
    assert kinds(well, state(life=2)) == {"shard_restarted": 1}


def test_a_mesh_that_is_not_whole_is_as_it_was() -> None:
    """Only its shards are news; before the first whole look there is nothing to tell."""
    unheard = LiveMesh(mesh().roster)
    assert mesh_events.state_of(unheard, {"s0": "gone"}) is None
    held = mesh_events.state_of(unheard, {"s0": "gone"}, state())
    assert held is not None
    assert kinds(state(), held) == {"shard_down": 1}


@given(
    st.sets(st.integers(0, len(LINKS) - 1)),
    st.sets(st.integers(0, len(LINKS) - 1)),
    st.permutations(range(6)),
)
def test_events_lead_from_one_state_to_the_other(
    first: set[int], second: set[int], order: list[int]
) -> None:
    """Whoever applies the events to the earlier state has the later one, in any numbering."""
    before = state(first)
    place = {node: at for at, node in enumerate(order)}
    now = state(
        second,
        ids="".join("abcdef"[node] for node in order),
        links=[(place[a], place[b]) for a, b in LINKS],
    )
    up = {
        frozenset("abcdef"[n] for n in LINKS[row]) for row in range(len(LINKS)) if row not in first
    }
    silent = {before.ids[row] for row in np.flatnonzero(~before.heard)}
    apply = {
        EventKind.LINK_UP: lambda event: up.add(frozenset(event.link)),
        EventKind.LINK_DOWN: lambda event: up.remove(frozenset(event.link)),
        EventKind.NODE_SILENT: lambda event: silent.add(*event.nodes),
        EventKind.NODE_BACK: lambda event: silent.remove(*event.nodes),
    }
    for event in mesh_events.changes(before, now, first=1, at=0):
        apply.get(event.kind, lambda _event: None)(event)
    assert up == {frozenset(now.ids[n] for n in now.ends[row]) for row in np.flatnonzero(now.up)}
    assert silent == {now.ids[row] for row in np.flatnonzero(~now.heard)}


def test_a_sample_of_a_mesh_says_what_its_nodes_know() -> None:
    """States, qualities of both directions under the sorted ends, ETX; unknown is NaN."""
    live = mesh({0}, lossy=1, present=[True] * 5 + [False])
    taken = samples.of_mesh(live)
    assert taken.nodes.ids == tuple("abcde")
    assert taken.nodes.states == ("up",) * 5
    rows = list(zip(taken.links.a, taken.links.b, strict=True))
    assert rows == [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "e")]
    assert taken.links.states[:2] == ("down", "up")
    # Link 1 is b--c, and c hears b: what `heard` of b--c's first direction tells is c to b.
    assert taken.links.figures["quality_ab"].tolist()[1:3] == [1.0, 1.0]
    assert taken.links.figures["quality_ba"].tolist()[1] == 0.4
    assert np.isnan(taken.links.figures["cost_ab"][0])
    assert taken.links.figures["cost_ab"][1] == 1.0
    assert taken.nodes.figures["links"].tolist() == [1, 1, 3, 2, 1]
