"""Events of networks become few alerts: each incident one thread, told once, over when it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.alerts.network_alerts import AlertRules
from actors.runtime.alerting import Alert, AlertName
from actors.topology import mesh_events
from actors.topology.events import EventKind, NetworkEvent
from actors.topology.link_state import LinkState, Roster
from actors.topology.live import LiveMesh
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable
from actors.topology.provenance import Network
from jobs.launch.alerts_companion import alerts_options
from serve_apps.settings import Settings
from tests.examples import share
from tests.unit.alerts.networks_told import Reader
from tests.unit.history.happenings import event
from tests.unit.observe.networks import Run, link, reading
from tests.unit.observe.test_observation_model import readings

if TYPE_CHECKING:
    from pathlib import Path

HELD = AlertRules().hold_s


class Mesh:
    """A mesh of these links, some of which fail; its events are those that the historian makes.

    Args:
        links: pairs of indices of nodes.
        gateways: indices of the nodes that lead to the internet.
        names: host names.
        clients: number of devices at each node; -1: not known.
    """

    def __init__(
        self,
        links: list[tuple[int, int]],
        gateways: set[int],
        names: tuple[str, ...] = (),
        clients: tuple[int, ...] = (),
    ) -> None:
        n = 1 + max(max(pair) for pair in links)
        table = NodeTable.unknown(n)
        self.ids = tuple(f"n{row:03}" for row in range(n))
        self._topology = Topology.of(
            self.ids,
            links,
            nodes=replace(
                table,
                names=names or ("",) * n,
                gateway=np.array([row in gateways for row in range(n)]),
                clients=np.array(clients or (-1,) * n, np.int32),
            ),
        )
        self._links = links
        self._number = count(1)
        self.state = self._look(set())

    def _look(self, down: set[int]) -> mesh_events.MeshState:
        topology = self._topology
        live = LiveMesh(Roster(1, "test", topology, np.ones(len(self.ids), bool), ("s0",)))
        numbers = np.arange(2 * topology.n_links, dtype=np.int32)
        cost = np.full(len(numbers), 256, np.int32)
        cost[[2 * link + end for link in down for end in (0, 1)]] = 0
        live.learn("s0", LinkState(1, 1, numbers, cost, np.ones(len(numbers)), 1))
        state = mesh_events.state_of(live, {})
        assert state is not None
        return state

    def fails(self, at: float, down: set[int], dead: set[int] = frozenset()) -> list[NetworkEvent]:  # type: ignore[assignment]
        """Links that are down from now on, and nodes that are dead; the events."""
        down = down | {row for row, ends in enumerate(self._links) if dead.intersection(ends)}
        before, self.state = self.state, self._look(down)
        made = mesh_events.changes(before, self.state, first=1, at=at)
        return [replace(one, number=next(self._number)) for one in made]


def star(leaves: int, **about: Any) -> Mesh:
    """A gateway (0) with a chain of nodes behind it, and another node (1) between them."""
    links = [(0, 1), *((1, leaf) for leaf in range(2, 2 + leaves)), (2, 3)]
    return Mesh(links, {0}, **about)


# -- a storm ---------------------------------------------------------------------------------------


def test_a_gateway_with_200_nodes_behind_it_is_one_alert_with_a_list() -> None:
    """It says who is behind it, with how many clients, since when; and it ends when all is back."""
    mesh = star(199, names=("hugo",) + ("",) * 200, clients=(0, *(1 for _ in range(200))))
    reader = Reader()
    began = reader.at
    assert reader.hears(*mesh.fails(reader.at, set(), {0})) == []
    (alert,) = reader.waits(HELD)
    assert (alert.name, alert.started) == (AlertName.GATEWAY_LOST, began)
    assert alert.summary == (
        "Gateway hugo (n000) is silent; 200 nodes with 200 clients behind it reach no gateway"
        " any more"
    )
    assert set(alert.subjects) == set(mesh.ids)
    assert alert.details[1].startswith("Without a gateway: n001, n002")
    assert alert.details[1].endswith("and 180 more.")
    assert reader.hears(*mesh.fails(reader.at, set())) == []
    (over,) = reader.waits(HELD)
    assert (over.key, over.thread) == (alert.key, alert.thread)
    assert over.ended == reader.at - HELD
    assert reader.waits() == []


def test_many_nodes_that_nothing_ties_together_are_one_alert() -> None:
    """As when a map's own server loses a village, whose links no source knows."""
    reader = Reader(Network.OBSERVED, "observer")
    run = Run()
    ids = [f"n{row}" for row in range(200)]
    reader.hears(*run.answer(reading(ids)))
    rest = [*ids[:150], *ids[150:]]
    off = [replace(one, online=False) for one in reading(rest[:60]).nodes]
    reader.hears(*run.answer(reading([*off, *rest[60:]])))
    (alert,) = reader.waits(HELD)
    assert (alert.name, len(alert.subjects)) == (AlertName.NODE_OFFLINE, 60)
    assert alert.summary == "60 nodes are silent"


