"""The differences of two topologies, and how a running mesh adopts them.

`diff` compares by id and gives events. `merge` applies the change to the indices of the running
mesh, which are append-only, so that shards need not renumber their state:

- a node keeps its index for ever; new ones are appended; one that is gone stays in the table
  of ids without links (`present` tells them apart) and gets its index back if it returns;
- links are renumbered, because their arrays are dense: those that stay keep their order and
  direction and come first, new ones follow. `directed` maps the old numbers to the new ones,
  and is the identity as far as nothing was removed.

A map that is polled is compared with the last one read, not with the merged one, since the
merged one still lists the nodes that have gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.topology.arrays import read_only
from actors.topology.model import Topology
from actors.topology.naming import link_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from actors.topology.node_table import NodeTable


@dataclass(frozen=True, slots=True)
class NodeAdded:
    """The node `node` is new."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """The node `node` is gone."""

    node: str


@dataclass(frozen=True, slots=True)
class LinkAdded:
    """A link joins `a` and `b`; `quality` is (a to b, b to a), each in (0, 1]."""

    a: str
    b: str
    quality: tuple[float, float]
    kind: str


@dataclass(frozen=True, slots=True)
class LinkRemoved:
    """The link between `a` and `b` is gone."""

    a: str
    b: str


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The link between `a` and `b` stays with another quality (a to b, b to a) or kind."""

    a: str
    b: str
    quality: tuple[float, float]
    kind: str
    quality_before: tuple[float, float]
    kind_before: str


Event = NodeAdded | NodeRemoved | LinkAdded | LinkRemoved | LinkChanged


def in_words(event: Event, label: Callable[[str], str]) -> str:
    """An event as people are told of it; `label` names a node."""
    match event:
        case NodeAdded(node):
            return f"node {label(node)} is new"
        case NodeRemoved(node):
            return f"node {label(node)} is gone"
        case LinkAdded():
            return f"link {link_label(label(event.a), label(event.b))} is new"
        case LinkRemoved():
            return f"link {link_label(label(event.a), label(event.b))} is gone"
        case LinkChanged():
            return f"link {link_label(label(event.a), label(event.b))} has another quality or kind"


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """A new topology in the node numbering of an old one.

    Attributes:
        topology: nodes of the old one, then new ones; links of the new one.
        present: bool [topology.n_nodes], False for nodes that are gone.
        directed: int32 [2 * old.n_links], the new number of each old directed link; -1 if gone.
    """

    topology: Topology
    present: NDArray[np.bool_]
    directed: NDArray[np.int32]


def diff(old: Topology, new: Topology) -> tuple[Event, ...]:
    """The events that turn `old` into `new`; empty when they differ in numbering only.

    Events come in an order in which they can be applied: links and nodes removed, nodes and
    links added, links changed.
    """
    joint = _Alignment.of(old, new)
    lost = np.setdiff1d(np.arange(old.n_links), joint.kept_old)
    gained = np.setdiff1d(np.arange(new.n_links), joint.kept_new)
    events: list[Event] = [LinkRemoved(*joint.names(old.ends[e])) for e in lost]
    events += [NodeRemoved(name) for name in old.ids if name not in new]
    events += [NodeAdded(name) for name in new.ids if name not in old]
    events += [
        LinkAdded(*joint.names(joint.ends[e]), _pair(joint.quality[e]), joint.kinds[joint.kind[e]])
        for e in gained
    ]
    changed = (old.quality[joint.kept_old] != joint.quality[joint.kept_new]).any(axis=1)
    changed |= old.kind[joint.kept_old] != joint.kind[joint.kept_new]
    events += [
        LinkChanged(
            *joint.names(old.ends[before]),
            _pair(joint.quality[after]),
            joint.kinds[joint.kind[after]],
            _pair(old.quality[before]),
            joint.kinds[old.kind[before]],
        )
        for before, after in zip(joint.kept_old[changed], joint.kept_new[changed], strict=True)
    ]
    return tuple(events)


