"""Names: which node ids are accepted, how actors are called, how clients number themselves.

A node id comes from files, URLs and HTTP paths that others write, so it is checked at every
border. Networks use whatever they like: MAC addresses, WireGuard keys (`q/4+Zw=`), `!a1b2c3d4`,
host names with umlauts and blanks, `fe80::1%eth0`. So any printable text is one. Control and
formatting characters (line breaks, escapes, those that turn the direction of writing) are none:
an id may stand in a log, a table or a terminal as it is. What means something to a shell, a URL or
a CSV file is quoted where it is written there.

Ids are compared as they are given, not in a normal form: an id is a key of somebody else's system,
where two spellings may be two nodes. What a person types is looked up more kindly, see
`actors.topology.naming`.
"""

from __future__ import annotations

import secrets
from typing import Final

from actors.runtime.errors import InvalidInput

MAX_NODE_ID_LENGTH: Final = 128  # characters; at most 4 times as many bytes of UTF-8
NODE_ID_FORM: Final = (
    f"Use 1 to {MAX_NODE_ID_LENGTH} printable characters, without a blank at either end."
)
_SHOWN: Final = 40  # characters of a refused value that an error repeats
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def is_node_id(value: object) -> bool:
    """Tell whether `value` is a str of 1 to 128 printable characters, no blank at either end.

    Printable is as of `str.isprintable`: of blanks only the plain one.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NODE_ID_LENGTH
        and value.isprintable()
        and value[0] != " " != value[-1]
    )


def node_id(value: object, *, source: str = "argument", entry: str = "node id") -> str:
    """Return `value` if it is a node id.

    Args:
        value: the value from outside.
        source: the file, URL or request that the value came from, for the error.
        entry: the part of the source that holds the value, for the error.

    Raises:
        InvalidInput: `value` is no str, or has another form.
    """
    if is_node_id(value):
        return str(value)
    if isinstance(value, str):
        shown = ascii(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    else:
        shown = f"of type {type(value).__name__}"
    raise InvalidInput(
        f"{entry} {shown} in {source} is refused",
        "it is not a valid node id",
        NODE_ID_FORM,
        source=source,
        entry=entry,
    )


def display_name(text: str) -> str:
    """A host name or label as it may be shown: what is not printable is replaced by U+FFFD.

    Blanks at the ends are dropped, and it is cut after 128 characters; it may be empty.
    """
    text = text.strip()[:MAX_NODE_ID_LENGTH].rstrip()
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _REPLACEMENT for each in text)


def random_id() -> int:
    """Draw a number in [1, 2**63), for a client or for one incarnation of an actor.

    It fits an int64 column and cannot be guessed; among a million, two are alike with a probability
    under 1e-7.
    """
    return secrets.randbelow(2**63 - 1) + 1
