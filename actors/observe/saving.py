"""The state of an observation as bytes: MessagePack of plain values, compressed.

The steady clock starts anew with the machine, so its times are stored as differences to the moment
of storing. For how long nothing was observed counts as age of what sources said, and for nothing
else: nobody is retired because the observer was switched off, or because the wall clock was wrong.
"""

from __future__ import annotations

import zlib
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgpack

from actors.observe.contract import LinkCondition, NodeState
from actors.observe.event_ring import EventRing
from actors.observe.member import KnownLink, Member, Presence
from actors.observe.merging import LinkKey, SeenLink
from actors.observe.observation import Observation
from actors.observe.parts import Parts
from actors.observe.source_record import Account, SourceRecord
from actors.topology.events import EventKind, EventSeverity, NetworkEvent
from actors.topology.network import LeftOut, NetworkLink, NetworkNode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.observe.contract import ObserverRules
    from actors.observe.moment import Moment

VERSION: Final = 1
EVENTS_STORED: Final = 2_000  # newest events that outlive a restart
_LEVEL: Final = 1  # of compression: the fastest

_node = attrgetter(*NetworkNode.__slots__)
_link = attrgetter(*NetworkLink.__slots__)
_left_out = attrgetter(*LeftOut.__slots__)
_seen = attrgetter(*SeenLink.__slots__)
_event = attrgetter(*NetworkEvent.__slots__)


def encode(world: Observation, now: Moment) -> bytes:
    """The state of an observation, to be decoded on this machine or another."""
    members = [
        (
            *(_node(m.facts), m.state, m.since, m.joined_at, m.presence, m.known, m.before),
            *(m.away_s, m.by, m.part, m.had_gateway, m.lost_gateway),
        )
        for m in world.members.values()
    ]
    links = [
        (link.key, _seen(link.seen), link.condition, link.since, link.usual, link.away_s)
        for link in world.links.values()
    ]
    state = {
        "version": VERSION,
        "at": now.at,
        "records": [_encode_record(record, now) for record in world.records.values()],
        "members": members,
        "links": links,
        "parts": (world.parts.main, world.parts.latest, world.parts.of),
        "aliases": world.identities.aliases,
        "order": list(world.order),
        "retired": sorted(world.retired),
        "events": [_event(event) for event in world.ring.newest(EVENTS_STORED)],
        "incarnation": world.ring.incarnation,
        "last_event": world.ring.last,
    }
    return zlib.compress(msgpack.packb(state), _LEVEL)


def decode(
    content: bytes, rules: ObserverRules, sources: Sequence[SourceRecord], now: Moment
) -> Observation:
    """Restore an observation; sources that are polled no more are left out.

    Raises:
        ValueError: it is no such state, or one of another version.
    """
    try:
        packed = zlib.decompress(content)
        state = msgpack.unpackb(packed, use_list=False, strict_map_key=False)
        version = state["version"]
        if version == VERSION:
            return _decode(state, rules, sources, now)
    except (zlib.error, ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"it is damaged ({type(error).__name__})") from error
    raise ValueError(f"it is of version {version}, and this program reads version {VERSION}")


def _decode(
    state: dict[str, Any],
    rules: ObserverRules,
    sources: Sequence[SourceRecord],
    now: Moment,
) -> Observation:
    events = [_decode_event(event) for event in state["events"]]
    ring = EventRing(state["incarnation"], state["last_event"], events)
    world = Observation(rules, sources, ring)
    unobserved_s = max(0.0, now.at - state["at"])
    for fields in state["records"]:
        record = _decode_record(fields, now, unobserved_s)
        known = world.records.get(record.name)
        if known is None and not record.pushes:
            continue
        if known is not None:
            record.kind, record.interval_s, record.pushes = known.kind, known.interval_s, False
        world.records[record.name] = record
    for facts, status, *rest in state["members"]:
        since, joined_at, presence, known_, before, *others = rest
        node = NetworkNode(*facts)
        world.members[node.id] = Member(
            node,
            NodeState(status),
            since,
            joined_at,
            Presence(presence),
            known_,
            None if before is None else NodeState(before),
            *others,
        )
    for key, seen, condition, *rest in state["links"]:
        link = KnownLink(LinkKey(*key), SeenLink(*seen), LinkCondition(condition), *rest)
        world.links[link.key] = link
    world.parts = Parts(*state["parts"])
    world.identities.aliases.update(state["aliases"])
    world.order = dict.fromkeys(state["order"])
    world.retired = set(state["retired"])
    world.note_away()
    return world


def _encode_record(record: SourceRecord, now: Moment) -> dict[str, Any]:
    content_at = record.content_at
    return {
        "name": record.name,
        "kind": record.kind,
        "pushes": record.pushes,
        "nodes": [_node(node) for node in record.nodes.values()],
        "links": [_link(link) for link in record.links],
        "ages": record.ages,
        "heard": sorted(record.heard),
        "listed": {name: t - now.steady for name, t in record.listed_at.items()},
        "said": {
            name: {field: t - now.steady for field, t in said.items()}
            for name, said in record.said_at.items()
        },
        "content": None if content_at is None else content_at - now.steady,
        "own_time": record.own_time,
        "partial": record.partial,
        "tells_links": record.tells_links,
        "good_at": record.good_at,
        "account": _encode_account(record.account),
        "flags": (record.failed, record.held, record.stale, record.since),
    }


def _decode_record(fields: dict[str, Any], now: Moment, unobserved_s: float) -> SourceRecord:
    content = fields["content"]
    if content is not None:
        content += now.steady - (0.0 if fields["pushes"] else unobserved_s)
    record = SourceRecord(
        fields["name"],
        fields["kind"],
        fields["pushes"],
        0.0,
        {node[0]: NetworkNode(*node) for node in fields["nodes"]},
        tuple(NetworkLink(*link) for link in fields["links"]),
        fields["ages"],
        set(fields["heard"]),
        {name: t + now.steady for name, t in fields["listed"].items()},
        {
            name: {field: t + now.steady for field, t in said.items()}
            for name, said in fields["said"].items()
        },
        content,
        fields["own_time"],
        fields["partial"],
        fields["tells_links"],
        fields["good_at"],
        _decode_account(fields["account"]),
    )
    record.failed, record.held, record.stale, record.since = fields["flags"]
    return record


def _encode_account(account: Account) -> tuple[Any, ...]:
    examples = [_left_out(one) for one in account.examples]
    return (
        *(account.format, account.records, account.left_out, account.altered),
        *(examples, account.notes),
    )


def _decode_account(fields: tuple[Any, ...]) -> Account:
    kind, records, left_out, altered, examples, notes = fields
    return Account(kind, records, left_out, altered, tuple(LeftOut(*x) for x in examples), notes)


def _decode_event(fields: tuple[Any, ...]) -> NetworkEvent:
    number, at, kind, severity, nodes, link, what, data = fields
    as_told = _lists(data)
    return NetworkEvent(
        number, at, EventKind(kind), EventSeverity(severity), nodes, link, what, as_told
    )


def _lists(value: Any) -> Any:  # noqa: ANN401 - plain values
    """Plain values with lists in the place of tuples, as in JSON."""
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items()}
    return [_lists(one) for one in value] if isinstance(value, tuple) else value
