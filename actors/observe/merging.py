"""What all sources say together, at one moment.

Of a node that several sources list, each field is what was said last; sources that go on repeating
themselves say nothing new. Figures (clients, telemetry) are of the source that heard the node last.
A node is heard if any source hears it. Of a link, each direction has the quality of the first
source that knows it, and it is up if any source says so. The words of stale sources count only for
nodes that no other source lists: of these nothing is known now.

Absent is not zero: what nobody says stays what it was last known to be, except figures, which are
then not known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.observe.source_record import ABSENT, SAID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actors.observe.identity import Identities
    from actors.observe.source_record import SourceRecord
    from actors.topology.network import NetworkLink, NetworkNode

VAGUE: Final = "other"  # the kind that says nothing
_ONLY_VAGUE: Final = {VAGUE}


class LinkKey(NamedTuple):
    """A link: its ends, a < b, and its kind."""

    a: str
    b: str
    kind: str


@dataclass(slots=True)
class SeenNode:
    """What sources say of one node: each with the id that it uses."""

    says: list[tuple[SourceRecord, NetworkNode]] = field(default_factory=list)
    heard: bool = False


@dataclass(slots=True)
class SeenLink:
    """What sources say of one link, from a to b and from b to a; see `ObservedLink`."""

    up: bool = False
    quality: tuple[float | None, float | None] = (None, None)
    metric: str = ""
    cost: tuple[float | None, float | None] = (None, None)
    parallel: int = 0
    sources: tuple[str, ...] = ()


@dataclass(slots=True)
class Picture:
    """What is said now.

    Attributes:
        nodes: by id, what sources that are not stale say.
        old: by id, what stale sources say of the other nodes.
        links: what sources that are not stale say.
        placed: ids of the nodes whose sources tell links.
        named: links that were of no kind, and are now known by one.
    """

    nodes: dict[str, SeenNode] = field(default_factory=dict)
    old: dict[str, SeenNode] = field(default_factory=dict)
    links: dict[LinkKey, SeenLink] = field(default_factory=dict)
    placed: set[str] = field(default_factory=set)
    named: set[LinkKey] = field(default_factory=set)


def merge(
    records: Sequence[SourceRecord], identities: Identities, known: Iterable[LinkKey]
) -> Picture:
    """Join what the sources say; `known` are the links of the network so far."""
    picture = Picture()
    kinds: dict[tuple[str, str], set[str]] = {}
    for key in known:
        kinds.setdefault(key[:2], set()).add(key.kind)
    for record in records:
        if not record.stale:
            _add_nodes(record, identities, picture)
    for record in records:
        if record.stale:
            _add_old(record, identities, picture)
        else:
            _add_links(record, identities, picture, kinds)
    return picture


def _add_nodes(record: SourceRecord, identities: Identities, picture: Picture) -> None:
    aliases = identities.aliases
    for name, node in record.nodes.items():
        mine = aliases.get(name, name)
        seen = picture.nodes.get(mine)
        if seen is None:
            seen = picture.nodes[mine] = SeenNode()
        seen.says.append((record, node))
        seen.heard = seen.heard or name in record.heard
        if record.tells_links:
            picture.placed.add(mine)


def _add_old(record: SourceRecord, identities: Identities, picture: Picture) -> None:
    for name, node in record.nodes.items():
        mine = identities.canonical(name)
        if mine not in picture.nodes:
            picture.old.setdefault(mine, SeenNode()).says.append((record, node))
            if record.tells_links:
                picture.placed.add(mine)


def _add_links(
    record: SourceRecord,
    identities: Identities,
    picture: Picture,
    kinds: dict[tuple[str, str], set[str]],
) -> None:
    """Join the links of one source to those of the earlier ones.

    A link of no kind is the one that the pair has, unless its own source tells it from others.
    """
    own = _own_links(record, identities)
    vague = {key[:2] for key in own if key.kind == VAGUE}
    precise = {key[:2] for key in own if key.kind != VAGUE} if vague else set()
    for key, seen in own.items():
        pair = key[:2]
        known = kinds.setdefault(pair, set())
        at = key
        if key.kind == VAGUE and len(known) == 1 and pair not in precise:
            at = LinkKey(*pair, next(iter(known)))
        elif known == _ONLY_VAGUE and pair not in vague:
            known.clear()
            _name(key, picture)
        known.add(at.kind)
        before = picture.links.get(at)
        picture.links[at] = seen if before is None else _both(before, seen)


def _name(key: LinkKey, picture: Picture) -> None:
    """The link that has been of no kind is this one."""
    vague = LinkKey(key.a, key.b, VAGUE)
    picture.named.add(vague)
    if vague in picture.links:
        picture.links[key] = picture.links.pop(vague)


def _own_links(record: SourceRecord, identities: Identities) -> dict[LinkKey, SeenLink]:
    """The links of one source; of parallel ones of a kind, the best that is up."""
    aliases = identities.aliases
    own: dict[LinkKey, SeenLink] = {}
    for link in record.links:
        a, b = aliases.get(link.a, link.a), aliases.get(link.b, link.b)
        if a == b:
            continue
        seen = _seen(link, (record.name,), turned=a > b)
        key = LinkKey(a, b, link.kind) if a < b else LinkKey(b, a, link.kind)
        before = own.get(key)
        own[key] = seen if before is None else _parallel(before, seen)
    return own


def _seen(link: NetworkLink, sources: tuple[str, ...], *, turned: bool) -> SeenLink:
    quality, cost = link.quality, link.cost
    if turned:
        quality, cost = quality[::-1], cost[::-1]
    return SeenLink(link.usable, quality, link.metric, cost, 1, sources)


def _parallel(one: SeenLink, other: SeenLink) -> SeenLink:
    """Two links of one pair, kind and source: one direction each, or really two."""
    if _is_other_half(one, other):
        joined = _both(one, other)
        joined.parallel = one.parallel
        return joined
    best = max(one, other, key=lambda seen: (seen.up, _product(seen)))
    return replace(best, parallel=one.parallel + other.parallel)


def _is_other_half(one: SeenLink, other: SeenLink) -> bool:
    """Whether each knows a direction that the other does not: two ends speak of one link."""
    halves = [
        tuple(value is not None for value in seen.quality)
        if any(value is not None for value in seen.quality)
        else tuple(value is not None for value in seen.cost)
        for seen in (one, other)
    ]
    return sorted(halves) == [(False, True), (True, False)]


def _product(seen: SeenLink) -> float:
    there, back = seen.quality
    one = there if there is not None else back
    other = back if back is not None else there
    return 0.0 if one is None or other is None else one * other


def _both(one: SeenLink, other: SeenLink) -> SeenLink:
    """One link as two sources know it; the first is preferred where both know."""
    if one.up != other.up:  # the figures of the one that calls it down say nothing
        up = one if one.up else other
        return replace(
            up,
            parallel=max(one.parallel, other.parallel),
            sources=tuple(dict.fromkeys(one.sources + other.sources)),
        )
    same = one.metric == other.metric or not one.metric
    return SeenLink(
        one.up,
        _filled(one.quality, other.quality),
        one.metric or other.metric,
        _filled(one.cost, other.cost) if same else one.cost,
        max(one.parallel, other.parallel),
        tuple(dict.fromkeys(one.sources + other.sources)),
    )


def _filled(
    one: tuple[float | None, float | None], other: tuple[float | None, float | None]
) -> tuple[float | None, float | None]:
    there = one[0] if one[0] is not None else other[0]
    back = one[1] if one[1] is not None else other[1]
    return there, back


# -- the fields of a node ------------------------------------------------------------------------


def facts(name: str, seen: SeenNode, last: NetworkNode | None) -> NetworkNode:
    """What is known of the node `name`, after `last` was known."""
    node = seen.says[0][1] if len(seen.says) == 1 else _newest(seen)
    missing = {} if last is None else _still(node, last)
    if node.id != name or missing:
        node = replace(node, id=name, **missing)
    return node


def _still(node: NetworkNode, last: NetworkNode) -> dict[str, Any]:
    """The fields that nobody tells now, as they were last known."""
    known = {
        each: getattr(last, each)
        for each in SAID
        if getattr(node, each) in ABSENT and getattr(last, each) not in ABSENT
    }
    if not node.addresses and last.addresses:
        known["addresses"] = last.addresses
    return known


def _newest(seen: SeenNode) -> NetworkNode:
    """The node of several sources, see the module."""
    values: dict[str, Any] = {}
    for each in SAID:
        said = [
            (record.said(node.id, each), -order, getattr(node, each))
            for order, (record, node) in enumerate(seen.says)
            if getattr(node, each) not in ABSENT
        ]
        if said:
            values[each] = max(said, key=lambda word: word[:2])[2]
    by_time = sorted(seen.says, key=lambda one: one[0].word_at(one[1].id))
    telemetry: dict[str, float] = {}
    for _, node in by_time:
        telemetry.update(node.telemetry)
    clients = [node.clients for _, node in by_time if node.clients is not None]
    times = [node.seen_at for _, node in seen.says if node.seen_at is not None]
    return replace(
        seen.says[0][1],
        **values,
        addresses=tuple(dict.fromkeys(a for _, node in seen.says for a in node.addresses)),
        vpn=any(node.vpn for _, node in seen.says),
        clients=clients[-1] if clients else None,
        seen_at=max(times, default=None),
        telemetry=telemetry,
    )


def disputed(seen: SeenNode | None) -> Mapping[str, Mapping[str, object]]:
    """What each source says where they disagree, by field and source."""
    if seen is None or len(seen.says) < 2:
        return {}
    found: dict[str, dict[str, object]] = {}
    for each in SAID:
        words = {
            record.name: getattr(node, each)
            for record, node in seen.says
            if getattr(node, each) not in ABSENT
        }
        if len({repr(word) for word in words.values()}) > 1:
            found[each] = words
    return found
