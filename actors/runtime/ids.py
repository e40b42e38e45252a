"""Names: which node ids are accepted, how actors are called, how clients number themselves.

A node id comes from files, URLs and HTTP paths that others write, so it is checked at every
border: short, printable, and free of whatever means something to a shell, a URL or a label.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from actors.runtime.errors import InvalidInput

MAX_NODE_ID_LENGTH: Final = 128
_NODE_ID: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_NODE_ID_LENGTH}}}")
_SHOWN: Final = 40  # characters of a refused value that an error repeats


def is_node_id(value: object) -> bool:
    """Tell whether `value` is a str of 1 to 128 characters out of `A-Z a-z 0-9 . _ : -`."""
    return isinstance(value, str) and _NODE_ID.fullmatch(value) is not None


def node_id(value: object, *, source: str = "argument", entry: str = "node id") -> str:
    """Return `value` if it is a node id.

    Args:
        value: the value from outside.
        source: the file, URL or request that the value came from, for the error.
        entry: the part of the source that holds the value, for the error.

    Raises:
        InvalidInput: `value` is no str, or has another form.
    """
    if isinstance(value, str) and _NODE_ID.fullmatch(value):
        return value
    if isinstance(value, str):
        shown = ascii(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    else:
        shown = f"of type {type(value).__name__}"
    raise InvalidInput(
        f"{entry} {shown} in {source} is refused",
        "it is not a valid node id",
        f"Use 1 to {MAX_NODE_ID_LENGTH} characters out of A-Z a-z 0-9 . _ : -",
        source=source,
        entry=entry,
    )


def random_id() -> int:
    """Draw a number in [1, 2**63), for a client or for one incarnation of an actor.

    It fits an int64 column and cannot be guessed; among a million, two are alike with a probability
    under 1e-7.
    """
    return secrets.randbelow(2**63 - 1) + 1
