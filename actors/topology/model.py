"""One immutable graph of a mesh, held as arrays.

Nodes are numbered 0..n_nodes-1 in the order of `ids`; links 0..n_links-1 in the order of
`ends`. A link is bidirectional and has one delivery probability per direction, because radio
links are asymmetric and usable only when heard both ways (De Couto et al., "A High-Throughput
Path Metric for Multi-Hop Wireless Routing", MobiCom 2003).

Directed links, on which routing works, are numbered from the links: `2 * e` runs from
`ends[e, 0]` to `ends[e, 1]` and `2 * e + 1` the other way. So `d ^ 1` is the reverse of `d`
and `d >> 1` its link.

A pair of nodes has one link here. Where several join them (cable and radio), it stands for the
best of them, and `parallel` says how many there are: the failure of one does not part the pair.

Invariants, checked on construction: ids are valid and unique; a link joins two different
existing nodes; no pair of nodes has two links; every quality is in (0, 1]. Arrays are private
copies and read-only, so a `Topology` can be shared by anyone and compared by content. What is
known of the nodes besides (`nodes`) is no part of that content.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from actors.runtime.errors import InvalidInput
from actors.topology.arrays import as_mask, read_only
from actors.topology.errors import UnknownNode
from actors.topology.invariants import as_columns, check_columns, check_ids, check_links
from actors.topology.naming import Naming, label, link_label
from actors.topology.node_table import NodeTable
from actors.topology.surviving import Surviving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import networkx as nx
    from numpy.typing import ArrayLike, NDArray

KINDS = ("wifi", "vpn", "other")
"""The kinds of link that importers tell apart; `kind` codes are positions in this tuple."""


class OutLinks(NamedTuple):
    """Directed links by their source node, in compressed sparse rows.

    Node v sends over `links[indptr[v]:indptr[v + 1]]`, sorted by target.
    """

    indptr: NDArray[np.int64]  # [n_nodes + 1]
    links: NDArray[np.int32]  # [2 * n_links] directed link numbers


# No slots: the cached properties live in __dict__. No generated __eq__: arrays need their own.
@dataclass(frozen=True, eq=False)
class Topology:
    """A mesh as ids, links, delivery qualities and kinds of link.

    Attributes:
        ids: node ids; the position is the node's index.
        ends: int32 [n_links, 2], node indices of each link's ends.
        quality: float64 [n_links, 2], delivery probability in (0, 1]; column 0 from
            `ends[:, 0]` to `ends[:, 1]`, column 1 back.
        kind: int8 [n_links], positions in `kinds`.
        kinds: names of the kinds of link.
        measured: bool [n_links, 2], False where the quality is assumed: nobody measured it.
        parallel: int16 [n_links], how many links join the pair, 1 or more.
        nodes: names, gateways, clients and places of the nodes.

    `measured`, `parallel` and `nodes` may be left out: all measured, all single, nothing known.

    Raises:
        TopologyError: an invariant of the module does not hold; `entry` names the place.
    """

    ids: tuple[str, ...]
    ends: NDArray[np.int32]
    quality: NDArray[np.float64]
    kind: NDArray[np.int8]
    kinds: tuple[str, ...] = KINDS
    measured: NDArray[np.bool_] = field(default_factory=lambda: np.empty((0, 2), np.bool_))
    parallel: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))
    nodes: NodeTable = field(default_factory=lambda: NodeTable.unknown(0))

    def __post_init__(self) -> None:
        ends, quality, kind = as_columns(self.ends, self.quality, self.kind)
        ids, kinds = tuple(self.ids), tuple(self.kinds)
        check_ids(ids)
        check_links(len(ids), ends, quality, kind, kinds)
        measured = np.array(self.measured if len(self.measured) else np.ones((len(ends), 2), bool))
        parallel = np.array(self.parallel if len(self.parallel) else np.ones(len(ends), np.int16))
        nodes = self.nodes if self.nodes.names else NodeTable.unknown(len(ids))
        check_columns(len(ids), len(ends), measured, parallel, nodes)
        columns = ends.astype(np.int32), quality, kind.astype(np.int8)
        self._settle(ids, *columns, kinds, measured, parallel.astype(np.int16), nodes)

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        links: Sequence[tuple[int, int]] | ArrayLike = (),
        quality: ArrayLike = 1.0,
        kind: ArrayLike = 0,
        kinds: tuple[str, ...] = KINDS,
        nodes: NodeTable | None = None,
    ) -> Topology:
        """Build from anything numpy can read; `quality` and `kind` are broadcast to all links."""
        ends = np.array(links)
        shape = (len(ends), 2)
        return cls(
            tuple(ids),
            ends,
            np.broadcast_to(np.asarray(quality, dtype=np.float64), shape),
            np.broadcast_to(np.asarray(kind), shape[:1]),
            kinds,
            nodes=nodes or NodeTable.unknown(len(ids)),
        )

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @property
    def n_links(self) -> int:
        """Number of (bidirectional) links."""
        return len(self.ends)

    @cached_property
    def link_source(self) -> NDArray[np.int32]:
        """Source node of each directed link, int32 [2 * n_links]."""
        return read_only(self.ends.reshape(-1).copy())

    @cached_property
    def link_target(self) -> NDArray[np.int32]:
        """Target node of each directed link, int32 [2 * n_links]."""
        return read_only(self.ends[:, ::-1].reshape(-1).copy())

    @cached_property
    def link_quality(self) -> NDArray[np.float64]:
        """Delivery probability of each directed link, float64 [2 * n_links] in (0, 1]."""
        return read_only(self.quality.reshape(-1).copy())

    @cached_property
    def out_links(self) -> OutLinks:
        """Directed links grouped by source node and sorted by target within it."""
        numbers = np.arange(2 * self.n_links, dtype=np.int32)
        # A sparse matrix counts rows and columns, which is faster than sorting by both.
        matrix = csr_array(
            (numbers, (self.link_source, self.link_target)), shape=(self.n_nodes, self.n_nodes)
        )
        matrix.sort_indices()
        return OutLinks(read_only(matrix.indptr.astype(np.int64)), read_only(matrix.data))

    @cached_property
    def degree(self) -> NDArray[np.int64]:
        """Number of links at each node, int64 [n_nodes]."""
        return read_only(np.diff(self.out_links.indptr))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.ids)}

    @cached_property
    def _pair_keys(self) -> NDArray[np.int64]:
        """`source * n_nodes + target` of each directed link in the order of `out_links`."""
        links = self.out_links.links
        return self.link_source[links].astype(np.int64) * self.n_nodes + self.link_target[links]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def index_of(self, name: str) -> int:
        """Index of the node with this id.

        Raises:
            UnknownNode: no node has it; the error suggests ids that look alike.
        """
        try:
            return self._index[name]
        except KeyError:
            raise UnknownNode(name, known=self.ids) from None

    @cached_property
    def naming(self) -> Naming:
        """Finds nodes by what people call them."""
        return Naming(self._index, self.nodes.names)

    def find(self, text: str) -> int:
        """Index of the node that a person means: by id, name, or the beginning of one.

        Raises:
            UnknownNode: it fits no node; the error suggests what looks alike.
            AmbiguousNode: it fits several, which the error lists.
        """
        return self.naming.find(text)

    def name_of(self, node: str) -> str | None:
        """Name of the node with this id; None if it has none, or there is no such node."""
        return self.naming.name_of(node)

    def label(self, node: int) -> str:
        """The node of this index as people are told of it: `name (id)`, or the id alone."""
        return label(self.ids[node], self.nodes.names[node])

    def link_label(self, link: int) -> str:
        """The link in words for people: the labels of both its ends."""
        a, b = self.ends[link].tolist()
        return link_label(self.label(a), self.label(b))

    def directed_link(self, source: int, target: int) -> int | None:
        """Directed link from one node index to another, None if they are not neighbours."""
        found = int(self.directed_links([source], [target])[0])
        return None if found < 0 else found

    def directed_links(self, source: ArrayLike, target: ArrayLike) -> NDArray[np.int32]:
        """Directed links for arrays of node indices, int32; -1 where there is no link."""
        sources, targets = np.asarray(source, np.int64), np.asarray(target, np.int64)
        if self.n_links == 0:
            return np.full(np.broadcast_shapes(sources.shape, targets.shape), -1, np.int32)
        wanted = sources * self.n_nodes + targets
        at = np.minimum(np.searchsorted(self._pair_keys, wanted), len(self._pair_keys) - 1)
        # A target outside 0..n-1 would alias another pair's key.
        hit = (self._pair_keys[at] == wanted) & (targets >= 0) & (targets < self.n_nodes)
        return np.where(hit, self.out_links.links[at], np.int32(-1)).astype(np.int32)

    def link_name(self, link: int) -> str:
        """The link in words: both its ends."""
        a, b = self.ends[link].tolist()
        return link_label(self.ids[a], self.ids[b])

    def link_between(self, a: str, b: str) -> int:
        """Index of the link between two nodes.

        Raises:
            UnknownNode: one of them does not exist.
            InvalidInput: they are not neighbours.
        """
        found = self.directed_link(self.index_of(a), self.index_of(b))
        if found is None:
            raise InvalidInput(
                f"no link {link_label(*map(self.naming.label, (a, b)))}",
                "these nodes are not neighbours",
                "Name the two ends of one link.",
                entry="links",
            )
        return found >> 1

    def to_networkx(self) -> nx.Graph[str]:
        """The same as a networkx graph of node ids, see `graph_export.to_networkx`."""
        from actors.topology.graph_export import to_networkx  # noqa: PLC0415 - it imports this module

        return to_networkx(self)

    def without(self, *, nodes: ArrayLike = (), links: ArrayLike = ()) -> Surviving:
        """Show this graph with some nodes and links failed; nothing is renumbered.

        Args:
            nodes: indices of failed nodes, or a boolean mask [n_nodes] of them.
            links: indices of failed links, or a boolean mask [n_links] of them.

        Raises:
            IndexError: an index is out of range or a mask has another length.
        """
        node_alive = ~as_mask(nodes, self.n_nodes)
        link_alive = ~as_mask(links, self.n_links) & node_alive[self.ends].all(axis=1)
        return Surviving(self, read_only(node_alive), read_only(link_alive))

    @cached_property
    def _whole(self) -> Surviving:
        return self.without()

    def components(self) -> NDArray[np.int32]:
        """Component of each node, int32 [n_nodes], numbered from 0."""
        return self._whole.components

    def diameter(self) -> int:
        """Greatest number of hops on a shortest path between two connected nodes (exact)."""
        return self._whole.diameter()

    def subgraph(self, keep: NDArray[np.bool_]) -> Topology:
        """The graph induced by the nodes of a boolean mask [n_nodes], renumbered in order."""
        new_index = np.cumsum(keep) - 1
        inside = self.keeping(keep[self.ends[:, 0]] & keep[self.ends[:, 1]])
        return _restore(
            tuple(name for name, kept in zip(self.ids, keep, strict=True) if kept),
            new_index[inside.ends].astype(np.int32),
            inside.quality,
            inside.kind,
            self.kinds,
            inside.measured,
            inside.parallel,
            self.nodes.take(np.flatnonzero(keep)),
        )

    def keeping(self, links: NDArray[np.bool_]) -> Topology:
        """The same nodes with the links of a boolean mask [n_links], renumbered in order."""
        # Part of what is valid is valid: no need to check it again.
        return _restore(
            self.ids,
            self.ends[links],
            self.quality[links],
            self.kind[links],
            self.kinds,
            self.measured[links],
            self.parallel[links],
            self.nodes,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        return (
            self.ids == other.ids
            and self.kinds == other.kinds
            and np.array_equal(self.ends, other.ends)
            and np.array_equal(self.quality, other.quality)
            and np.array_equal(self.kind, other.kind)
            and np.array_equal(self.measured, other.measured)
            and np.array_equal(self.parallel, other.parallel)
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """BLAKE2b of the content, 32 hex digits: equal topologies have equal digests."""
        content = hashlib.blake2b(digest_size=16)
        for name in (*self.ids, "", *self.kinds, ""):
            content.update(name.encode() + b"\0")
        for array in (self.ends, self.quality, self.kind, self.measured, self.parallel):
            content.update(array.tobytes())
        return content.hexdigest()

    def __repr__(self) -> str:
        return f"Topology({self.n_nodes} nodes, {self.n_links} links, {self.digest[:8]})"

    def __reduce__(self) -> tuple[Callable[..., Topology], tuple[Any, ...]]:
        """Pickle the fields alone, and do not validate them again."""
        return _restore, self._columns

    @property
    def _columns(self) -> tuple[Any, ...]:
        return tuple(getattr(self, each.name) for each in fields(self))

    def _settle(self, *values: Any) -> None:  # noqa: ANN401 - the fields, in their order
        """Set the fields of this frozen dataclass, once, with read-only arrays."""
        for each, value in zip(fields(self), values, strict=True):
            settled = read_only(value) if isinstance(value, np.ndarray) else value
            object.__setattr__(self, each.name, settled)


def _restore(*values: Any) -> Topology:  # noqa: ANN401 - pickle hands back what __reduce__ gave
    topology = Topology.__new__(Topology)
    topology._settle(*values)  # noqa: SLF001 - the constructor's other half, in one module
    return topology
