"""Plain tables for everybody else: `links.csv`, and `nodes.csv` if more is known than the ids.

A first line of column names, then a record a line; between the columns commas, semicolons or tabs.
An empty cell is not known. Names may be written in capitals, and columns of other names are not
read.

    links.csv: source, target; quality, or forth and back (0 to 1, or 90 %); kind; status (up, down)
    nodes.csv: id; name, latitude, longitude, gateway, vpn, clients, model, role, firmware, domain,
               online, addresses (with blanks between them)

`quality` is that of both directions. Without nodes.csv, the nodes are those that links name.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from actors.topology.formats.collector import STRANGE_QUALITIES, Collector
from actors.topology.formats.document import MAX_RECORDS, refuse
from actors.topology.formats.fields import UNREADABLE, finite
from actors.topology.network import NetworkLink, NetworkNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.network import Reading

FORMAT: Final = "CSV"
_NODES: Final = {"id", "node", "node_id"}
_SOURCE: Final = ("source", "from", "a")
_TARGET: Final = ("target", "to", "b")
_TRUE: Final = ("true", "yes", "y", "1", "x", "on", "up", "online")
_FALSE: Final = ("false", "no", "n", "0", "off", "down", "offline")

Row = dict[str, str]


def columns(text: str) -> set[str]:
    """Names of the columns of a table; none if it is no table of nodes or links."""
    first = text.lstrip().split("\n", 1)[0]
    names = {name.strip().strip('"').casefold() for name in first.split(_delimiter(first))}
    return names if is_links(names) or names & _NODES else set()


def is_links(names: set[str]) -> bool:
    """Whether a table with these columns is one of links."""
    return bool(names & set(_SOURCE)) and bool(names & set(_TARGET))


def read(links: str, nodes: str | None, source: str) -> Reading:
    """Read a table of links, and one of nodes.

    Raises:
        TopologyError: there is no node.
    """
    collector = Collector(source, FORMAT, implies=nodes is None)
    if nodes is not None:
        for entry, row in _rows(nodes, source):
            _add_node(collector, row, f"nodes {entry}")
    for entry, row in _rows(links, source):
        _add_link(collector, row, f"links {entry}")
    return collector.reading()


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def _rows(text: str, source: str) -> Iterator[tuple[str, Row]]:
    """The place and the cells of each row."""
    text = text.lstrip()
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text.split("\n", 1)[0]))
    names: list[str] = []
    try:
        for at, cells in enumerate(reader):
            if at > MAX_RECORDS:
                refuse(source, "", "it has too many lines", f"Give at most {MAX_RECORDS}.")
            if at == 0:
                names = [name.strip().casefold() for name in cells]
            elif any(cells):
                row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
                yield f"line {reader.line_num}", {name: cell for name, cell in row.items() if cell}
    except csv.Error as error:
        refuse(source, f"line {reader.line_num}", f"it is no CSV ({error})", "Correct that line.")


def _add_node(collector: Collector, row: Row, entry: str) -> None:
    given = next((row[key] for key in ("id", "node_id", "node") if key in row), None)
    name = collector.new_id(given, entry)
    if name is None:
        return
    record: dict[str, Any] = dict(row)
    for key in ("latitude", "longitude", "clients"):
        if key in row:
            record[key] = _number(row[key])
            if record[key] is None:
                collector.alter(UNREADABLE, f"{entry}, {key}", f"{row[key]!a:.40} is no number")
    fields = collector.fields(record, entry)
    flags = {key: _flag(collector, row, key, entry) for key in ("online", "gateway", "vpn")}
    collector.add_node(
        NetworkNode(
            name,
            name=fields.text("name", "hostname", "label"),
            addresses=tuple(row.get("addresses", "").lower().split()),
            online=flags["online"],
            gateway=flags["gateway"],
            vpn=flags["vpn"] is True,
            clients=fields.count("clients"),
            model=fields.text("model"),
            role=fields.text("role"),
            firmware=fields.text("firmware"),
            domain=fields.text("domain"),
            location=fields.place("latitude", "longitude"),
        )
    )


def _add_link(collector: Collector, row: Row, entry: str) -> None:
    ends = collector.ends(_cell(row, _SOURCE), _cell(row, _TARGET), entry)
    if ends is None:
        return
    both = _quality(collector, row, "quality", entry)
    forth = _quality(collector, row, "forth", entry)
    back = _quality(collector, row, "back", entry)
    quality = (both if forth is None else forth, both if back is None else back)
    up = next((_flag(collector, row, key, entry) for key in ("status", "up") if key in row), None)
    kind = collector.fields(row, entry).text("kind", "type") or "other"
    collector.add_link(NetworkLink(*ends, quality, kind, up=up is not False))


def _cell(row: Row, names: tuple[str, ...]) -> str | None:
    return next((row[name] for name in names if name in row), None)


def _quality(collector: Collector, row: Row, key: str, entry: str) -> float | None:
    """A share from 0 to 1, also with a decimal comma or in percent."""
    text = row.get(key)
    if text is None:
        return None
    number = _number(text.removesuffix("%").rstrip())
    share = None if number is None else number / 100 if text.endswith("%") else number
    if share is None or not 0 <= share <= 1:
        collector.alter(STRANGE_QUALITIES, f"{entry}, {key}", f"{text!a:.40} is no quality")
        return None
    return share


def _number(text: str) -> float | None:
    try:
        return finite(float(text.replace(",", ".")))
    except ValueError:
        return None


def _flag(collector: Collector, row: Row, key: str, entry: str) -> bool | None:
    text = row.get(key, "").casefold()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text:
        collector.alter(UNREADABLE, f"{entry}, {key}", f"{text!a:.40} is neither yes nor no")
    return None