# -- threads ---------------------------------------------------------------------------------------

PATH = [(row, row + 1) for row in range(9)]


def test_unrelated_failures_at_one_time_are_told_apart_and_related_ones_together() -> None:
    """What touches: a node, its neighbour, and a node that shares a disturbed neighbour."""
    top, bottom = range(12), range(12, 24)
    rails = [(row + at, row + at + 1) for at in (0, 12) for row in range(11)]
    ladder = Mesh([*rails, *zip(top, bottom, strict=True)], set())
    reader = Reader()
    reader.hears(*ladder.fails(reader.at, set(), {1, 2, 4, 9}))
    told = reader.waits(HELD)
    assert [one.name for one in told] == [AlertName.NODE_OFFLINE] * 2
    assert [one.subjects for one in told] == [("n001", "n002", "n004"), ("n009",)]
    assert told[0].thread != told[1].thread


def test_what_follows_joins_the_thread_and_the_thread_ends_with_the_last_of_it() -> None:
    """A neighbour that fails later changes the alert; it is over when both are back."""
    grid = Mesh([(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)], set(), ("Tower", "", "", ""))
    reader = Reader()
    reader.hears(*grid.fails(reader.at, set(), {0}))
    (first,) = reader.waits(60)
    assert first.summary == "Node Tower (n000) is silent"
    assert first.details == ("Its neighbours: n001, n002, n003.",)
    reader.hears(*grid.fails(reader.at, set(), {0, 1}))
    (second,) = reader.waits(60)
    assert (second.key, second.thread) == (first.key, first.thread)
    assert (second.summary, second.ended) == ("2 nodes are silent", None)
    reader.restarts()
    reader.hears(*grid.fails(reader.at, set(), {1}))
    (third,) = reader.waits(60)
    assert (third.summary, third.ended) == ("Node n001 is silent", None)
    reader.hears(*grid.fails(reader.at, set()))
    (over,) = reader.waits(60)
    assert over.ended is not None
    assert not reader.open


def test_a_failure_that_is_over_at_once_is_told_nobody() -> None:
    """And one that comes back after it was told is another thread."""
    grid = Mesh([(0, 1), (1, 2), (2, 0)], set())
    reader = Reader()
    for _ in range(3):
        reader.hears(*grid.fails(reader.at, set(), {0}))
        assert reader.waits(HELD / 2) == []
        reader.hears(*grid.fails(reader.at, set()))
        assert reader.waits(60) == []


def test_both_sides_of_a_split_are_listed() -> None:
    """With those that reach no gateway by it; one alert for both."""
    path = Mesh(PATH, {0}, tuple(f"host{row}" for row in range(10)))
    reader = Reader()
    reader.hears(*path.fails(reader.at, {6}))
    (alert,) = reader.waits(HELD)
    assert alert.name is AlertName.MESH_SPLIT
    assert alert.summary == (
        "The network is split: parts of 7 and 3 nodes; 3 nodes reach no gateway"
    )
    assert alert.details == (
        "Part 1, 7 nodes: host0, host1, host2, host3, host4, host5, host6.",
        "Part 2, 3 nodes: host7, host8, host9.",
    )
    reader.hears(*path.fails(reader.at, set()))
    (over,) = reader.waits(HELD)
    assert over.ended is not None


# -- sources, shards, links, incidents -------------------------------------------------------------


