"""What is known, as others are told it: see `ObservedNetwork`, `SourceState`, `Roster`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.observe.contract import (
    OBSERVER,
    LeftOutPage,
    LinkCondition,
    NodeState,
    ObservedLink,
    ObservedNetwork,
    ObservedNode,
    SourceState,
)
from actors.observe.merging import disputed
from actors.topology.etx import etx_costs
from actors.topology.link_state import LinkState, Roster
from actors.topology.model import Topology
from actors.topology.network import NetworkLink, NetworkNode, Reading
from actors.topology.selection import Wanted, node_table, select

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from actors.observe.member import KnownLink
    from actors.observe.moment import Moment
    from actors.observe.observation import Observation
    from actors.observe.source_record import SourceRecord

_BITS: Final = 48  # of a revision or digest: JSON readers keep whole numbers up to 53 bits


def network(world: Observation) -> ObservedNetwork:
    """All that is known."""
    aliases: dict[str, list[str]] = {}
    for alias, name in world.identities.aliases.items():
        aliases.setdefault(name, []).append(alias)
    reached = world.parts_with_gateway()
    known_gateway = any(member.facts.gateway for member in world.members.values())
    nodes = tuple(
        _node(world, name, tuple(aliases.get(name, ())), reached if known_gateway else None)
        for name in world.members
    )
    links = tuple(_link(world, link) for link in world.links.values())
    return ObservedNetwork(world.at, world.ring.last, world.parts.main, nodes, links)


def _node(
    world: Observation, name: str, aliases: tuple[str, ...], reached: set[int] | None
) -> ObservedNode:
    member = world.members[name]
    facts = member.facts
    part = world.parts.of.get(name, 0)
    seen = world.picture.nodes.get(name) or world.picture.old.get(name)
    known = reached is not None and part and member.known
    return ObservedNode(
        name,
        facts.name,
        member.state,
        member.since,
        member.joined_at,
        facts.seen_at,
        part,
        part in reached if known and reached is not None else None,
        facts.gateway,
        facts.vpn,
        facts.clients,
        facts.nexthop,
        facts.model,
        facts.role,
        facts.firmware,
        facts.domain,
        facts.location,
        facts.telemetry,
        facts.addresses,
        aliases,
        () if seen is None else tuple(record.name for record, _ in seen.says),
        disputed(seen),
    )


def _link(world: Observation, link: KnownLink) -> ObservedLink:
    seen, members = link.seen, world.members
    known = all(members[name].state is not NodeState.UNKNOWN for name in link.key[:2])
    return ObservedLink(
        *link.key,
        link.condition if known else LinkCondition.UNKNOWN,
        link.since,
        seen.quality,
        link.usual,
        seen.metric,
        seen.cost,
        seen.parallel,
        seen.sources,
    )


def source_states(world: Observation, now: Moment) -> tuple[SourceState, ...]:
    """How each source is."""
    return tuple(_source(record, now) for record in world.records.values())


def left_out(record: SourceRecord, after: int, most: int) -> LeftOutPage:
    """Records of a source's last answer, those that were left out first."""
    records = record.left_out + record.altered
    shown = range(len(records))[after : after + most]
    return LeftOutPage(
        tuple(records[at] for at in shown),
        tuple(at >= len(record.left_out) for at in shown),
        sum(record.account.left_out.values()) + sum(record.account.altered.values()),
        more=after + len(shown) < len(records),
    )


def _source(record: SourceRecord, now: Moment) -> SourceState:
    state, why, since = _state(record, now)
    account = record.account
    return SourceState(
        record.name,
        record.kind,
        state,
        why,
        since,
        record.stale,
        record.good_at,
        None if record.content_at is None else record.age(now),
        account.format,
        len(record.nodes),
        len(record.links),
        account.records,
        account.left_out,
        account.altered,
        account.examples,
        account.notes,
        record.pushes,
    )


