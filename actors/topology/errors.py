# ruff: noqa: N818 - an error is named by its condition (UnknownNode), as an operator would say it
"""Errors about the graph.

InvalidInput
└── TopologyError           422  a map of the network cannot be read
X0Error
└── UnknownNode             404  no mesh node has that id
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import InvalidInput, X0Error, close_matches

if TYPE_CHECKING:
    from collections.abc import Iterable


class TopologyError(InvalidInput):
    """A map of the network cannot be used; a running mesh keeps its previous map."""


class UnknownNode(X0Error):
    """No mesh node has the id `node`. Similar ids out of `known` are suggested; it is not kept."""

    http_status = 404

    node: str

    def __init__(self, node: str, *, known: Iterable[str] = ()) -> None:
        remedy = close_matches(node, known) or "Give an id that the topology contains."
        what = f"no mesh node {node or 'without an id'}"
        super().__init__(what, "the topology has no such id", remedy, node=node)