def test_a_source_is_told_when_it_is_stale_or_fails_for_long() -> None:
    """A single failed poll is not told; what is stale says of how many nodes nothing is known."""
    reader, run = Reader(Network.OBSERVED, "observer"), Run()
    reader.hears(*run.answer(reading("abc", made_at=run.at + 60)))
    reader.hears(*run.fail())
    assert reader.waits(60) == []
    reader.hears(*run.answer(reading("abc", made_at=run.at + 60)))
    assert reader.waits() == []
    reader.hears(*run.fail())
    (failed,) = reader.waits(200)
    assert (failed.name, failed.subjects) == (AlertName.MAP_STALE, ("map",))
    assert failed.summary == "Source map fails: no connection"
    reader.hears(*run.later(400))
    (stale,) = reader.waits(HELD)
    assert (stale.key, stale.thread) == (failed.key, failed.thread)
    assert stale.summary.startswith("What source map says is stale")
    assert stale.details == (
        "Source map fails: no connection.",
        "Nothing is known now of 3 nodes.",
    )
    reader.hears(*run.answer(reading("abc", made_at=run.at + 60)))
    (over,) = reader.waits(HELD)
    assert over.ended is not None


def test_a_shard_is_told_when_it_is_down_or_was_restarted() -> None:
    """Not both: who was told that it is down is told that this is over."""
    reader = Reader()

    def shard(kind: EventKind) -> NetworkEvent:
        return event(1, reader.at, kind, nodes=(), what="shard s0 was restarted", shard="s0")

    (restarted,) = reader.hears(shard(EventKind.SHARD_RESTARTED))
    assert (restarted.name, restarted.momentary) == (AlertName.SHARD_RESTARTED, True)
    reader.hears(shard(EventKind.SHARD_DOWN))
    (down,) = reader.waits(HELD)
    assert down.summary == "Shard s0 of the emulated mesh does not answer"
    assert reader.hears(shard(EventKind.SHARD_RESTARTED)) == []
    (over,) = reader.waits(HELD)
    assert (over.key, over.ended) == (down.key, reader.at - HELD)


def test_what_a_dead_shard_takes_along_is_told_in_its_thread() -> None:
    """Its nodes fall silent for others one after the other."""
    grid, reader = Mesh([(0, 1), (1, 2), (2, 0), (2, 3), (3, 0)], set()), Reader()
    hosts = ["n001", "n003"]
    down = event(1, reader.at, EventKind.SHARD_DOWN, nodes=(), shard="s0", hosts=hosts)
    reader.hears(down)
    (first,) = reader.waits(HELD)
    assert first.subjects == ("s0",)
    reader.hears(*grid.fails(reader.at, set(), {1}))
    (second,) = reader.waits(60)
    assert (second.name, second.thread) == (AlertName.NODE_OFFLINE, first.thread)


def test_a_large_share_of_links_down_is_told_and_those_of_silent_nodes_do_not_count() -> None:
    """Told from a fifth on, over below a tenth; each percent between is no message."""
    full = [(a, b) for a in range(6) for b in range(a)]  # 15 links
    mesh, reader = Mesh(full, set()), Reader()
    reader.hears(*mesh.fails(reader.at, set(), {0}))
    assert [one.name for one in reader.waits(HELD)] == [AlertName.NODE_OFFLINE]
    reader.hears(*mesh.fails(reader.at, set()))
    reader.waits(HELD)
    reader.hears(*mesh.fails(reader.at, {1, 2}))
    assert reader.waits(HELD) == []
    reader.hears(*mesh.fails(reader.at, {1, 2, 5}))
    (alert,) = reader.waits(HELD)
    assert (alert.name, alert.summary) == (AlertName.LINKS_DOWN, "20% of all links are down")
    assert alert.details == ("3 of 15 links, between nodes that work.",)
    reader.hears(*mesh.fails(reader.at, {1, 5}))
    assert reader.waits(HELD) == []
    reader.hears(*mesh.fails(reader.at, {1}))
    (over,) = reader.waits(HELD)
    assert over.ended is not None


