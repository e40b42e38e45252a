"""What one event says is wrong in a network, or is over: faults that begin and that end (pure).

A fault is one thing that lasts: a node is silent, a node reaches no gateway, a source is stale. All
that is known of an alert about a network is derived from the faults that last.

Events of an observed network say the new state of each node that changed (`data.states`); those of
an emulated mesh say it by their kind. Both may say how the whole network stands after them
(`data.now`): what does not exist any more is over, even if an event that lists much was cut short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.topology.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.topology.events import NetworkEvent


class FaultKind(StrEnum):
    """The kinds of fault."""

    SILENT = "silent"
    GONE = "gone"
    CUT_OFF = "cut_off"  # it works, and no path leads to it
    NO_GATEWAY = "no_gateway"
    SHARD_DOWN = "shard_down"
    SOURCE_STALE = "source_stale"
    SOURCE_HELD = "source_held"
    SOURCE_FAILED = "source_failed"
    INCIDENT = "incident"
    LINKS_DOWN = "links_down"


AWAY: Final = (FaultKind.SILENT, FaultKind.GONE)
OF_NODES: Final = (*AWAY, FaultKind.CUT_OFF, FaultKind.NO_GATEWAY)
OF_SOURCES: Final = (FaultKind.SOURCE_STALE, FaultKind.SOURCE_HELD, FaultKind.SOURCE_FAILED)


class FaultKey(NamedTuple):
    """Names a fault within its network."""

    kind: FaultKind
    subject: str  # id of the node, name of the shard or source, id of the incident; "" of links

    @property
    def owned(self) -> str:
        """What only one thread is about at a time; "" if others may be, too."""
        if self.kind in OF_NODES:
            return self.subject
        if self.kind in OF_SOURCES:
            return f"source {self.subject}"
        return f"shard {self.subject}" if self.kind is FaultKind.SHARD_DOWN else ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong and lasts.

    Attributes:
        key: names it.
        since: Unix time, s.
        data: what is known of it, as JSON. Nodes that it `claims` are what its thread is about,
            unless they are another's.
    """

    key: FaultKey
    since: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Effect:
    """What an event says.

    Attributes:
        begins: faults that begin, or of which more is known.
        ends: what is over.
        touches: ids of nodes that it concerns, those beside a failed one included.
        strangers: ids of nodes that have joined and do not work: nobody has relied on them.
        well: ids of nodes that work, or have left.
        note: something that has happened and does not last, as a sentence.
        sides: the parts that a split has made, largest first: number of `nodes`, `ids`, and names
            by id as far as they are `named`.
    """

    begins: list[Fault] = field(default_factory=list)
    ends: set[FaultKey] = field(default_factory=set)
    touches: set[str] = field(default_factory=set)
    strangers: set[str] = field(default_factory=set)
    well: set[str] = field(default_factory=set)
    note: str = ""
    sides: Sequence[Mapping[str, Any]] = ()

    def begin(self, kind: FaultKind, subject: str, since: float, **data: object) -> None:
        """Note that a fault begins; what is None is not known."""
        known = {name: value for name, value in data.items() if value is not None}
        self.begins.append(Fault(FaultKey(kind, subject), since, known))
        self.ends.discard(FaultKey(kind, subject))

    def end(self, subjects: Iterable[str], kinds: Iterable[FaultKind]) -> None:
        """Note that faults are over."""
        kinds = tuple(kinds)
        self.ends.update(FaultKey(kind, subject) for subject in subjects for kind in kinds)


def read(event: NetworkEvent) -> Effect:
    """What an event says is wrong, or over."""
    effect = Effect(touches={*event.nodes, *(event.link or ())})
    states = event.data.get("states")
    if isinstance(states, dict):
        _take_states(event, states, effect)
    reader = _READERS.get(event.kind)
    if reader is not None:
        reader(event, effect)
    links = event.data.get("links")
    if isinstance(links, dict):
        effect.touches.update(end for ends in links.values() for link in ends for end in link[:2])
    effect.touches.update(event.data.get("neighbours", ()))
    return effect