def _state(record: SourceRecord, now: Moment) -> tuple[str, str, float]:
    """State, reason and time of a source."""
    since = record.since
    if record.failed:
        return "failed", record.failed, since.get("failed", now.at)
    if record.held:
        why = f"{record.held}; the last good answer is used"
        return "held", why, since.get("held", now.at)
    if record.stale:
        why = f"what it says is {record.age(now):.0f} s old; see whether it is still being made"
        return "stale", why, since.get("stale", now.at)
    if record.good_at is None:
        return "waiting", "it has not answered yet", now.at
    return "ok", "", max(since.values(), default=record.good_at)


@dataclass(frozen=True, slots=True)
class MeshView:
    """The network as a watch takes it in.

    Attributes:
        roster: the nodes and links.
        state: the states of all links.
    """

    roster: Roster
    state: LinkState


def mesh_view(world: Observation) -> MeshView:
    """The network as a watch takes it in; equal content has equal revision and digest."""
    topology, up = _topology(world)
    present = np.array([name in world.members for name in topology.ids], np.bool_)
    source = ", ".join(record.name for record in world.records.values())
    revision = _digest(
        source, *topology.ids, *topology.kinds, *topology.nodes.names,
        arrays=[
            present, topology.ends, topology.kind, topology.measured, topology.parallel,
            topology.nodes.gateway, topology.nodes.clients, topology.nodes.location,
        ],
    )  # fmt: skip
    roster = Roster(revision, source, topology, present, (OBSERVER,))
    cost = np.where(np.repeat(up, 2), etx_costs(topology), 0).astype(np.int32)
    heard = topology.link_quality[np.arange(2 * topology.n_links) ^ 1]
    link = np.arange(2 * topology.n_links, dtype=np.int32)
    return MeshView(roster, LinkState(revision, _digest(arrays=[cost, heard]), link, cost, heard))


def _topology(world: Observation) -> tuple[Topology, NDArray[np.bool_]]:
    """All nodes that ever were members, the links of the network, and which of these are up.

    Of a pair that several links join, those that are up count, if there are any.
    """
    nodes = [_row(world, name) for name in world.order]
    pairs_up = {link.key[:2] for link in world.links.values() if link.is_up}
    links = [
        _up(link) for link in world.links.values() if link.is_up or link.key[:2] not in pairs_up
    ]
    if not links:
        return Topology.of([node.id for node in nodes], nodes=node_table(nodes)), np.zeros(0, bool)
    reading = Reading(OBSERVER, OBSERVER, tuple(nodes), tuple(_each(links)), len(links))
    topology = select(reading, Wanted(all_components=True)).topology
    ids = topology.ids
    up = [
        (ids[a], ids[b]) in pairs_up or (ids[b], ids[a]) in pairs_up
        for a, b in topology.ends.tolist()
    ]
    return topology, np.array(up, np.bool_)


def _row(world: Observation, name: str) -> NetworkNode:
    member = world.members.get(name)
    return NetworkNode(name) if member is None else replace(member.facts, id=name)


def _up(link: KnownLink) -> tuple[NetworkLink, int]:
    """A link as if it were up, so that its place is kept, and how many it stands for."""
    heard = any(value != 0 for value in link.seen.quality)
    quality = link.seen.quality if heard else (None, None)
    return NetworkLink(link.key.a, link.key.b, quality, link.key.kind), link.seen.parallel


def _each(links: Iterable[tuple[NetworkLink, int]]) -> Iterable[NetworkLink]:
    for link, parallel in links:
        for _ in range(parallel):
            yield link


def _digest(*words: str, arrays: Iterable[NDArray[np.generic]]) -> int:
    content = hashlib.blake2b(digest_size=_BITS // 8)
    for word in words:
        content.update(word.encode() + b"\0")
    for array in arrays:
        content.update(repr(array.shape).encode() + array.tobytes())
    return int.from_bytes(content.digest(), "big") + 1