def test_the_share_of_links_that_is_told_is_a_setting(tmp_path: Path) -> None:
    """It reaches the actor's rules, and one link of fifteen is told then."""
    options = alerts_options(Settings(state_dir=tmp_path, alerts_links_share=0.05))
    full = [(a, b) for a in range(6) for b in range(a)]
    rules = AlertRules(links_down=options.links_share)
    mesh, reader = Mesh(full, set()), Reader(rules=rules)
    reader.hears(*mesh.fails(reader.at, {1}))
    assert [one.name for one in reader.waits(HELD)] == [AlertName.LINKS_DOWN]
    assert AlertRules().links_down == Settings(state_dir=tmp_path).alerts_links_share


def test_routes_that_were_whole_too_late_are_told_after_the_drill() -> None:
    """Also those that never were; a drill that was as it must be is told nobody."""
    reader = Reader()

    def drill(**data: float | None) -> list[Alert]:
        what = "drill node-kill of a has ended: it fell short: routes did not become whole again"
        ended = event(1, reader.at, EventKind.DRILL, what=what, phase="end", **data)
        return reader.hears(ended, source="drill")

    assert drill() == []
    assert drill(healed_s=2.0, bound_s=3.5) == []
    (late,) = drill(healed_s=4.0, bound_s=3.5)
    assert (late.name, late.momentary) == (AlertName.HEALING_SLOW, True)
    assert late.summary == "Routes were whole 4.0 s after the fault, later than 3.5 s"
    (never,) = drill(healed_s=None, bound_s=3.5)
    assert never.summary.endswith("did not become whole again; within 3.5 s they must be")


def test_links_that_never_worked_are_no_share_of_those_down() -> None:
    """As in a map that lists what was measured last; those that fail later are."""
    reader, run = Reader(Network.OBSERVED, "observer"), Run()
    pairs = [f"{a}{b}" for a in "abcdef" for b in "abcdef" if a < b]
    dead = [replace(link(one[0], one[1]), up=False) for one in pairs[10:]]
    reader.hears(*run.answer(reading("abcdef", [*pairs[:10], *dead])))
    assert reader.waits() == []
    dead += [replace(link(one[0], one[1]), up=False) for one in pairs[7:10]]
    reader.hears(*run.answer(reading("abcdef", [*pairs[:7], *dead])))
    told = [one for one in reader.waits() if one.name is AlertName.LINKS_DOWN]
    assert [one.details for one in told] == [("3 of 15 links, between nodes that work.",)]


def incident(reader: Reader, kind: EventKind, *nodes: str, name: str = "i1") -> NetworkEvent:
    """An incident at these nodes, as the inference tells it."""
    links = [{"heard_by": a, "from": b} for a, b in pairwise(nodes)]
    return event(
        1,
        reader.at,
        kind,
        nodes=nodes[:1],
        what=f"incident: node {nodes[0]} (94%); 3 links are down",
        incident=name,
        since=reader.at,
        links=links,
        silent={},
        root={"nodes": [{"node": nodes[0], "confidence": 0.94}]},
        text=f"node {nodes[0]} (94%); 3 links are down",
    )


def test_the_root_cause_is_told_in_the_thread_of_its_nodes() -> None:
    """With its confidence; the thread lasts as long as the incident does."""
    grid, reader = Mesh([(0, 1), (1, 2), (2, 0), (2, 3)], set()), Reader()
    reader.hears(*grid.fails(reader.at, set(), {0}))
    (first,) = reader.waits(60)
    reader.hears(incident(reader, EventKind.INCIDENT_OPENED, "n001", "n000"), source="inference")
    told = {one.name: one for one in reader.waits(60)}
    assert {one.thread for one in told.values()} == {first.thread}
    cause = "node n001 (94%); 3 links are down"
    assert told[AlertName.NODE_OFFLINE].probable_cause == cause
    assert told[AlertName.ROOT_CAUSE_FOUND].summary == f"Probable cause: {cause}"
    reader.hears(*grid.fails(reader.at, set()))
    (back,) = reader.waits(60)
    assert (back.name, back.ended is None) == (AlertName.NODE_OFFLINE, False)
    reader.hears(incident(reader, EventKind.INCIDENT_CLOSED, "n001", "n000"), source="inference")
    (over,) = reader.waits(60)
    assert (over.name, over.ended is None) == (AlertName.ROOT_CAUSE_FOUND, False)


