"""The morning's digest: what got worse since a day ago, and what was wrong meanwhile.

Pure. It compares two samples, so what failed and came back in between is told by its incidents
alone. A quality, or anything else, that is not known at one of both moments has not got worse.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from actors.history.event_store import EventQuery
from actors.runtime.alerting import Alert, AlertName
from actors.topology.events import EventKind
from actors.topology.naming import label, link_label
from actors.topology.samples import UP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, tzinfo

    import pyarrow as pa

    from actors.history.archive import Archive, Compared
    from actors.history.differences import Difference
    from actors.topology.events import RecordedEvent
    from actors.topology.provenance import Network

MOST_EVENTS: Final = 100_000  # that are counted, the newest of them
LISTED: Final = 15  # most lines of one kind
DAY_S: Final = 86_400.0
BEGINS: Final = {EventKind.NODE_SILENT, EventKind.NODE_GONE, EventKind.NODE_CUT_OFF}
# What is counted of the time between both moments, in words for one and for many.
COUNTED: Final = {
    EventKind.GATEWAY_LOST: ("loss of a gateway", "losses of a gateway"),
    EventKind.SPLIT: ("split", "splits"),
    EventKind.INCIDENT_OPENED: ("incident", "incidents"),
    EventKind.NODE_SILENT: ("node fell silent", "times a node fell silent"),
    EventKind.LINK_DOWN: ("link went down", "times a link went down"),
}


@dataclass(frozen=True, slots=True)
class Digest:
    """What got worse.

    Attributes:
        summary: one sentence.
        lines: what got worse, the worst first, and what happened meanwhile.
        worse: number of nodes and links that got worse.
        better: number of nodes and links that got better.
    """

    summary: str
    lines: tuple[str, ...]
    worse: int
    better: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON tells it."""
        return {
            "summary": self.summary,
            "lines": list(self.lines),
            "worse": self.worse,
            "better": self.better,
        }


def digest(
    compared: Compared, events: Sequence[RecordedEvent], zone: tzinfo | None = None
) -> Digest:
    """What got worse between two moments.

    Args:
        compared: the network at both.
        events: of this network between them, in the order in which they happened.
        zone: in which times are told; None: this machine's.
    """
    since = {
        node: each.event.at
        for each in events
        if each.event.kind in BEGINS
        for node in each.event.nodes
    }
    nodes = [one for one in compared.found.nodes if _got_worse(one)]
    links = [one for one in compared.found.links if _got_worse(one)]
    links.sort(key=_loss, reverse=True)
    everything = (*compared.found.nodes, *compared.found.links)
    better = sum(_got_better(one) for one in everything)
    lines = [
        *_listed((_of_node(one, since.get(one.of[0]), zone) for one in nodes), len(nodes), "nodes"),
        *_listed(map(_of_link, links), len(links), "links"),
        *_meanwhile(events),
    ]
    if better:
        lines.append(f"Better than before: {better}.")
    return Digest(
        _summary(compared, len(nodes), len(links)), tuple(lines), len(nodes) + len(links), better
    )


def of_day(archive: Archive, network: Network, now: float, zone: tzinfo | None = None) -> Digest:
    """What got worse in the day before a Unix time, s, read from the history.

    Raises:
        NoHistory: it has no sample near one of both moments.
    """
    compared = archive.compared(network, now - DAY_S, now)
    query = EventQuery(
        since=compared.before.at,
        until=now,
        kinds=tuple(COUNTED.keys() | BEGINS),
        network=network,
        limit=MOST_EVENTS,
        newest=True,
    )
    return digest(compared, archive.events.find(query), zone)


def not_known(network: Network, why: str) -> Digest:
    """That it is not known what got worse."""
    return Digest(f"The {network.value} network: what got worse is not known.", (why,), 0, 0)


def alert(told: Digest, network: Network, day: date, at: float) -> Alert:
    """The digest as people are told it, once a day.

    Args:
        told: the digest.
        network: which network it is of.
        day: of which day it is.
        at: Unix time of its later moment, s.
    """
    return Alert(
        AlertName.MORNING_DIGEST,
        f"{network.value}:{day}",
        told.summary,
        at,
        labels={"network": network.value},
        details=told.lines,
        link=f"/v1/history/diff?since=24h&network={network.value}",
        momentary=True,
    )


def _summary(compared: Compared, nodes: int, links: int) -> str:
    now, before = compared.now, compared.before
    up, total = _up(now.nodes), now.nodes.num_rows
    state = f"{up} of {total} nodes are up, {_up(before.nodes)} of {before.nodes.num_rows} were"
    parts = [_count(nodes, "node"), _count(links, "link")]
    said = " and ".join(part for part in parts if part) or "nothing"
    return f"The {now.network.value} network: {said} got worse; {state}."


def _count(number: int, what: str) -> str:
    return "" if not number else f"{number} {what}" + ("" if number == 1 else "s")


def _up(table: pa.Table) -> int:
    return int(table["state"].to_pylist().count(UP))


def _got_worse(one: Difference) -> bool:
    if one.what == "quality":
        return _loss(one) > 0
    return bool(one.before == UP and one.now != UP and one.what in {"state", "left", "gone"})


def _got_better(one: Difference) -> bool:
    if one.what == "quality":
        return _loss(one) < 0
    return bool(one.now == UP and one.before != UP)


def _loss(one: Difference) -> float:
    """How much worse a link is: by 1 for a state, by the direction that moved most for quality."""
    if one.what != "quality":
        return 1.0
    pairs = zip(one.before, one.now, strict=True)
    return max((was - now for was, now in pairs if None not in {was, now}), key=abs, default=0.0)


def _of_node(one: Difference, since: float | None, zone: tzinfo | None) -> str:
    what = "left the map" if one.now is None else f"is {one.now}"
    began = "" if since is None else f" since {_clock(since, zone)}"
    return f"Node {label(one.of[0], one.names[0])} {what}{began}."


def _of_link(one: Difference) -> str:
    a, b = (label(node, name) for node, name in zip(one.of[:2], one.names, strict=True))
    name = f"Link {link_label(a, b)}"
    if one.what != "quality":
        return f"{name} " + ("is gone." if one.now is None else f"is {one.now}.")
    ways = zip((f"{a} to {b}", f"{b} to {a}"), one.before, one.now, strict=True)
    told = [f"{way} {was:.2f} -> {now:.2f}" for way, was, now in ways if None not in {was, now}]
    return f"{name} got worse: {', '.join(told)}."


def _listed(lines: Iterable[str], number: int, what: str) -> Iterator[str]:
    for at, line in enumerate(lines):
        if at == LISTED:
            yield f"And {number - LISTED} more {what}."
            return
        yield line


def _meanwhile(events: Iterable[RecordedEvent]) -> Iterator[str]:
    counts = Counter(each.event.kind for each in events)
    said = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, (one, many) in COUNTED.items()
        if counts[kind]
    ]
    if said:
        yield f"Meanwhile: {', '.join(said)}."


def _clock(at: float, zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone(zone):%H:%M %Z}"