def over_by_now(event: NetworkEvent) -> tuple[FaultKind, ...]:
    """Kinds of fault that no node of the whole network has after an event."""
    now = event.data.get("now")
    if not isinstance(now, dict):
        return ()
    over: list[FaultKind] = []
    if now.get("silent") == 0:
        over += AWAY
    if now.get("parts") == 1:
        over.append(FaultKind.CUT_OFF)
    if now.get("without_gateway") == 0:
        over.append(FaultKind.NO_GATEWAY)
    return tuple(over)


# -- nodes -----------------------------------------------------------------------------------------

_STATES: Final = {"silent": FaultKind.SILENT, "gone": FaultKind.GONE, "cut_off": FaultKind.CUT_OFF}
_BY_STATE: Final = (*AWAY, FaultKind.CUT_OFF)


def _take_states(event: NetworkEvent, states: Mapping[str, Any], effect: Effect) -> None:
    """Take over the states that an observer tells. Of what is unknown, nothing changes."""
    for state, nodes in states.items():
        if state in ("retired", "up"):
            effect.well.update(nodes)
            effect.end(nodes, OF_NODES if state == "retired" else _BY_STATE)
        elif event.kind is EventKind.NODE_JOINED:
            effect.strangers.update(nodes)
        elif state in _STATES:
            kind = _STATES[state]
            effect.end(nodes, [other for other in _BY_STATE if other is not kind])
            for node in nodes:
                effect.begin(kind, node, event.at, **_known_of(event, node))


def _known_of(event: NetworkEvent, node: str) -> dict[str, Any]:
    """What an event tells about one of its nodes."""
    data = event.data
    alone = tuple(event.nodes) == (node,)
    return {
        "name": (data.get("named") or {}).get(node),
        "gateway": True if node in data.get("gateways", ()) else None,
        "clients": (data.get("clients_of") or {}).get(node),
        "neighbours": data.get("neighbours") if alone else None,
    }


def _silent(event: NetworkEvent, effect: Effect) -> None:
    if "states" in event.data:
        return  # an observer's: they are read already
    kind = FaultKind.SILENT if event.kind is EventKind.NODE_SILENT else FaultKind.GONE
    for node in event.nodes:
        effect.end([node], (FaultKind.CUT_OFF, FaultKind.NO_GATEWAY))
        effect.begin(kind, node, event.at, **_known_of(event, node))


def _back(event: NetworkEvent, effect: Effect) -> None:
    if "states" in event.data:
        return
    effect.end(event.nodes, AWAY)
    for node in event.nodes:
        if event.data.get("cut_off"):
            effect.begin(FaultKind.CUT_OFF, node, event.at, **_known_of(event, node))
        if event.data.get("no_gateway"):
            effect.begin(FaultKind.NO_GATEWAY, node, event.at, **_known_of(event, node))


def _retired(event: NetworkEvent, effect: Effect) -> None:
    effect.end(event.nodes, OF_NODES)


def _split(event: NetworkEvent, effect: Effect) -> None:
    told = event.data.get("sides", ())
    effect.sides = [_side(side, event.data.get("named") or {}) for side in told]
    if "states" in event.data:
        return
    if any(isinstance(side, list) for side in told):  # an observer's: every part has a gateway
        effect.note = event.what
        return
    for side in effect.sides[1:]:
        for node in side["ids"]:
            effect.begin(FaultKind.CUT_OFF, node, event.at, **_known_of(event, node))


