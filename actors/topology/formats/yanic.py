"""What yanic writes besides meshviewer.json: `raw`, `raw-jsonl`, and the files of the old maps.

- `raw` is an object with `nodes`, each with the node's own words (`respondd`); `raw-jsonl` has the
  same nodes, one a line, after a first line that says so. No zero stands for the unknown in them.
- `nodes.json` (version 1: an object by node id, version 2: a list) has nodeinfo and statistics;
  the links are in `graph.json` beside it, between positions of `batadv.nodes`. `tq` is 255 / TQ,
  the better one of both directions, and 0 where it is not known. hopglass writes them too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from actors.topology.formats import metrics, respondd
from actors.topology.formats.collector import (
    DANGLING,
    NO_RECORDS,
    STRANGE_QUALITIES,
    Collector,
)
from actors.topology.formats.document import MAX_RECORDS, Document, refuse
from actors.topology.formats.fields import finite, moment, type_name
from actors.topology.link_kinds import VPN
from actors.topology.network import NetworkLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.network import Reading

RAW: Final = "yanic raw"
LINES: Final = "raw-nodes-jsonl"  # as the first line of the file calls it
OLD: Final = "nodes.json and graph.json"


def read_raw(document: Document) -> Reading:
    """Read yanic's `raw`.

    Raises:
        TopologyError: it lists no node.
    """
    nodes = document.records(document.root, "nodes")
    responses = ((f"nodes[{at}]", node) for at, node in enumerate(nodes))
    made_at = moment(document.root.get("updated_at"))
    return respondd.read_responses(responses, document.source, RAW, made_at)


def is_lines(text: str) -> bool:
    """Whether a text is yanic's `raw-jsonl`: by its first line."""
    try:
        first = json.loads(text.split("\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("format") == LINES


def read_lines(text: str, source: str) -> Reading:
    """Read yanic's `raw-jsonl`; a line that cannot be read costs that line.

    Raises:
        TopologyError: it lists no node.
    """
    lines = text.splitlines()
    if len(lines) > MAX_RECORDS:
        refuse(source, "", f"it has {len(lines)} lines", f"Give at most {MAX_RECORDS}.")
    made_at = moment(json.loads(lines[0]).get("updated_at"))
    responses = (
        (f"line {at}", _line(line)) for at, line in enumerate(lines[1:], 2) if line.strip()
    )
    return respondd.read_responses(responses, source, RAW, made_at)


def _line(line: str) -> object:
    """The value of a line; what is no JSON is no object either."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def read_old(nodes: Document, graph: Document) -> Reading:
    """Read `nodes.json` and `graph.json`.

    Raises:
        TopologyError: one of them has not what it must have.
    """
    collector = Collector(nodes.source, OLD)
    for key, record, entry in _node_records(nodes):
        if isinstance(record, dict):
            respondd.add_node(collector, collector.fields(record, entry), entry, key)
        else:
            collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
    batadv = graph.root.get("batadv")
    ends = [_end(collector, node) for node in graph.records(batadv, "nodes", "batadv.nodes")]
    for at, link in enumerate(graph.records(batadv, "links", "batadv.links")):
        _add_link(collector, link, f"batadv.links[{at}]", ends)
    return collector.reading(moment(nodes.root.get("timestamp")))


def _node_records(document: Document) -> Iterator[tuple[object, Any, str]]:
    nodes = document.root["nodes"]
    if isinstance(nodes, dict):
        for key, record in nodes.items():
            yield key, record, f"nodes[{key[:40]!a}]"
        return
    for at, record in enumerate(document.bounded(nodes, "nodes")):
        yield None, record, f"nodes[{at}]"


def _end(collector: Collector, node: object) -> str | None:
    """Id of a node of the graph: by its id, or by an address; None if no node has it."""
    if not isinstance(node, dict):
        return None
    return collector.node_of(node.get("node_id")) or collector.node_of(node.get("id"))


def _at(ends: list[str | None], position: object) -> str | None:
    if isinstance(position, int) and not isinstance(position, bool) and 0 <= position < len(ends):
        return ends[position]
    return None


def _add_link(collector: Collector, link: object, entry: str, ends: list[str | None]) -> None:
    if not isinstance(link, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(link)}")
        return
    pair = [_at(ends, link.get(key)) for key in ("source", "target")]
    for key, end in zip(("source", "target"), pair, strict=True):
        if end is None:
            collector.leave_out(DANGLING, entry, f"{key} {link.get(key)!r:.40} is no known node")
            return
    joined = collector.ends(pair[0], pair[1], entry)
    if joined is None:
        return
    fields = collector.fields(link, entry)
    tq = finite(link.get("tq"))
    quality = None if tq is None else metrics.of_inverse_tq(tq)
    if quality is None:
        collector.alter(STRANGE_QUALITIES, entry, "it has no tq of at least 1: not known")
    # Of a link that one end reports, nobody knows which; the figure is its only one.
    both = fields.flag("bidirect") is not False
    kind = VPN if fields.flag("vpn") else fields.text("type") or "other"
    collector.add_link(
        NetworkLink(
            *joined, (quality, quality if both else None), kind, metric=metrics.TQ, cost=(tq, None)
        )
    )
