"""The body of a source: text, and JSON if it is that.

A body in another encoding than UTF-8 is read all the same: what cannot be decoded is replaced, and
`fields` says which names that befell. Only a whole document that is no map is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from actors.topology.errors import TopologyError
from actors.topology.formats.fields import REPLACEMENT, type_name

MAX_RECORDS: Final = 500_000  # nodes or links of one source
_HEAD: Final = 16  # characters at the beginning, which tell text from something else


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value and where it came from.

    Attributes:
        source: the file or URL as errors may show it, without credentials.
        root: the value.
    """

    source: str
    root: Any

    def refuse(self, entry: str, why: str, remedy: str) -> NoReturn:
        """Raise the TopologyError that names this source and `entry` ("" for the whole)."""
        refuse(self.source, entry, why, remedy)

    def records(self, holder: object, key: str, entry: str | None = None) -> list[Any]:
        """The list under `key` of an object; `entry` is what errors call it.

        Raises:
            TopologyError: there is none, or it is too long.
        """
        entry = key if entry is None else entry
        if not isinstance(holder, dict) or key not in holder:
            self.refuse(entry, "it is missing", f"A map has a list of {key}.")
        return self.bounded(holder[key], entry)

    def bounded(self, value: object, entry: str) -> list[Any]:
        """A value that is a list of at most `MAX_RECORDS`.

        Raises:
            TopologyError: it is another value.
        """
        if not isinstance(value, list):
            self.refuse(entry, f"it is {type_name(value)}", "Give a list.")
        if len(value) > MAX_RECORDS:
            self.refuse(entry, f"it has {len(value)} records", f"Give at most {MAX_RECORDS}.")
        return value


def refuse(source: str, entry: str, why: str, remedy: str) -> NoReturn:
    """Raise the TopologyError that names a source and `entry` ("" for the whole)."""
    what = f"cannot use the map {source}" + (f" at {entry}" if entry else "")
    raise TopologyError(what, why, remedy, source=source, entry=entry)


def text_of(body: bytes, source: str) -> str:
    """The text of a body; what is not UTF-8 is replaced. A byte order mark is allowed.

    Raises:
        TopologyError: it is empty.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if not text.strip():
        refuse(source, "", "it is empty", "Point at the map that the network publishes.")
    return text


def parse_json(text: str, source: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a text.

    Raises:
        TopologyError: it is no JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        # A map has few names in another encoding, a compressed one starts with something else.
        if REPLACEMENT in text[:_HEAD]:
            why, remedy = "it is not UTF-8 text", "Point at an uncompressed map."
        else:
            why = f"it is not JSON ({error.msg})"
            remedy = "Point at the map itself, not at the page that shows it."
        refuse(source, at, why, remedy)
    except RecursionError:
        refuse(source, "", "it is nested too deeply", "Publish a map without such nesting.")
    except ValueError:  # an integer with more digits than the interpreter converts
        refuse(source, "", "it has a number of thousands of digits", "Correct that number.")
