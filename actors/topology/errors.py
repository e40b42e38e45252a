# ruff: noqa: N818 - an error is named by its condition (UnknownNode), as an operator would say it
"""Errors about the graph.

InvalidInput
├── TopologyError           422  a map of the network cannot be read
└── AmbiguousNode           422  a name, or the beginning of one, fits several nodes
X0Error
└── UnknownNode             404  no mesh node has that id or name
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime.errors import InvalidInput, X0Error, close_matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN: Final = 6  # candidates that an error lists


class TopologyError(InvalidInput):
    """A map of the network cannot be used; a running mesh keeps its previous map."""


class UnknownNode(X0Error):
    """No mesh node is called `node`. Similar ids and names out of `known` are suggested."""

    http_status = 404

    node: str

    def __init__(self, node: str, *, known: Iterable[str] = ()) -> None:
        remedy = close_matches(node, known) or "Give a node that the topology contains."
        what = f"no mesh node {node or 'without an id'}"
        super().__init__(what, "no node has such an id or name", remedy, node=node)


class AmbiguousNode(InvalidInput):
    """What was written fits several nodes."""

    def __init__(self, node: str, candidates: Sequence[str], *, begins: bool) -> None:
        """Of what people are told of each candidate; `begins`: the text is a beginning of them."""
        more = len(candidates) - _SHOWN
        listed = ", ".join(candidates[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        super().__init__(
            f"{node} is not one node",
            f"{len(candidates)} nodes {'begin with it' if begins else 'are called so'}: {listed}",
            "Give more of it, or an id." if begins else "Give the id of one of them.",
        )
