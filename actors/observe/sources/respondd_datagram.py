"""One answer of respondd: what may be in a datagram, and how it becomes JSON.

A node is asked by the text `GET nodeinfo statistics neighbours` and answers with one UDP datagram
of at most 8192 bytes: a JSON object with one member for each thing asked, as raw deflate (RFC 1951)
without header. The final block of the deflate stream may be missing, so whether an answer was cut
short is told by its JSON. The source is Gluon's respondd, as yanic reads it.

Nothing in an answer is proven: whoever can send a datagram can write any node id into it.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, Final

from actors.runtime.ids import is_node_id

PORT: Final = 1001
SECTIONS: Final = ("nodeinfo", "statistics", "neighbours")
REQUEST: Final = f"GET {' '.join(SECTIONS)}".encode()
MAX_DATAGRAM: Final = 8192  # bytes of an answer
MAX_JSON: Final = 2**20  # bytes of its JSON; a node with 1,000 neighbours has 100 kB
_SHOWN: Final = 40  # characters of a refused value that an error repeats

Answer = dict[str, Any]


class UnreadableAnswer(ValueError):  # noqa: N818 - named by its condition
    """An answer that cannot be used.

    Attributes:
        reason: the kind of fault in the plural: `truncated answers`.
        why: what is wrong with this one.
    """

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why


def decode(datagram: bytes) -> tuple[str, Answer]:
    """The node id and the sections of an answer.

    Raises:
        UnreadableAnswer: it is too large, cut short, no JSON object, or without one valid id.
    """
    if len(datagram) > MAX_DATAGRAM:
        raise UnreadableAnswer(
            "oversized answers", f"it has {len(datagram):,} bytes, and {MAX_DATAGRAM:,} are allowed"
        )
    body, ended = _inflate(datagram)
    root = _parse(body, ended=ended)
    sections = {name: root[name] for name in SECTIONS if isinstance(root.get(name), dict)}
    return _node_id(sections), sections


def _inflate(datagram: bytes) -> tuple[bytes, bool]:
    """The JSON text, and whether the deflate stream has its end."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflater.decompress(datagram, MAX_JSON)
    except zlib.error as error:
        raise UnreadableAnswer("unreadable answers", f"it is no deflate: {error}") from None
    if inflater.unconsumed_tail:
        raise UnreadableAnswer(
            "oversized answers", f"it unpacks to more than {MAX_JSON:,} bytes of JSON"
        )
    return body, inflater.eof


def _parse(body: bytes, *, ended: bool) -> dict[str, Any]:
    # An encoding other than UTF-8 spoils single characters, not the answer.
    text = body.decode(errors="replace")
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        # The stream lacks its end, or a value or bracket should follow where the text ends.
        if not ended or error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            why = f"its JSON ends after {len(body):,} bytes"
            raise UnreadableAnswer("truncated answers", why) from None
        raise UnreadableAnswer("unreadable answers", f"it is no JSON: {error}") from None
    except (RecursionError, ValueError):  # nesting; a number of thousands of digits
        raise UnreadableAnswer("unreadable answers", "its JSON is beyond measure") from None
    if not isinstance(root, dict):
        raise UnreadableAnswer("unreadable answers", "its JSON is no object")
    return root


def _node_id(sections: Answer) -> str:
    found = {s["node_id"] for s in sections.values() if isinstance(s.get("node_id"), str)}
    if len(found) > 1:
        said = " and ".join(sorted(value[:_SHOWN] for value in found))
        raise UnreadableAnswer("answers without one node id", f"it names {said}")
    if not found or not is_node_id(node := found.pop()):
        raise UnreadableAnswer("answers without one node id", "it names no valid one")
    return str(node)
