"""A JSON document from outside, and the checked ways to read values from it.

Every value is checked where it is read, and an error names the source, the entry (such as
`links[17].source_tq`) and the remedy. Numbers are JSON numbers, never booleans, and finite:
Python's parser lets NaN, Infinity and 1e999 through (RFC 8259 section 6 does not), so they are
refused in fields that are read and ignored in the others.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from actors.runtime.ids import NODE_ID_FORM, is_node_id
from actors.topology.errors import TopologyError

_SHOWN: Final = 40  # characters of a refused value that an error repeats

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object and where it came from.

    Attributes:
        source: the file or URL as errors may show it, without credentials.
        root: the object.
    """

    source: str
    root: Record

    @classmethod
    def parse(cls, body: bytes, source: str) -> Document:
        """Parse UTF-8 JSON (a byte order mark is allowed) whose root is an object.

        Raises:
            TopologyError: the body is something else.
        """
        empty = cls(source, {})
        if not body.strip():
            empty.refuse("", "it is empty", "Point at the map that the network publishes.")
        try:
            root = json.loads(body.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            empty.refuse(
                f"byte {error.start}", "it is not UTF-8 text", "Point at an uncompressed JSON map."
            )
        except json.JSONDecodeError as error:
            empty.refuse(
                f"line {error.lineno} column {error.colno}",
                f"it is not JSON ({error.msg})",
                "Point at the JSON map itself, not at the page that shows it.",
            )
        except RecursionError:
            empty.refuse("", "it is nested too deeply", "Publish a map without such nesting.")
        except ValueError:  # an integer with more digits than the interpreter converts
            empty.refuse("", "it has a number of thousands of digits", "Correct that number.")
        if not isinstance(root, dict):
            empty.refuse("", f"its root is {_kind(root)}", "A map is a JSON object.")
        return cls(source, root)

    def refuse(self, entry: str, why: str, remedy: str) -> NoReturn:
        """Raise the TopologyError that names this source and `entry` ("" for the whole)."""
        what = f"cannot use the map {self.source}" + (f" at {entry}" if entry else "")
        raise TopologyError(what, why, remedy, source=self.source, entry=entry)

    def records(self, key: str) -> list[Record]:
        """Return the list of objects under `key`."""
        if key not in self.root:
            self.refuse(key, "it is missing", f"A map has a list of {key}.")
        records = self.root[key]
        if not isinstance(records, list):
            self.refuse(key, f"it is {_kind(records)}", f"Give {key} as a list.")
        for index, record in enumerate(records):
            if not isinstance(record, dict):
                self.refuse(f"{key}[{index}]", f"it is {_kind(record)}", "Give an object.")
        return records

    def node_id(self, value: object, entry: str) -> str:
        """Return a value that is a well-formed node id."""
        if is_node_id(value):
            return str(value)
        why = f"{_show(value)} is not a node id"
        return self.refuse(entry, why, NODE_ID_FORM)

    def number(self, record: Record, key: str, owner: str) -> float:
        """Return the finite number under `key` of the record that `owner` names."""
        value = record.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # An integer beyond the range of a float cannot be converted at all.
            if abs(value) < math.inf and abs(value) <= 1e308:
                return float(value)
            self.refuse(f"{owner}.{key}", "it is not a finite number", "Give a finite number.")
        if key not in record:
            return self.refuse(f"{owner}.{key}", "it is missing", "Give a number.")
        return self.refuse(f"{owner}.{key}", f"it is {_kind(value)}", "Give a number.")

    def text(self, record: Record, key: str, owner: str, default: str) -> str:
        """Return the string under `key`, or `default` where it is absent or null."""
        value = record.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(f"{owner}.{key}".lstrip("."), f"it is {_kind(value)}", "Give a string.")
        return value

    def ends(self, links: list[Record], index: dict[str, int]) -> list[tuple[int, int]]:
        """Return the node indices of each link's `source` and `target`."""
        pairs = []
        for at, link in enumerate(links):
            source, target = link.get("source"), link.get("target")
            try:
                pairs.append((index[source], index[target]))  # type: ignore[index]
            except (KeyError, TypeError):  # TypeError: an unhashable value such as a list
                self._refuse_end(link, f"links[{at}]", index)
        return pairs

    def _refuse_end(self, link: Record, owner: str, index: dict[str, int]) -> NoReturn:
        for key in ("source", "target"):
            if key not in link:
                self.refuse(f"{owner}.{key}", "it is missing", "Give the id of a node.")
            if not isinstance(link[key], str):
                self.refuse(f"{owner}.{key}", f"it is {_kind(link[key])}", "Give the id of a node.")
            if link[key] not in index:
                self.refuse(
                    f"{owner}.{key}",
                    f"{_show(link[key])} is not among the nodes",
                    "List that node, or drop the link.",
                )
        raise AssertionError(f"{owner} has two known ends")

    def index_of_ids(self, ids: list[str], entry: str) -> dict[str, int]:
        """Return the position of each id; `entry` formats a position as the id's entry."""
        index: dict[str, int] = {}
        for at, name in enumerate(ids):
            if index.setdefault(name, at) != at:
                self.refuse(
                    entry.format(at),
                    f"the id {name} was given to {entry.format(index[name])} already",
                    "Give each node an id of its own.",
                )
        return index


def _kind(value: object) -> str:
    """Name a JSON type as RFC 8259 does."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")


def _show(value: object) -> str:
    if not isinstance(value, str):
        return _kind(value)
    return ascii(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
