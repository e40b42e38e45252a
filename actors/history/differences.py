"""What differs between two samples of a network: members, states, links, qualities.

Pure. Tables come from `metric_store`; nodes are known by their id, links by their ends and kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actors.history.metric_store import KEYS, LINKS, NODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    Key = tuple[str, ...]
    Row = Mapping[str, Any]

_QUALITIES: Final = ("quality_ab", "quality_ba")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        what: `joined`, `left`, `state`, `renamed` (nodes); `added`, `gone`, `state`, `quality`
            (links).
        of: id of the node, or ids of the link's ends and its kind.
        names: host names or labels of the node or of the ends; "" where there is none.
        before: the state, name or quality of before; None if there was none. A quality is that
            from a to b and back; None: not known.
        now: the same now.
    """

    what: str
    of: tuple[str, ...]
    names: tuple[str, ...]
    before: Any
    now: Any

    def as_dict(self) -> dict[str, Any]:
        """The difference as JSON tells it."""
        keys = KEYS[NODES] if len(self.of) == 1 else KEYS[LINKS]
        return {
            "what": self.what,
            **dict(zip(keys, self.of, strict=True)),
            "names": list(self.names),
            "before": self.before,
            "now": self.now,
        }


@dataclass(frozen=True, slots=True)
class Differences:
    """All that is not as it was, nodes and links each in the order of their ids."""

    nodes: tuple[Difference, ...]
    links: tuple[Difference, ...]


def differences(
    before: tuple[pa.Table, pa.Table],
    now: tuple[pa.Table, pa.Table],
    *,
    least_quality: float,
) -> Differences:
    """Compare nodes and links of two moments.

    Args:
        before: nodes and links at the earlier moment.
        now: the same at the later one.
        least_quality: smallest change of a quality that counts.
    """
    old_nodes, new_nodes = _rows(before[0], NODES), _rows(now[0], NODES)
    old_links, new_links = _rows(before[1], LINKS), _rows(now[1], LINKS)
    names = {key[0]: row["name"] or "" for key, row in (old_nodes | new_nodes).items()}
    nodes = [
        one
        for key in sorted(old_nodes.keys() | new_nodes.keys())
        for one in _node(key, old_nodes.get(key), new_nodes.get(key))
    ]
    links = []
    for key in sorted(old_links.keys() | new_links.keys()):
        found = _link(old_links.get(key), new_links.get(key), least_quality)
        if found is not None:
            what, was, is_now = found
            ends = (names.get(key[0], ""), names.get(key[1], ""))
            links.append(Difference(what, key, ends, was, is_now))
    return Differences(tuple(nodes), tuple(links))


def _rows(table: pa.Table, what: str) -> dict[Key, Row]:
    keys = KEYS[what]
    return {tuple(row[name] for name in keys): row for row in table.to_pylist()}


def _node(key: Key, old: Row | None, new: Row | None) -> list[Difference]:
    row = new or old
    assert row is not None  # noqa: S101 - it is in one of them
    names = (row["name"] or "",)
    if old is None or new is None:
        what = "joined" if old is None else "left"
        was, is_now = old and old["state"], new and new["state"]
        return [Difference(what, key, names, was, is_now)]
    found = []
    if old["state"] != new["state"]:
        found.append(Difference("state", key, names, old["state"], new["state"]))
    if old["name"] != new["name"]:
        found.append(Difference("renamed", key, names, old["name"], new["name"]))
    return found


def _link(old: Row | None, new: Row | None, least: float) -> tuple[str, Any, Any] | None:
    if old is None or new is None:
        what = "added" if old is None else "gone"
        return what, old and old["state"], new and new["state"]
    if old["state"] != new["state"]:
        return "state", old["state"], new["state"]
    was, is_now = _quality(old), _quality(new)
    if any(_differ(a, b, least) for a, b in zip(was, is_now, strict=True)):
        return "quality", was, is_now
    return None


def _quality(row: Row) -> list[float | None]:
    return [row.get(name) for name in _QUALITIES]


def _differ(was: float | None, is_now: float | None, least: float) -> bool:
    """Whether a quality has changed; one that has become known or unknown is no change of it."""
    if was is None or is_now is None:
        return False
    return not math.isclose(was, is_now) and abs(was - is_now) >= least
