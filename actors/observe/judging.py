"""One step of an observation: what follows for nodes, links and parts from what is said now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.observe.contract import LinkCondition, NodeState
from actors.observe.member import KnownLink, Member, Presence
from actors.observe.merging import facts, merge
from actors.observe.parts import compare, regroup
from actors.topology.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.observe.merging import LinkKey, Picture, SeenLink, SeenNode
    from actors.observe.moment import Moment
    from actors.observe.observation import Observation
    from actors.observe.step import Step
    from actors.topology.network import NetworkNode


class Judging:
    """Draws the conclusions of one step.

    Args:
        world: the observation, which is changed.
        step: what changes, to be told; it has what became of the sources.
        now: the moment.
    """

    def __init__(self, world: Observation, step: Step, now: Moment) -> None:
        self._world = world
        self._step = step
        self._now = now
        last = world.judged_at
        self._passed_s = 0.0 if last is None else max(0.0, now.steady - last)
        world.judged_at = now.steady
        self._was = {name: member.state for name, member in world.members.items()}
        self._shown_retired: dict[str, str] = {}
        self._addresses: dict[str, str] | None = None
        step.shown = self._shown

    def judge(self, retire: Mapping[str, str]) -> None:
        """Draw all conclusions.

        Args:
            retire: why nodes are to be retired, unless they are heard now.
        """
        world = self._world
        records = list(world.records.values())
        world.identities.learn(
            [record.nodes for record in records],
            {name: member.facts.addresses for name, member in world.members.items()},
        )
        world.picture = merge(records, world.identities, world.links)
        self._nodes(world.picture)
        self._retire(retire)
        self._links(world.picture)
        self._parts(world.picture)
        self._gateways()
        self._states()

    # -- nodes -----------------------------------------------------------------------------------

    def _nodes(self, picture: Picture) -> None:
        members = self._world.members
        for name, seen in picture.nodes.items():
            self._listed(name, seen)
        for name, seen in picture.old.items():
            if name in members:
                self._dropped(name, members[name], seen)
            else:
                self._join_unknown(name, seen)
        for name, member in members.items():
            if name not in picture.nodes and name not in picture.old:
                member.presence, member.by = Presence.GONE, ()
                self._known_again(name, member)

    def _listed(self, name: str, seen: SeenNode) -> None:
        """A source that is not stale lists a node."""
        member = self._member(name, seen)
        if member is not None:
            self._note(name, member, facts(name, seen, member.facts))
            member.presence = Presence.HEARD if seen.heard else Presence.SILENT
            member.by = tuple(record.name for record, _ in seen.says)
            self._known_again(name, member)

    def _member(self, name: str, seen: SeenNode) -> Member | None:
        """The member, a new one, or None: it was retired, and is not heard."""
        world, now = self._world, self._now
        member = world.members.get(name)
        if member is None and (seen.heard or name not in world.retired):
            known = facts(name, seen, None)
            member = Member(known, NodeState.SILENT, now.at, now.at)
            world.members[name] = member
            world.order[name] = None
            world.retired.discard(name)
        return member

    def _join_unknown(self, name: str, seen: SeenNode) -> None:
        member = self._member(name, seen)
        if member is not None:
            member.known = False
            member.by = tuple(record.name for record, _ in seen.says)

    def _dropped(self, name: str, member: Member, seen: SeenNode) -> None:
        """Only stale sources list a node: nothing is known of it, or a fresh one dropped it."""
        if not member.known or member.presence is Presence.GONE:
            return
        records = self._world.records
        if any(source in records and not records[source].stale for source in member.by):
            member.presence, member.by = Presence.GONE, ()
            return
        member.known, member.before = False, member.state
        sources = [record.name for record, _ in seen.says]
        self._step.source_of[name] = next((s for s in sources if s in member.by), sources[0])

    def _known_again(self, name: str, member: Member) -> None:
        if member.known:
            return
        member.known = True
        fresh = {c.source for c in self._step.sources if c.kind is EventKind.MAP_FRESH}
        source = next((source for source in member.by if source in fresh), None)
        if source is not None:
            self._step.source_of[name] = source

    def _note(self, name: str, member: Member, new: NetworkNode) -> None:
        """Take over what is known of a node; its name and its route may have changed."""
        old = member.facts
        if new.nexthop:
            hop = self._hop(new.nexthop)
            if hop != new.nexthop:
                new = replace(new, nexthop=hop)
        if name in self._was:
            if old.name and new.name != old.name:
                self._step.renamed[name] = (old.name, new.name)
            if old.nexthop and self._hop(old.nexthop) != new.nexthop:
                self._step.routes[name] = (old.nexthop, new.nexthop)
        member.facts = new

    def _hop(self, told: str) -> str:
        """The id of the node that a next hop means; what was told if none is known."""
        world = self._world
        name = world.identities.canonical(told)
        if name in world.picture.nodes or name in world.members:
            return name
        if self._addresses is None:
            self._addresses = {
                address: other
                for other, seen in world.picture.nodes.items()
                for _, node in seen.says
                for address in node.addresses
            }
        return self._addresses.get(told.lower(), told)

    def _retire(self, retire: Mapping[str, str]) -> None:
        world = self._world
        why = dict(retire)
        for alias, node in world.identities.aliases.items():
            if alias in world.members:
                why[alias] = f"it is the same node as {world.shown(node)}"
        for name, reason in why.items():
            member = world.members.get(name)
            if member is None or (member.is_heard and name in retire):
                continue
            self._shown_retired[name] = world.shown(name)
            self._step.retired[name] = reason
            del world.members[name]
            world.retired.add(name)
        world.retired &= world.picture.nodes.keys() | world.picture.old.keys()

    def _shown(self, name: str) -> str:
        return self._shown_retired.get(name) or self._world.shown(name)

    # -- links -----------------------------------------------------------------------------------

    def _links(self, picture: Picture) -> None:
        world = self._world
        for key, seen in picture.links.items():
            if key.a in world.members and key.b in world.members:
                self._seen_link(key, seen)
        for key, link in list(world.links.items()):
            if self._is_over(key, link, picture):
                del world.links[key]
                self._step.links[key] = (link.condition, None)
            elif key not in picture.links and self._is_down(link):
                self._turn(link, link.condition, LinkCondition.DOWN)

    def _seen_link(self, key: LinkKey, seen: SeenLink) -> None:
        world, rules = self._world, self._world.rules
        link = world.links.get(key)
        was = None if link is None else link.condition
        if link is None:
            link = KnownLink(key, seen, LinkCondition.DOWN, self._now.at)
            world.links[key] = link
        elif seen.up:
            link.seen = seen
        else:  # its figures stay as they were last known
            link.seen = replace(link.seen, up=False, sources=seen.sources)
        up = seen.up and self._ends_heard(key)
        self._turn(link, was, link.judge(rules) if up else LinkCondition.DOWN)
        link.become_usual(self._passed_s)

    def _turn(self, link: KnownLink, was: LinkCondition | None, now: LinkCondition) -> None:
        if now is not was:
            link.condition, link.since = now, self._now.at
            self._step.links[link.key] = (was, now)
        if link.is_up:
            link.away_s = 0.0

    def _ends_heard(self, key: LinkKey) -> bool:
        members = self._world.members
        return members[key.a].is_heard and members[key.b].is_heard

    def _is_down(self, link: KnownLink) -> bool:
        """Whether a link that no fresh source lists is down, or nothing is known of it."""
        records = self._world.records
        dropped = not all(
            source in records and records[source].stale for source in link.seen.sources
        )
        return dropped or not self._ends_heard(link.key)

    def _is_over(self, key: LinkKey, link: KnownLink, picture: Picture) -> bool:
        world = self._world
        limit = world.rules.retire_s
        return (
            key.a not in world.members
            or key.b not in world.members
            or (key in picture.named and key not in picture.links)
            or (bool(limit) and not link.is_up and link.away_s >= limit)
        )

    # -- parts and gateways ----------------------------------------------------------------------

    def _parts(self, picture: Picture) -> None:
        world = self._world
        members = world.members
        links = [(key.a, key.b) for key, link in world.links.items() if link.is_up]
        placed = picture.placed.union(*links)
        nodes = [name for name, member in members.items() if member.is_heard and name in placed]
        labels = {name: member.part for name, member in members.items() if member.part}
        before, after = world.parts, regroup(world.parts, nodes, links, labels)
        for name, part in after.of.items():
            members[name].part = part
        self._step.splits, self._step.joinings = compare(before, after)
        self._step.main_part = after.main
        world.parts = after

    def _gateways(self) -> None:
        world, step = self._world, self._step
        reached = world.parts_with_gateway()
        for name, part in world.parts.of.items():
            member = world.members[name]
            if not member.known:
                continue
            if part not in reached:
                if member.had_gateway and not member.lost_gateway:
                    member.lost_gateway = True
                    step.gateway_lost.append(name)
                continue
            if member.lost_gateway:
                member.lost_gateway = False
                step.gateway_back.append(name)
            member.had_gateway = True

    def _states(self) -> None:
        world, step = self._world, self._step
        reached = world.parts_with_gateway()
        for name, member in world.members.items():
            state = self._state(name, member, reached)
            was = self._was.get(name)
            if state is not NodeState.UNKNOWN:
                if was is NodeState.UNKNOWN and state is member.before:
                    step.as_before.add(name)
                member.before = None
            if member.is_heard:
                member.away_s = 0.0
            if state is not was:
                step.nodes[name] = (was, state)
                member.state, member.since = state, self._now.at
        for name in self._was.keys() - world.members.keys():
            step.nodes[name] = (self._was[name], None)

    def _state(self, name: str, member: Member, reached: set[int]) -> NodeState:
        if not member.known:
            return NodeState.UNKNOWN
        if not member.is_heard:
            return NodeState(member.presence.value)
        parts = self._world.parts
        part = parts.of.get(name, parts.main)
        return NodeState.UP if part == parts.main or part in reached else NodeState.CUT_OFF
