"""Messages as they come over HTTP, turned into columns for the mesh.

Three forms, told apart by Content-Type: one JSON object; NDJSON, an object a line; msgpack, a map
of columns (the fast one) or a list of maps. A message that cannot be sent is refused alone and
keeps its place in the answer. A body that is no such form at all is refused as a whole.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack
import numpy as np

from actors.mesh.contract import MAX_PAYLOAD, MAX_PORT
from actors.runtime.errors import InvalidInput, X0Error
from serve_apps.web.errors import TooLarge
from serve_apps.web.parsing import EXAMPLES, missing
from serve_apps.web.strict_json import invalid_body, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from actors.topology.naming import Naming

NDJSON: Final = "application/x-ndjson"
MSGPACK: Final = "application/msgpack"
FIELDS: Final = frozenset({"source", "destination", "payload", "payload_base64", "port"})
COLUMNS: Final = frozenset({"sources", "destinations", "payloads", "ports"})
_ABSENT: Final = -1


class MessageRefusal(NamedTuple):
    """Why one message was not taken."""

    status: int  # HTTP status of the answer that the message alone would get
    reason: str  # name of the error
    detail: str

    def shown(self, index: int) -> dict[str, int | str]:
        """As the answer tells it of the message at a position of the request."""
        return {"index": index, **self._asdict()}


def refusal_of(error: X0Error) -> MessageRefusal:
    """The refusal that an error is to one message."""
    return MessageRefusal(error.http_status, type(error).__name__, f"{error.what}: {error.why}")


@dataclass(slots=True)
class Messages:
    """Messages of one request: those that can be sent, in columns, and the others.

    Attributes:
        count: how many messages the request has.
        rows: positions in the request of those that can be sent, int64 [n].
        source: node indices, int64 [n].
        destination: node indices, int64 [n].
        port: int64 [n].
        payloads: [n].
        refusals: why a message is refused, by its position in the request.
    """

    count: int
    rows: NDArray[np.int64]
    source: NDArray[np.int64]
    destination: NDArray[np.int64]
    port: NDArray[np.int64]
    payloads: Sequence[bytes]
    refusals: dict[int, MessageRefusal] = field(default_factory=dict)


class One(NamedTuple):
    """A message of which every part is sound."""

    source: int
    destination: int
    payload: bytes
    port: int


def one(value: object, index_of: Callable[[str], int]) -> One:
    """Check one message.

    Args:
        value: what was parsed.
        index_of: finds nodes.

    Raises:
        InvalidInput: it breaks a rule; the error names the field.
        UnknownNode: a node does not exist.
        AmbiguousNode: a name is that of several nodes.
        TooLarge: the payload is too long.
    """
    if not isinstance(value, dict):
        raise _invalid("a message is an object", "")
    if unknown := [name for name in value if name not in FIELDS]:
        raise _invalid(f"there is no field {str(unknown[0])[:40]!r}", "")
    port = value.get("port", 0)
    if type(port) is not int or not 0 <= port <= MAX_PORT:
        raise _invalid(f"it is not a whole number from 0 to {MAX_PORT}", "port")
    source, destination = (index_of(_node(value, name)) for name in ("source", "destination"))
    payload = _payload(value)
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge(
            "the payload is too long",
            f"it has {len(payload)} bytes, and {MAX_PAYLOAD} are allowed",
            "Split it.",
        )
    return One(source, destination, payload, port)


def _node(value: Mapping[str, Any], name: str) -> str:
    given = value.get(name)
    if not isinstance(given, str):
        raise missing(name) if given is None else _invalid("it is not the id of a node", name)
    return given


def _payload(value: Mapping[str, Any]) -> bytes:
    text, encoded = value.get("payload"), value.get("payload_base64")
    if text is None and encoded is None:
        raise missing("payload", "Give it as payload, or in base64 as payload_base64.")
    if text is not None and encoded is not None:
        raise _invalid("it is given twice, as payload and as payload_base64", "payload")
    if isinstance(text, bytes):  # msgpack has bytes, JSON only text
        return text
    try:
        if isinstance(text, str):
            return text.encode()
        if isinstance(encoded, str):
            return base64.b64decode(encoded, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise _invalid(str(error), "payload") from None
    raise _invalid("it is not text", "payload")


def each(values: Iterable[object], naming: Naming) -> Messages:
    """Check messages one by one; `Exception` objects among them are refusals already."""

    def index_of(text: str) -> int:
        return naming.exact(text, suggest=False)

    good: list[One] = []
    rows: list[int] = []
    refusals: dict[int, MessageRefusal] = {}
    count = 0
    for row, value in enumerate(values):
        count += 1
        try:
            if isinstance(value, X0Error):
                raise value
            good.append(one(value, index_of))
            rows.append(row)
        except X0Error as error:
            refusals[row] = refusal_of(error)
    return Messages(
        count,
        np.array(rows, np.int64),
        np.array([m.source for m in good], np.int64),
        np.array([m.destination for m in good], np.int64),
        np.array([m.port for m in good], np.int64),
        [m.payload for m in good],
        refusals,
    )


def lines(given: Sequence[bytes | None], naming: Naming) -> Messages:
    """Messages of NDJSON lines; None is a line that was too long to be kept."""

    def parsed(line: bytes | None) -> object:
        if line is None:
            return TooLarge("the line is too long", "it was not read", "Split the message.")
        try:
            return loads(line)
        except InvalidInput as error:
            return error

    return each(map(parsed, given), naming)


def packed(body: bytes, naming: Naming, most: int) -> Messages:
    """Messages of a msgpack body, in columns or in a list.

    Raises:
        InvalidInput: it is neither.
        TooLarge: there are more than `most`.
    """
    try:
        value = msgpack.unpackb(body, strict_map_key=True, timestamp=0)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise invalid_body(f"it is not msgpack ({type(error).__name__})") from None
    if isinstance(value, list):
        check_count(len(value), most)
        return each(value, naming)
    if not isinstance(value, dict) or not COLUMNS - {"ports"} <= set(value) <= COLUMNS:
        raise invalid_body(
            "it is neither a list of messages nor a map of sources, destinations, payloads "
            "and, if wanted, ports"
        )
    columns = [value["sources"], value["destinations"], value["payloads"]]
    given = value.get("ports", 0)
    if isinstance(given, list):
        columns.append(given)
    if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        raise invalid_body("its columns are not lists of one length")
    count = len(columns[0])
    check_count(count, most)
    ports = given if isinstance(given, list) else [given] * count
    return _columns(columns[0], columns[1], columns[2], ports, naming)


def _columns(
    sources: list[Any],
    destinations: list[Any],
    payloads: list[Any],
    ports: list[Any],
    naming: Naming,
) -> Messages:
    """Check whole columns at once, and message by message only where one of them is bad."""
    count = len(sources)
    sound = set(map(type, payloads)) <= {bytes} and set(map(type, ports)) <= {int}
    if sound and set(map(type, sources)) | set(map(type, destinations)) <= {str}:
        index = naming.index
        source = np.fromiter(map(index.get, sources, repeat(_ABSENT)), np.int64, count)
        destination = np.fromiter(map(index.get, destinations, repeat(_ABSENT)), np.int64, count)
        longest = max(map(len, payloads), default=0)
        lowest, highest = min(ports, default=0), max(ports, default=0)
        in_range = longest <= MAX_PAYLOAD and lowest >= 0 and highest <= MAX_PORT
        if in_range and not (source == _ABSENT).any() and not (destination == _ABSENT).any():
            rows = np.arange(count)
            port = np.array(ports, np.int64)
            return Messages(count, rows, source, destination, port, payloads)
    together = zip(sources, destinations, payloads, ports, strict=True)
    return each(
        ({"source": s, "destination": d, "payload": p, "port": n} for s, d, p, n in together),
        naming,
    )


def check_count(count: int, most: int) -> None:
    """Refuse a request of too many messages.

    Raises:
        TooLarge: there are more than `most`.
    """
    if count > most:
        raise TooLarge(
            "too many messages in one request",
            f"it has {count}, and {most} are allowed",
            "Send them in several requests.",
        )


def _invalid(why: str, entry: str) -> InvalidInput:
    where = f"field {entry}" if entry else "the request"
    return InvalidInput(f"{where} is refused", why, EXAMPLES, source="body", entry=entry)
