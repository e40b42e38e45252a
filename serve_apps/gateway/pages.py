"""Nodes and links in pages: what a cursor means.

A cursor names the last row of a page and the map that numbered it. The number of a node never
changes its meaning, so a walk over nodes goes on over a change of the map; links are numbered
anew, so a walk over links does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from actors.runtime.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_apps.gateway.mesh_view import MeshView

Rows = tuple[list[dict[str, Any]], str | None]  # of a page, and the cursor of the next one


class Page(NamedTuple):
    """Which rows are asked for.

    Attributes:
        limit: how many at most; None: all.
        cursor: what the page before told as the next one; None: from the first row on.
    """

    limit: int | None
    cursor: str | None


def nodes(view: MeshView, page: Page) -> Rows:
    """A page of the nodes that are present.

    Raises:
        InvalidInput: the cursor is none.
    """
    after = -1 if page.cursor is None else _parsed(page.cursor)[1]
    found = view.nodes(after, page.limit)
    return found, _following(view, page, found, lambda: view.index[found[-1]["id"]])


def links(view: MeshView, page: Page) -> Rows:
    """A page of the links.

    Raises:
        InvalidInput: the cursor is none.
        Conflict: the map has changed since the page before.
    """
    revision, after = (view.map_revision, -1) if page.cursor is None else _parsed(page.cursor)
    if revision != view.map_revision:
        raise Conflict(
            "the next page of links cannot be told",
            "the map has changed since the page before",
            "Begin again without a cursor.",
        )
    found = view.links(after, page.limit)
    return found, _following(view, page, found, lambda: after + len(found))


def _following(view: MeshView, page: Page, found: list[Any], last: Callable[[], int]) -> str | None:
    if page.limit is None or len(found) < page.limit:
        return None
    return f"{view.map_revision:x}-{last():x}"


def _parsed(cursor: str) -> tuple[int, int]:
    try:
        revision, last = (int(part, 16) for part in cursor.split("-"))
    except ValueError:
        raise InvalidInput(
            "query parameter cursor is refused",
            "it is not the cursor of a page",
            "Give `next` as the page before told it.",
            source="query",
            entry="cursor",
        ) from None
    return revision, last
