"""Words and cells that all answers of the twin have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from actors.twin.results import NodesAndClients

    Shown = Iterator[RenderableType | str]

ROWS: Final = 12  # of a table
NAMES: Final = 6  # of a list
OFFLINE: Final = ("nodes offline", "clients offline")  # columns: who loses every gateway


def people(found: NodesAndClients) -> str:
    """Nodes and their clients; of how many nodes these are known, where it is not of all."""
    nodes = count(found.nodes, "node")
    if found.clients is None:
        return f"{nodes} (of none of them is it known how many clients it has)"
    said = f"{nodes} and {count(found.clients, 'client')}"
    if found.clients_known < found.nodes:
        said += f" (known of {found.clients_known:,} of these nodes)"
    return said


def clients_cell(found: NodesAndClients) -> str:
    """Clients in a table; `?` where of some nodes they are not known."""
    if found.clients is None:
        return "?"
    return f"{found.clients:,}" + ("+?" if found.clients_known < found.nodes else "")


def cut_off_cells(found: NodesAndClients | None) -> tuple[str, str]:
    """Two cells: nodes and clients that lose every gateway."""
    return ("?", "?") if found is None else (f"{found.nodes:,}", clients_cell(found))


def names(given: Sequence[str], most: int) -> str:
    """The first of these, and how many more there are."""
    more = f" and {len(given) - most:,} more" if len(given) > most else ""
    return ", ".join(given[:most]) + more


def count(number: int, what: str) -> str:
    """So many of something, in the plural where it is due."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def more(number: int, what: str) -> Shown:
    """Say how many rows a table leaves out."""
    if number > ROWS:
        yield f"and {count(number - ROWS, what)} more, which --json has"
