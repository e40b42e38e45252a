"""Incidents as events of the history, and back: after a restart those go on that were open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.topology import naming
from actors.topology.events import EventKind, EventSeverity, NetworkEvent
from serve_apps.inference.incidents import ChangeKind, HalfLink, Incident, Phase, Trace
from serve_apps.inference.live_root_cause import Cause, RootCause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serve_apps.inference.incidents import Change

LISTED: Final = 100  # most links, and most silent nodes, that an event lists
KINDS: Final = {
    ChangeKind.OPENED: EventKind.INCIDENT_OPENED,
    ChangeKind.CHANGED: EventKind.INCIDENT_CHANGED,
    ChangeKind.CLOSED: EventKind.INCIDENT_CLOSED,
}


def event(change: Change, number: int, at: float, names: Mapping[str, str]) -> NetworkEvent:
    """What has become of an incident, as an event.

    Args:
        change: what has become of it.
        number: of the event.
        at: Unix time, s.
        names: host names by node id.
    """
    incident = change.incident
    root = incident.root
    link = None if root is None else root.link
    nodes = [] if root is None else [each.node for each in root.nodes]
    return NetworkEvent(
        number,
        at,
        KINDS[change.kind],
        _severity(change),
        tuple(dict.fromkeys([*nodes, *incident.dark]))[:LISTED],
        link,
        in_words(change, names),
        told(change.incident, names),
    )


def _severity(change: Change) -> EventSeverity:
    if change.kind is ChangeKind.CLOSED:
        return EventSeverity.INFO
    return EventSeverity.CRITICAL if change.incident.dark else EventSeverity.WARNING


# -- words -----------------------------------------------------------------------------------------


def in_words(change: Change, names: Mapping[str, str]) -> str:
    """What has become of an incident, in a sentence with names."""
    incident, cause = change.incident, cause_in_words(change.incident, names)
    if change.kind is ChangeKind.CLOSED:
        lasted = max(0.0, incident.seen_at - incident.opened_at)
        return f"incident over after {lasted:.0f} s, {incident.why_closed}: {cause}"
    begin = "incident" if change.kind is ChangeKind.OPENED else "incident, judged anew"
    return f"{begin}: {cause}; {evidence_in_words(incident)}"


def cause_in_words(incident: Incident, names: Mapping[str, str]) -> str:
    """What an incident comes from, with names."""
    root = incident.root

    def label(node: str) -> str:
        return naming.label(node, names.get(node, ""))

    if root is None or not root.nodes:
        return "its cause is not known"
    if root.cause is Cause.OUTSIDE:
        return f"nothing in the network explains it ({root.outside:.0%})"
    if root.link is not None:
        hears, heard = map(label, root.link)
        if root.one_way:
            return f"link {naming.link_label(hears, heard)}, in what {hears} hears"
        return f"link {naming.link_label(hears, heard)}"
    best = root.nodes[0]
    silent = ", silent" if best.node in incident.dark else ""
    return f"node {label(best.node)}{silent} ({best.confidence:.0%})"


def evidence_in_words(incident: Incident) -> str:
    """How much is disturbed."""
    links = {half.link for half in incident.halves}
    down = {half.link for half, trace in incident.halves.items() if trace.strength >= 1.0}
    counts = (
        (len(down), "link is down", "links are down"),
        (len(links - down), "link is worse than usual", "links are worse than usual"),
        (len(incident.dark), "node is silent", "nodes are silent"),
    )
    said = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(said)


# -- data ------------------------------------------------------------------------------------------


def told(incident: Incident, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """An incident with its evidence and a sentence about it, for JSON.

    Args:
        incident: as it is now.
        names: host names of nodes by id, as far as they are known.
    """
    text = f"{cause_in_words(incident, names or {})}; {evidence_in_words(incident)}"
    return {"text": text.rstrip("; "), **as_dict(incident)}


def as_dict(incident: Incident) -> dict[str, Any]:
    """An incident with its evidence, for JSON."""
    halves = sorted(incident.halves.items(), key=lambda item: -item[1].strength)
    return {
        "incident": incident.id,
        "phase": incident.phase.value,
        "since": incident.opened_at,
        "root": None if incident.root is None else incident.root.as_dict(),
        "links_disturbed": len({half.link for half in incident.halves}),
        "links": [_of_half(incident, half, trace) for half, trace in halves[:LISTED]],
        "silent": dict(list(incident.dark.items())[:LISTED]),
        "returns": incident.returns,
        "features": list(incident.known),
        "why": incident.why_closed,
    }


def _of_half(incident: Incident, half: HalfLink, trace: Trace) -> dict[str, Any]:
    ends = incident.ends[half.link]
    return {
        "id": half.link,
        "heard_by": ends[half.end],
        "from": ends[1 - half.end],
        "end": half.end,
        "since": trace.since,
        "strength": round(trace.strength, 3),
        "usual": trace.usual,
        "now": trace.now,
        **({} if trace.missing is None else {"missing": trace.missing}),
    }


# -- and back --------------------------------------------------------------------------------------


def still_open(events: Iterable[NetworkEvent]) -> list[Incident]:
    """The incidents that were open after these events, the oldest first.

    What was not listed is not known any more. An event that cannot be read is skipped.

    Args:
        events: in the order in which they happened; of other kinds, too.
    """
    found: dict[str, Incident] = {}
    for each in events:
        name = each.data.get("incident")
        if not isinstance(name, str):
            continue
        if each.kind is EventKind.INCIDENT_CLOSED:
            found.pop(name, None)
        elif each.kind in KINDS.values():
            try:
                found[name] = _incident(name, each)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
    return sorted(found.values(), key=lambda one: one.opened_at)


def _incident(name: str, told: NetworkEvent) -> Incident:
    data = told.data
    incident = Incident(name, float(data["since"]), Phase.SETTLED, seen_at=told.at)
    for each in data["links"]:
        end = int(each["end"])
        pair = str(each["from"]), str(each["heard_by"])
        incident.ends[str(each["id"])] = pair if end else pair[::-1]
        incident.halves[HalfLink(str(each["id"]), end)] = Trace(
            float(each["since"]),
            float(each["strength"]),
            float(each["strength"]),
            each["usual"],
            each["now"],
            each.get("missing"),
        )
    incident.dark = {str(node): float(since) for node, since in data["silent"].items()}
    incident.was_dark = {*incident.dark}
    incident.returns = int(data["returns"])
    incident.told_size = incident.size
    incident.root = RootCause.of(data["root"])
    return incident
