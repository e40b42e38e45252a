"""Reads a network in whatever format it is described; the format is told by content.

Some networks are described by two documents: `nodes.json` and `graph.json`, `nodes.csv` and
`links.csv`. `beside` says which other one a document needs, by its own name.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from actors.topology.fetch import shown
from actors.topology.formats import (
    batman,
    meshviewer,
    metrics,
    netjson,
    olsr,
    openwisp,
    respondd,
    tables,
    yanic,
)
from actors.topology.formats.document import Document, parse_json, refuse, text_of
from actors.topology.formats.fields import type_name

if TYPE_CHECKING:
    from actors.topology.network import Reading

_GRAPHS: Final = (netjson.GRAPH, netjson.COLLECTION)
_BY_KEY: Final = {"vis": batman.read_vis, "topology": olsr.read}
OF_ONE_NODE: Final = (openwisp.FORMAT, respondd.FORMAT)
"""Formats of what one node says of itself and its links, and of nothing else."""
_BY_TYPE: Final = {openwisp.TYPE: openwisp.read_push}
_REMEDY: Final = "Point at a map in one of the formats that README.md lists, uncompressed."


@dataclass(frozen=True, slots=True)
class Companion:
    """The other one of two documents that describe a network together.

    Attributes:
        location: where it is by its usual name: a path or URL.
        needed: False if the network can be read without it.
    """

    location: str
    needed: bool


def beside(body: bytes, location: str) -> Companion | None:
    """The document that belongs to this one; None if this one is complete.

    Args:
        body: the document.
        location: its path or URL.

    Raises:
        TopologyError: the document is in no known format.
    """
    name = shown(location)
    text = text_of(body, name)
    names = _columns(text)
    if names:
        if tables.is_links(names):
            return Companion(_sibling(location, "links", "nodes"), needed=False)
        return Companion(_sibling(location, "nodes", "links"), needed=True)
    # Most maps are complete, and parsing takes time.
    if yanic.is_lines(text) or not any(word in text for word in ('"nodeinfo"', '"batadv"')):
        return None
    root = parse_json(text, name)
    if _is_old_nodes(root):
        return Companion(_sibling(location, "nodes", "graph"), needed=True)
    if _is_old_graph(root):
        return Companion(_sibling(location, "graph", "nodes"), needed=True)
    return None


def read(
    body: bytes, source: str, quality: str = metrics.AUTO, companion: bytes | None = None
) -> Reading:
    """Read a network from its bytes.

    Args:
        body: the document.
        source: what errors call it, without credentials.
        quality: one of `metrics.QUALITIES`.
        companion: the document that `beside` asks for.

    Raises:
        TopologyError: the body is in no known format, or lists no node.
    """
    text = text_of(body, source)
    names = _columns(text)
    other = None if companion is None else text_of(companion, source)
    if names:
        return _read_tables(text, other, source, links=tables.is_links(names))
    if yanic.is_lines(text):
        return yanic.read_lines(text, source)
    document = Document(source, parse_json(text, source))
    root = document.root
    if isinstance(root, list) and batman.is_batctl(root):
        return batman.read_batctl(document)
    if not isinstance(root, dict):
        refuse(source, "", f"its root is {type_name(root)}, in no format that is known", _REMEDY)
    if _is_old_nodes(root) or _is_old_graph(root):
        return _read_old(document, other)
    return _read_object(document, quality)


def _columns(text: str) -> set[str]:
    return set() if text.lstrip()[0] in "[{<" else tables.columns(text)


def _read_tables(text: str, other: str | None, source: str, *, links: bool) -> Reading:
    if links:
        return tables.read(text, other, source)
    if other is None:
        refuse(source, "", "it is a table of nodes alone", "Put links.csv beside it.")
    return tables.read(other, text, source)


def _read_old(document: Document, other: str | None) -> Reading:
    if other is None:
        one, both = (
            ("nodes", "graph.json") if _is_old_nodes(document.root) else ("links", "nodes.json")
        )
        refuse(document.source, "", f"it has {one} alone", f"Put {both} beside it.")
    second = Document(document.source, parse_json(other, document.source))
    nodes, graph = (document, second) if _is_old_nodes(document.root) else (second, document)
    if not _is_old_nodes(nodes.root) or not _is_old_graph(graph.root):
        why = "the two documents are not nodes.json and graph.json of one map"
        refuse(document.source, "", why, "Give both of one map.")
    return yanic.read_old(nodes, graph)


def _read_object(document: Document, quality: str) -> Reading:
    root = document.root
    if _is_netjson(root):
        return netjson.read(document, quality)
    by_key = next((reader for key, reader in _BY_KEY.items() if key in root), None)
    reader = _BY_TYPE.get(str(root.get("type"))) or by_key
    if reader is not None:
        return reader(document)
    if "nodeinfo" in root or "neighbours" in root:
        return respondd.read_responses([("answer", root)], document.source)
    if "nodes" in root and "links" in root:
        return meshviewer.read(document, quality)
    if isinstance(root.get("nodes"), list) and _any_has(root["nodes"], "neighbours"):
        return yanic.read_raw(document)
    return document.refuse("", "it is in no format that is known", _REMEDY)


def _is_netjson(root: dict[str, Any]) -> bool:
    if root.get("type") in _GRAPHS:
        return True
    # Without a type, the names of ids and of qualities tell it from meshviewer.json.
    nodes, links = root.get("nodes"), root.get("links")
    if not isinstance(nodes, list) or not isinstance(links, list) or _any_has(nodes, "node_id"):
        return False
    return not _any_has(links, "source_tq") and not _any_has(links, "target_tq")


def _any_has(records: list[object], key: str) -> bool:
    return any(isinstance(record, dict) and key in record for record in records)


def _is_old_nodes(root: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether it is nodes.json: its nodes have nodeinfo, and nothing says who hears whom."""
    nodes = root.get("nodes") if isinstance(root, dict) else None
    if nodes is None or "links" in root:
        return False
    records = list(nodes.values()) if isinstance(nodes, dict) else nodes
    if not isinstance(records, list):
        return False
    return _any_has(records, "nodeinfo") and not _any_has(records, "neighbours")


def _is_old_graph(root: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(root, dict) and isinstance(root.get("batadv"), dict) and "nodes" not in root


def _sibling(location: str, own: str, other: str) -> str:
    """The location in the same folder where `own` in the name is `other`."""
    if "://" in location:
        parts = urlsplit(location)
        return urlunsplit(parts._replace(path=_sibling(parts.path, own, other)))
    folder, name = posixpath.split(location)
    renamed, count = re.subn(f"{own}(?!.*{own})", other, name, count=1)
    suffix = posixpath.splitext(name)[1] or ".json"
    return posixpath.join(folder, renamed if count else f"{other}{suffix}")