def _side(side: Any, named: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401 - JSON of either
    if isinstance(side, list):
        return {"nodes": len(side), "ids": side, "named": named}
    return {"nodes": int(side["nodes"]), "ids": side["ids"], "named": side.get("named", {})}


def _rejoined(event: NetworkEvent, effect: Effect) -> None:
    if event.data.get("main") is not True:  # an observer's states say it
        return
    for side in event.data.get("sides", ()):
        effect.end(side["ids"], [FaultKind.CUT_OFF])
    effect.end(event.nodes, [FaultKind.CUT_OFF])


def _gateway_lost(event: NetworkEvent, effect: Effect) -> None:
    effect.touches.update(event.data.get("reached", ()))
    more = event.data.get("count", len(event.nodes)) - len(event.nodes)
    for place, node in enumerate(event.nodes):
        known = _known_of(event, node)
        if not place and more > 0:
            known["unlisted"] = more
        effect.begin(FaultKind.NO_GATEWAY, node, event.at, **known)


def _gateway_back(event: NetworkEvent, effect: Effect) -> None:
    effect.end(event.nodes, [FaultKind.NO_GATEWAY])


# -- sources, shards, incidents --------------------------------------------------------------------


def _source(kind: FaultKind, *, begins: bool) -> Callable[[NetworkEvent, Effect], None]:
    def take(event: NetworkEvent, effect: Effect) -> None:
        name = str(event.data["source"])
        # The nodes that a source knows of are not at fault: they do not tie faults together.
        effect.touches = {f"source {name}"}
        if begins:
            why = event.data.get("why")
            effect.begin(kind, name, event.at, why=why, nodes=len(event.nodes) or None)
        else:
            effect.end([name], [kind])

    return take


def _shard_down(event: NetworkEvent, effect: Effect) -> None:
    name = str(event.data["shard"])
    effect.touches.add(f"shard {name}")
    hosts = list(event.data.get("hosts", ()))
    effect.touches.update(hosts)
    effect.begin(
        FaultKind.SHARD_DOWN, name, event.at, why=event.data.get("why"), claims=hosts or None
    )


def _shard_back(event: NetworkEvent, effect: Effect) -> None:
    name = str(event.data["shard"])
    effect.touches.add(f"shard {name}")
    effect.end([name], [FaultKind.SHARD_DOWN])
    if event.kind is EventKind.SHARD_RESTARTED:
        effect.note = event.what


def _incident(event: NetworkEvent, effect: Effect) -> None:
    data = event.data
    name = str(data["incident"])
    ends = {each[end] for each in data.get("links", ()) for end in ("heard_by", "from")}
    effect.touches |= ends | set(data.get("silent", ()))
    if event.kind is EventKind.INCIDENT_CLOSED:
        effect.end([name], [FaultKind.INCIDENT])
        return
    root = data.get("root") or {}
    effect.begin(
        FaultKind.INCIDENT,
        name,
        float(data["since"]),
        what=data.get("text", event.what),
        found=bool(root.get("nodes")),
        claims=[*(event.link or event.nodes[:1])],
    )


def _drill(event: NetworkEvent, effect: Effect) -> None:
    """A drill that ended: routes may have been whole too late, or never again."""
    if "bound_s" not in event.data:
        return
    healed, bound = event.data["healed_s"], float(event.data["bound_s"])
    if healed is None:
        effect.note = f"{event.what}; within {bound:.1f} s they must be"
    elif float(healed) > bound:
        effect.note = f"routes were whole {healed:.1f} s after the fault, later than {bound:.1f} s"


_READERS: Final[Mapping[EventKind, Callable[[NetworkEvent, Effect], None]]] = {
    EventKind.NODE_SILENT: _silent,
    EventKind.NODE_GONE: _silent,
    EventKind.NODE_BACK: _back,
    EventKind.NODE_RETIRED: _retired,
    EventKind.SPLIT: _split,
    EventKind.REJOINED: _rejoined,
    EventKind.GATEWAY_LOST: _gateway_lost,
    EventKind.GATEWAY_BACK: _gateway_back,
    EventKind.MAP_STALE: _source(FaultKind.SOURCE_STALE, begins=True),
    EventKind.MAP_FRESH: _source(FaultKind.SOURCE_STALE, begins=False),
    EventKind.MAP_HELD: _source(FaultKind.SOURCE_HELD, begins=True),
    EventKind.MAP_ACCEPTED: _source(FaultKind.SOURCE_HELD, begins=False),
    EventKind.SOURCE_FAILED: _source(FaultKind.SOURCE_FAILED, begins=True),
    EventKind.SOURCE_BACK: _source(FaultKind.SOURCE_FAILED, begins=False),
    EventKind.SHARD_DOWN: _shard_down,
    EventKind.SHARD_BACK: _shard_back,
    EventKind.SHARD_RESTARTED: _shard_back,
    EventKind.DRILL: _drill,
    EventKind.INCIDENT_OPENED: _incident,
    EventKind.INCIDENT_CHANGED: _incident,
    EventKind.INCIDENT_CLOSED: _incident,
}
