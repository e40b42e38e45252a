"""Reads a network in whatever format it is described; the format is told by content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.topology.formats import meshviewer, metrics, netjson
from actors.topology.formats.document import Document, parse_json, text_of

if TYPE_CHECKING:
    from actors.topology.network import Reading

_GRAPHS: Final = ("NetworkGraph", "NetworkCollection")


def read(body: bytes, source: str, quality: str = metrics.AUTO) -> Reading:
    """Read a network from its bytes.

    Args:
        body: the document.
        source: what errors call it, without credentials.
        quality: one of `metrics.QUALITIES`.

    Raises:
        TopologyError: the body is in no known format, or lists no node.
    """
    document = Document(source, parse_json(text_of(body, source), source))
    root = document.root
    if not isinstance(root, dict):
        return _refuse(document)
    if root.get("type") in _GRAPHS:
        return netjson.read(document, quality)
    if "nodes" in root and "links" in root:
        if isinstance(root["nodes"], list) and not _has(root["nodes"], "node_id"):
            return netjson.read(document, quality)
        return meshviewer.read(document, quality)
    return _refuse(document)


def _has(records: list[object], key: str) -> bool:
    return any(isinstance(record, dict) and key in record for record in records)


def _refuse(document: Document) -> Reading:
    return document.refuse(
        "",
        "it is in no format that is known",
        "Point at meshviewer.json, nodes.json, NetJSON, or another format that the manual lists.",
    )