def test_another_mesh_ends_what_was_open_of_the_one_before() -> None:
    """By its first event, or as soon as it is known that it runs; observed networks go on."""
    grid, reader = Mesh([(0, 1), (1, 2), (2, 0)], set()), Reader()
    reader.hears(*grid.fails(reader.at, set(), {0}), incarnation=1)
    assert len(reader.waits(HELD)) == 1
    told = reader.alerts.begun(2, reader.at)
    reader._read(told)
    (over,) = reader.waits(HELD)
    assert over.ended is not None


def test_what_cannot_be_read_costs_itself_alone() -> None:
    """It is counted."""
    reader = Reader()
    bad = event(1, kind=EventKind.SHARD_DOWN, nodes=())
    reader.hears(bad, event(2, reader.at))
    assert [one.name for one in reader.waits(HELD)] == [AlertName.NODE_OFFLINE]
    assert reader.alerts.skipped == 1


# -- properties ------------------------------------------------------------------------------------

WORLD = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 3), (4, 6), (6, 7)]
steps = st.lists(
    st.tuples(
        st.sets(st.integers(0, len(WORLD) - 1), max_size=4),
        st.sets(st.integers(0, 7), max_size=3),
        st.sampled_from([0.2, 0.9, 1.0, 5.0]),
        st.booleans(),
        st.none() | st.tuples(st.sampled_from(["i1", "i2"]), st.integers(0, 7), st.booleans()),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=share(0.4))
@given(steps, st.sampled_from([set(), {0}, {0, 7}]))
def test_whatever_fails_and_is_mended_in_whatever_order(
    told: list[Any], gateways: set[int]
) -> None:
    """Whoever is silent is named by one thread; nothing is told twice; in the end all is over."""
    mesh, reader = Mesh(WORLD, gateways), Reader()
    incidents: dict[str, str] = {}
    for down, dead, passed, restarts, found in told:
        reader.hears(*mesh.fails(reader.at, down, dead))
        if found is not None:
            _judges(reader, mesh, incidents, found)
        if restarts:
            reader.restarts()
        reader.waits(passed)
        if passed > HELD:
            silent = {mesh.ids[row] for row in np.flatnonzero(~mesh.state.heard)}
            assert silent <= reader.named
    reader.hears(*mesh.fails(reader.at, set()))
    for name, node in incidents.items():
        closed = incident(reader, EventKind.INCIDENT_CLOSED, node, name=name)
        reader.hears(closed, source="inference")
    reader.waits()
    assert not reader.open
    assert reader.alerts.export()["threads"] == []


def _judges(
    reader: Reader, mesh: Mesh, incidents: dict[str, str], found: tuple[str, int, bool]
) -> None:
    """The inference opens an incident of a name at a node, or closes it."""
    name, node, ends = found
    kind = EventKind.INCIDENT_CLOSED if ends else EventKind.INCIDENT_OPENED
    reader.hears(incident(reader, kind, mesh.ids[node], name=name), source="inference")
    incidents.pop(name, None)
    if not ends:
        incidents[name] = mesh.ids[node]


@settings(deadline=None, max_examples=share(0.4))
@given(st.lists(st.tuples(readings(), st.booleans(), st.booleans()), max_size=8))
def test_of_an_observed_network_those_are_named_that_are_away(told: list[Any]) -> None:
    """All that are silent, gone, cut off or without a gateway, but for who has never worked."""
    reader, run = Reader(Network.OBSERVED, "observer"), Run("map", "other")
    last, worked = 0, set[str]()
    for said, other, restarts in told:
        name = "other" if other else "map"
        made_at = None if said.made_at is None else run.at + 60 - said.made_at
        run.answer(replace(said, source=name, made_at=made_at), name)
        reader.hears(*run.since(last))
        last = run.world.ring.last
        if restarts:
            reader.restarts()
        reader.waits(60)
        states = run.states()
        worked = {n for n in states if n in worked or states[n] == "up"}
        wrong = worked & _wrong(run)
        assert wrong <= reader.named
        assert {n for n in reader.named if states.get(n) != "unknown"} <= wrong


def _wrong(run: Run) -> set[str]:
    """Who is away, or without a gateway, by what the observation says itself."""
    away = ("silent", "gone", "cut_off")
    members = run.world.members.items()
    return {node for node, one in members if one.state in away or one.lost_gateway}
