"""One reading of a source in figures and words: what is in it, what is left out, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobs.terminal.reporting import pairs, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from actors.observe.sources.source_kinds import SourceKind
    from actors.runtime.errors import X0Error
    from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading

EXAMPLES: Final = 3  # of one reason
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def kinds(known: Sequence[SourceKind]) -> Iterator[RenderableType | str]:
    """The table of kinds."""
    for kind in known:
        yield f"{kind.name}:{kind.where}"
        yield f"  {kind.reads}"
        yield f"  x0 source test '{kind.example}'"
    yield ""
    yield "A bare path or http(s) URL is a map. A file of sources (--sources) has options for each."


def summary(
    kind: str, reading: Reading, took_s: float, now: float, held_above: float
) -> dict[str, Any]:
    """What a reading has.

    Args:
        kind: of the source.
        reading: the reading.
        took_s: time that the poll took, s.
        now: Unix time, s.
        held_above: share of records left out above which an observer holds it.
    """
    share = reading.share_left_out
    return {
        "source": reading.source,
        "kind": kind,
        "format": reading.format,
        "took_s": round(took_s, 3),
        "made_at": reading.made_at,
        "age_s": None if reading.made_at is None else round(now - reading.made_at, 3),
        "nodes": _nodes(reading.nodes),
        "links": _links(reading.links),
        "records": reading.records,
        "left_out": len(reading.left_out),
        "share_left_out": round(share, 6),
        "would_be_held": share > held_above,
        "held_above": held_above,
        "reasons": _reasons(reading.left_out),
        "altered": _reasons(reading.altered),
        "notes": list(reading.notes),
    }


def failed(name: str, kind: str, error: X0Error) -> dict[str, Any]:
    """A source that could not be read."""
    told = {"what": error.what, "why": error.why, "remedy": error.remedy}
    return {"source": name, "kind": kind, "error": told}


def readable(found: Mapping[str, Any]) -> Iterator[RenderableType | str]:
    """A summary for a person."""
    nodes, links = found["nodes"], found["links"]
    yield pairs(
        found["source"],
        {
            "read": f"as {found['format']}, in {found['took_s']:.1f} s{_age(found['age_s'])}",
            "nodes": _words(
                nodes, "total", "online", "offline", "online_unknown", "named", "located"
            ),
            "gateways": f"{nodes['gateways']:,}"
            + (f"; not told of {nodes['gateway_unknown']:,}" if nodes["gateway_unknown"] else ""),
            "clients": "not told" if nodes["clients"] is None else f"{nodes['clients']:,}",
            "links": _words(links, "total", "up", "down"),
            "quality": _words(links, "", "both_known", "one_known", "none_known"),
            "kinds": ", ".join(f"{n:,} {name}" for name, n in links["kinds"].items()) or "none",
        },
    )
    if found["left_out"]:
        title = f"Left out: {found['left_out']:,} of {found['records']:,} records"
        share = f"{100 * found['share_left_out']:.1f} % for a fault"
        yield _table(f"{title}, {share}", found["reasons"])
    else:
        yield f"Nothing is left out of {found['records']:,} records."
    if found["altered"]:
        yield _table("Used, but not as it stands", found["altered"])
    for note in found["notes"]:
        yield f"- {note}"
    if found["would_be_held"]:
        yield (
            f"A watch would hold this: more than {100 * found['held_above']:g} % of it is left "
            "out, so the last good map would stay."
        )


def _nodes(nodes: Sequence[NetworkNode]) -> dict[str, Any]:
    clients = [node.clients for node in nodes if node.clients is not None]
    return {
        "total": len(nodes),
        "online": sum(node.online is True for node in nodes),
        "offline": sum(node.online is False for node in nodes),
        "online_unknown": sum(node.online is None for node in nodes),
        "named": sum(bool(node.name) for node in nodes),
        "located": sum(node.location is not None for node in nodes),
        "gateways": sum(node.gateway is True for node in nodes),
        "gateway_unknown": sum(node.gateway is None for node in nodes),
        "clients": sum(clients) if clients else None,
    }


def _links(links: Sequence[NetworkLink]) -> dict[str, Any]:
    known = [2 - link.quality.count(None) for link in links]
    names = [link.kind for link in links]
    return {
        "total": len(links),
        "up": sum(link.usable for link in links),
        "down": sum(not link.usable for link in links),
        "both_known": known.count(2),
        "one_known": known.count(1),
        "none_known": known.count(0),
        "kinds": {name: names.count(name) for name in sorted(set(names))},
    }


def _reasons(entries: Sequence[LeftOut]) -> list[dict[str, Any]]:
    """Entries by their reason, the most frequent first."""
    grouped: dict[str, list[LeftOut]] = {}
    for entry in entries:
        grouped.setdefault(entry.reason, []).append(entry)
    return [
        {
            "reason": reason,
            "count": len(alike),
            "examples": [{"entry": one.entry, "why": one.why} for one in alike[:EXAMPLES]],
        }
        for reason, alike in sorted(grouped.items(), key=lambda pair: -len(pair[1]))
    ]


def _table(title: str, reasons: Sequence[Mapping[str, Any]]) -> RenderableType:
    rows = [
        (
            reason["count"],
            reason["reason"],
            "; ".join(f"{one['entry']}: {one['why']}" for one in reason["examples"]),
        )
        for reason in reasons
    ]
    return table(title, ("count", "what", "for example"), rows)


def _words(figures: Mapping[str, Any], first: str, *names: str) -> str:
    """`20: 18 online, 2 offline`; what is 0 is left out."""
    parts = [f"{figures[name]:,} {_SAID[name]}" for name in names if figures[name]]
    head = [f"{figures[first]:,}"] if first else []
    return ": ".join([*head, *filter(None, [", ".join(parts)])]) or "none"


_SAID: Final = {
    "online": "online",
    "offline": "offline",
    "online_unknown": "not told whether online",
    "named": "with a name",
    "located": "with a place",
    "up": "up",
    "down": "down",
    "both_known": "known both ways",
    "one_known": "known one way",
    "none_known": "not known",
}


def _age(age_s: float | None) -> str:
    if age_s is None:
        return "; it does not tell its time"
    ahead = age_s < -1
    left = abs(age_s)
    for unit, name in _UNITS:
        if left >= unit or unit == 1:
            said = f"{left / unit:.0f} {name}"
            return f"; its clock is {said} ahead of ours" if ahead else f"; {said} old"
    raise AssertionError("a time is at least 0 s")
