"""Whatever sources say, fail to say, or say out of order: members stay, and events explain all."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import networkx as nx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.observe import saving
from actors.observe.contract import NodeState
from actors.observe.parts import Parts
from actors.observe.source_record import SourceRecord
from actors.runtime.errors import Conflict
from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading
from tests.examples import share
from tests.unit.observe.networks import Fold, Run, kinds

IDS = "abcdefg"
POLLED = ("map", "other")

nodes = st.builds(
    NetworkNode,
    st.sampled_from(IDS),
    name=st.sampled_from(["", "", "Attic", "Barn"]),
    addresses=st.lists(st.sampled_from(["m1", "m2", "m3"]), max_size=2, unique=True).map(tuple),
    online=st.sampled_from([True, True, True, None, False]),
    gateway=st.sampled_from([None, False, True]),
    clients=st.none() | st.integers(0, 9),
    nexthop=st.sampled_from(["", "a", "b", "m1"]),
)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """What a source may say at once; its times are ages, to be made of a clock."""
    found = {node.id: node for node in draw(st.lists(nodes, max_size=7))}
    if draw(st.booleans()):  # mostly nobody is missing
        found = {name: NetworkNode(name, online=True) for name in IDS} | found
    names = sorted(found)
    links = []
    if len(names) > 1:
        for _ in range(draw(st.integers(0, 9))):
            a, b = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
            quality = draw(
                st.sampled_from([(1.0, 1.0), (0.5, 1.0), (None, 0.9), (0.9, None), (None, None)])
            )
            kind = draw(st.sampled_from(["wifi", "vpn", "other"]))
            links.append(NetworkLink(a, b, quality, kind, up=draw(st.integers(0, 5)) > 0))
    odd = draw(st.sampled_from([0, 0, 0, 5]))
    left_out = tuple(LeftOut("odd", f"nodes[{row}]", "odd") for row in range(odd))
    age = draw(st.none() | st.sampled_from([0.0, 30.0, 500.0]))
    return Reading(
        "", "test", tuple(found.values()), tuple(links), len(found) + len(links) + odd, left_out,
        made_at=age,
    )  # fmt: skip


class Watching(RuleBasedStateMachine):
    """Two sources that are polled and one that sends, about the same few nodes."""

    @initialize()
    def begin(self) -> None:
        self.run = Run(*POLLED)
        self.fold = Fold()
        self.before = Parts()
        self.labelled: set[str] = set()
        self.state_before: dict[str, str] = {}

    def _do(self) -> None:
        self.before = self.run.world.parts
        self.labelled = {n for n, member in self.run.world.members.items() if member.part}
        self.state_before = dict(self.fold.nodes)

    def _fold(self) -> None:
        events = self.run.since(self.fold.number)
        for event in events:
            assert event.at == self.run.at
            if event.kind == "node_retired":
                self._retired_rightly(event.nodes[0], event.data["why"])
        self.fold.take(events)

    def _retired_rightly(self, name: str, why: str) -> None:
        assert why.startswith(("by hand", "it has been away", "it is the same node as"))
        if not why.startswith("it is the same"):
            assert self.state_before[name] in {"silent", "gone", "unknown"}

    def _dated(self, reading: Reading, skew_s: float = 0.0) -> Reading:
        if reading.made_at is None:
            return reading
        made_at = self.run.at - reading.made_at + skew_s
        seen = tuple(
            replace(node, seen_at=made_at - 20 * row) for row, node in enumerate(reading.nodes)
        )
        return replace(reading, made_at=made_at, nodes=seen)

    # -- what may happen -------------------------------------------------------------------------

    @rule(source=st.sampled_from(POLLED), said=readings(), skew_s=st.sampled_from([0, 0, 7200]))
    def poll(self, source: str, said: Reading, skew_s: float) -> None:
        self._do()
        record = self.run.world.records[source]
        kept, held = dict(record.nodes), self.run.world.records[source].held
        self.run.answer(self._dated(replace(said, source=source), skew_s), source)
        if record.held:
            assert record.nodes == kept
        if record.held and not held:
            assert "map_held" in kinds(self.run.since(self.fold.number))
        self._fold()

    @rule(source=st.sampled_from(POLLED))
    def poll_unchanged(self, source: str) -> None:
        self._do()
        self.run.answer(None, source)
        self._fold()

    @rule(source=st.sampled_from(POLLED))
    def poll_fails(self, source: str) -> None:
        self._do()
        self.run.fail(source)
        assert self.run.world.records[source].failed
        self._fold()

    @rule(said=readings(), whole=st.booleans())
    def push(self, said: Reading, whole: bool) -> None:  # noqa: FBT001
        self._do()
        with contextlib.suppress(Conflict):  # it is held
            self.run.push(self._dated(replace(said, source="reports")), whole=whole)
        self._fold()

    @rule(seconds=st.sampled_from([1, 90, 200, 400, 1100]))
    def time_passes(self, seconds: float) -> None:
        self._do()
        self.run.later(seconds)
        self._fold()

    @rule(seconds=st.sampled_from([-86_400, -100, 100, 86_400, 10**9]))
    def wall_clock_jumps(self, seconds: float) -> None:
        self._do()
        self.run.later(0)  # whatever was due
        self._fold()
        self.run.at = max(0.0, self.run.at + seconds)
        self.run.world.tick(self.run.now)
        assert self.run.world.ring.last == self.fold.number  # of itself it changes nothing

    @rule(name=st.sampled_from(IDS))
    def retire(self, name: str) -> None:
        self._do()
        member = self.run.world.members.get(name)
        if member is None:
            return
        try:
            self.run.world.retire(name, self.run.now)
        except Conflict:
            assert member.is_heard
        else:
            assert name not in self.run.world.members
        self._fold()

    @rule(boots=st.booleans(), off_s=st.sampled_from([0, 50, 5000]))
    def restart(self, boots: bool, off_s: float) -> None:  # noqa: FBT001
        self._do()
        run = self.run
        stored = saving.encode(run.world, run.now)
        run.at += off_s
        run.steady = 3.0 if boots else run.steady + off_s
        names = [SourceRecord(name, "test") for name in POLLED]
        run.world = saving.decode(stored, run.world.rules, names, run.now)
        assert run.world.ring.last == self.fold.number

    # -- what always holds -----------------------------------------------------------------------

    @invariant()
    def events_explain_all(self) -> None:
        world = self.run.world
        assert self.fold.nodes == self.run.states()
        found = {tuple(key): link.condition.value for key, link in world.links.items()}
        assert self.fold.links == found
        lost = {name for name, member in world.members.items() if member.lost_gateway}
        assert self.fold.no_gateway == lost
        for flag, names in self.fold.sources.items():
            assert names == {n for n, record in world.records.items() if getattr(record, flag)}

    @invariant()
    def states_follow_from_what_is_said(self) -> None:
        world = self.run.world
        fresh, listed, heard = set(), set(), set()
        for record in world.records.values():
            names = {world.identities.canonical(name) for name in record.nodes}
            listed |= names
            if not record.stale:
                fresh |= names
                heard |= {world.identities.canonical(name) for name in record.heard}
        for name, member in world.members.items():
            match member.state:
                case NodeState.UP | NodeState.CUT_OFF:
                    assert name in heard
                case NodeState.SILENT:
                    assert name in fresh - heard
                case NodeState.GONE:
                    assert name not in fresh
                case NodeState.UNKNOWN:
                    assert name in listed - fresh
        if world.members:
            assert heard <= world.members.keys()

    @invariant()
    def parts_are_what_links_join(self) -> None:
        world = self.run.world
        graph = nx.Graph()
        graph.add_nodes_from(world.parts.of)
        for (a, b, _), link in world.links.items():
            if link.is_up:
                assert world.members[a].is_heard
                assert world.members[b].is_heard
                graph.add_edge(a, b)
        parts = list(nx.connected_components(graph))
        numbers = [{world.parts.of[name] for name in part} for part in parts]
        assert all(len(one) == 1 for one in numbers)
        assert len({one.pop() for one in numbers}) == len(numbers)

    @invariant()
    def islands_do_not_exchange_the_mesh(self) -> None:
        before, after = self.before, self.run.world.parts
        if before.main in (0, after.main):
            return
        stayed = [n for n, part in before.of.items() if part == before.main and n in after.of]
        new = after.of.keys() - self.labelled
        assert not stayed or len(new) > len(self.labelled)

    @invariant()
    @precondition(lambda self: self.run.world.members)
    def cut_off_is_with_neither_main_part_nor_gateway(self) -> None:
        world = self.run.world
        of = world.parts.of
        with_gateway = {
            of[n] for n, m in world.members.items() if n in of and m.facts.gateway and m.is_heard
        }
        for name, member in world.members.items():
            if name in of and member.known and member.had_gateway:
                assert member.lost_gateway == (of[name] not in with_gateway)
            if member.state is NodeState.CUT_OFF:
                assert of[name] != world.parts.main
                assert of[name] not in with_gateway
            elif member.state is NodeState.UP and name in of:
                assert of[name] == world.parts.main or of[name] in with_gateway


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=share(1), stateful_step_count=25, deadline=None)
