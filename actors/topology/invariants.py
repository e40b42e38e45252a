"""The invariants of `Topology`, each with an error that names the first offending entry.

Importers report the same faults earlier and in the words of their format; these checks are
what makes the invariants true however a topology came about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actors.runtime.ids import NODE_ID_FORM, is_node_id
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from actors.topology.node_table import NodeTable

MAX_KINDS = 127  # kind codes are int8


def check_ids(ids: tuple[str, ...]) -> None:
    """Refuse ids that are malformed or not unique."""
    seen: set[str] = set()
    for index, name in enumerate(ids):
        if not is_node_id(name):
            raise _broken(
                f"ids[{index}]",
                f"{name!a:.80} is not a node id",
                NODE_ID_FORM,
            )
        if name in seen:
            raise _broken(f"ids[{index}]", f"the id {name} occurs twice", "Give each node its own.")
        seen.add(name)


def check_links(
    n_nodes: int,
    ends: NDArray[np.int64],
    quality: NDArray[np.float64],
    kind: NDArray[np.int64],
    kinds: tuple[str, ...],
) -> None:
    """Refuse arrays that do not fit together or break an invariant of `Topology`."""
    if len(quality) != len(ends) or len(kind) != len(ends):
        raise _broken(
            "links",
            f"{len(ends)} ends, {len(quality)} qualities and {len(kind)} kinds do not match",
            "Give one row of each per link.",
        )
    if len(kinds) > MAX_KINDS:
        raise _broken("kinds", f"there are {len(kinds)}", f"Use at most {MAX_KINDS} kinds.")

    def refuse_where(faulty: ArrayLike, why: Callable[[int], str], remedy: str) -> None:
        bad = np.asarray(faulty, dtype=np.bool_)
        if bad.any():
            link = int(bad.argmax())
            raise _broken(f"links[{link}]", why(link), remedy)

    refuse_where(
        ((ends < 0) | (ends >= n_nodes)).any(axis=1),
        lambda e: f"it joins nodes {ends[e].tolist()}, and there are {n_nodes} nodes",
        "Use node indices from 0 to n_nodes - 1.",
    )
    refuse_where(
        ends[:, 0] == ends[:, 1],
        lambda e: f"it joins node {ends[e, 0]} to itself",
        "Leave such links out.",
    )
    refuse_where(
        ~((quality > 0) & (quality <= 1)).all(axis=1),
        lambda e: f"its qualities are {quality[e].tolist()}",
        "Give a delivery probability above 0 and up to 1 in both directions.",
    )
    refuse_where(
        (kind < 0) | (kind >= len(kinds)),
        lambda e: f"its kind is {kind[e]}",
        f"Use a position in kinds, which has {len(kinds)} entries.",
    )
    low, high = ends.min(axis=1, initial=n_nodes), ends.max(axis=1, initial=0)
    _, first = np.unique(low * n_nodes + high, return_index=True)
    repeated = np.ones(len(ends), dtype=np.bool_)
    repeated[first] = False
    refuse_where(
        repeated,
        lambda e: f"nodes {low[e]} and {high[e]} already have a link",
        "Keep one link for each pair of nodes.",
    )


def check_columns(
    n_nodes: int,
    n_links: int,
    measured: NDArray[np.bool_],
    parallel: NDArray[np.int16],
    nodes: NodeTable,
) -> None:
    """Refuse optional columns that do not fit the nodes and links."""
    if measured.shape != (n_links, 2) or parallel.shape != (n_links,):
        raise _broken(
            "links",
            f"{n_links} links, `measured` {measured.shape} and `parallel` {parallel.shape}",
            "Give one row of each per link.",
        )
    if len(nodes.names) != n_nodes:
        raise _broken(
            "nodes", f"{n_nodes} ids and {len(nodes.names)} rows", "Give one row per node."
        )
    if (parallel < 1).any():
        link = int((parallel < 1).argmax())
        raise _broken(f"links[{link}]", f"{parallel[link]} links join its ends", "Give 1 or more.")


def as_columns(
    ends: ArrayLike, quality: ArrayLike, kind: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Copy the arrays as int64 [n, 2], float64 [n, 2] and int64 [n], refusing what does not fit."""
    return (
        _column("ends", np.array(ends), (-1, 2)).astype(np.int64),
        _column("quality", np.array(quality, dtype=np.float64), (-1, 2)),
        _column("kind", np.array(kind), (-1,)).astype(np.int64),
    )


def _column(name: str, column: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if column.size:
        if column.ndim != len(shape) or column.shape[1:] != shape[1:]:
            raise _broken(name, f"its shape is {column.shape}", f"Give an array of shape {shape}.")
        if name != "quality" and not np.issubdtype(column.dtype, np.integer):
            raise _broken(name, f"its type is {column.dtype}", "Give integers.")
    return column.reshape(shape)


def _broken(entry: str, why: str, remedy: str) -> TopologyError:
    what = f"topology refused at {entry}"
    return TopologyError(what, why, remedy, source="topology", entry=entry)