def renamed(old: Topology, new: Topology) -> list[str]:
    """Ids of the nodes of both that are called otherwise now."""
    return [node for node in new.ids if node in old and old.name_of(node) != new.name_of(node)]


def merge(old: Topology, new: Topology) -> Merged:
    """Bring `new` into the numbering of `old`, the one a mesh is running with."""
    joint = _Alignment.of(old, new)
    gained = np.setdiff1d(np.arange(new.n_links), joint.kept_new)
    order = np.concatenate([joint.kept_new, gained])
    present = np.zeros(len(joint.ids), dtype=np.bool_)
    present[joint.position] = True
    directed = np.full((old.n_links, 2), -1, dtype=np.int32)
    directed[joint.kept_old] = np.arange(2 * len(joint.kept_old)).reshape(-1, 2)
    return Merged(
        Topology(
            joint.ids,
            joint.ends[order],
            joint.quality[order],
            joint.kind[order],
            joint.kinds,
            joint.measured[order],
            new.parallel[order],
            _rows(old, new, joint),
        ),
        read_only(present),
        read_only(directed.reshape(-1)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Alignment:
    """`new` expressed in the indices, kind codes and link directions of `old`, both extended."""

    ids: tuple[str, ...]  # ids of the old topology, then those only in the new one
    kinds: tuple[str, ...]
    position: NDArray[np.int64]  # [new.n_nodes] index in ids
    ends: NDArray[np.int32]  # [new.n_links, 2] indices in ids
    quality: NDArray[np.float64]  # [new.n_links, 2]
    kind: NDArray[np.int8]  # [new.n_links] codes into kinds
    measured: NDArray[np.bool_]  # [new.n_links, 2]
    kept_old: NDArray[np.int64]  # numbers in the old topology of links in both, ascending
    kept_new: NDArray[np.int64]  # numbers of the same links in the new topology

    @classmethod
    def of(cls, old: Topology, new: Topology) -> _Alignment:
        ids = old.ids + tuple(name for name in new.ids if name not in old)
        kinds = old.kinds + tuple(kind for kind in new.kinds if kind not in old.kinds)
        index = {name: at for at, name in enumerate(ids)}
        position = np.array([index[name] for name in new.ids], dtype=np.int64)
        ends = position[new.ends].astype(np.int32)
        recode = np.array([kinds.index(kind) for kind in new.kinds], dtype=np.int8)
        _, kept_old, kept_new = np.intersect1d(
            _pair_keys(old.ends, len(ids)),
            _pair_keys(ends, len(ids)),
            assume_unique=True,
            return_indices=True,
        )
        order = np.argsort(kept_old)
        kept_old, kept_new = kept_old[order], kept_new[order]
        quality, measured = new.quality.copy(), new.measured.copy()
        turned = kept_new[ends[kept_new, 0] != old.ends[kept_old, 0]]
        ends[turned] = ends[turned, ::-1]
        quality[turned] = quality[turned, ::-1]
        measured[turned] = measured[turned, ::-1]
        kind = recode[new.kind]
        return cls(ids, kinds, position, ends, quality, kind, measured, kept_old, kept_new)

    def names(self, ends: NDArray[np.int32]) -> tuple[str, str]:
        return self.ids[ends[0]], self.ids[ends[1]]


def _rows(old: Topology, new: Topology, joint: _Alignment) -> NodeTable:
    """What is known of the nodes: of those that are gone, what was known last."""
    both = old.nodes.then(new.nodes)
    row = np.arange(len(joint.ids))
    row[joint.position] = old.n_nodes + np.arange(new.n_nodes)
    return both.take(row)


def _pair_keys(ends: NDArray[np.int32], n_nodes: int) -> NDArray[np.int64]:
    """One number for each unordered pair of nodes, int64 [n_links]."""
    wide = ends.astype(np.int64)
    low, high = np.minimum(wide[:, 0], wide[:, 1]), np.maximum(wide[:, 0], wide[:, 1])
    return low * n_nodes + high


def _pair(quality: NDArray[np.float64]) -> tuple[float, float]:
    return float(quality[0]), float(quality[1])
