"""What has happened in an emulated mesh between two looks at it.

Pure: two states go in, events come out; nobody else makes events of a mesh. A node is up while at
least one neighbour hears it, which is how the mesh itself tells; a link is up while both its ends
advertise it. What a shard that does not answer hosts keeps its last known state: it is not known
to have failed. A change that is undone between two looks is not seen.

Of routes, those to the nearest gateway are followed, by the costs that the nodes advertise. While
the next hop is on one of the cheapest paths, it stays: which of equals the tables have is not told.
All that change between two looks are one event.

A state may be stored and compared with one of a later process, since ids decide, not indices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from actors.topology import naming
from actors.topology.events import EventKind, EventSeverity, NetworkEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from actors.topology.live import LiveMesh
    from actors.topology.model import Topology

DEGRADED_BELOW: Final = 0.5  # quality of the worse direction of a link
RECOVERED_ABOVE: Final = 0.6
LISTED: Final = 1_000  # most nodes that an event lists
NEIGHBOURS: Final = 50  # most neighbours of a silent node that its event lists
NAMED: Final = 20  # most nodes of a part whose names are told
_INFO, _WARNING, _CRITICAL = EventSeverity.INFO, EventSeverity.WARNING, EventSeverity.CRITICAL


@dataclass(frozen=True, slots=True, eq=False)
class MeshState:
    """A mesh at one moment.

    Attributes:
        ids: ids of all nodes, those that left included.
        names: host names or labels; "" where there is none.
        gateway: bool [n_nodes], True for nodes that lead to the internet.
        clients: int32 [n_nodes], devices connected to each; `UNKNOWN_CLIENTS` where not known.
        present: bool [n_nodes], False for nodes that left.
        heard: bool [n_nodes], whether a neighbour hears the node.
        ends: int32 [n_links, 2], node indices of each link's ends.
        up: bool [n_links].
        degraded: bool [n_links], links that are up and lose much.
        nexthop: int32 [n_nodes], the neighbour on the way to the nearest gateway; -1 for gateways
            and for nodes that reach none.
        lives: incarnation of each shard that was heard.
        down: shards that do not answer, and why.
        hosts: indices of the nodes of each shard that have links.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    gateway: NDArray[np.bool_]
    clients: NDArray[np.int32]
    present: NDArray[np.bool_]
    heard: NDArray[np.bool_]
    ends: NDArray[np.int32]
    up: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    nexthop: NDArray[np.int32]
    lives: Mapping[str, int]
    down: Mapping[str, str]
    hosts: Mapping[str, list[int]]

    def label(self, node: int) -> str:
        """The node as people know it: `name (id)`."""
        return naming.label(self.ids[node], self.names[node])

    @property
    def is_formed(self) -> bool:
        """Whether every node is heard and every link is up, as soon after the start of a mesh."""
        return bool(
            (self.heard | ~self.present).all()
            and (self.up | ~self.present[self.ends[:, 0]] | ~self.present[self.ends[:, 1]]).all()
        )


def state_of(
    mesh: LiveMesh, down: Mapping[str, str], before: MeshState | None = None
) -> MeshState | None:
    """The state of a mesh by what its shards have reported; None before all have.

    Args:
        mesh: what is known of it.
        down: shards that do not answer, and why.
        before: the state at the look before; nodes and links stay as in it while a shard has
            still to report.
    """
    lives = dict(before.lives) if before is not None else {}
    lives |= {shard: part.incarnation for shard, part in mesh.parts.items()}
    if not mesh.is_whole:
        return before and replace(before, down=dict(down), lives=lives)
    topology, present = mesh.roster.topology, mesh.roster.present
    cost, quality = mesh.directed()
    heard = np.zeros(topology.n_nodes, bool)
    heard[topology.link_target[cost > 0]] = True
    up = (cost[0::2] > 0) & (cost[1::2] > 0)
    state = MeshState(
        ids=topology.ids,
        names=topology.nodes.names,
        gateway=topology.nodes.gateway,
        clients=topology.nodes.clients,
        present=present,
        heard=heard & present,
        ends=topology.ends,
        up=up & present[topology.ends[:, 0]] & present[topology.ends[:, 1]],
        degraded=np.zeros(topology.n_links, bool),
        nexthop=np.full(topology.n_nodes, -1, np.int32),
        lives=lives,
        down=dict(down),
        hosts={
            shard: np.unique(topology.link_source[part.link]).tolist()
            for shard, part in mesh.parts.items()
        },
    )
    worse = quality.reshape(-1, 2).min(axis=1)
    was = state if before is None else _aligned(before, state)
    limit = np.where(was.degraded, RECOVERED_ABOVE, DEGRADED_BELOW)
    hops = _next_hops(topology, np.where(np.repeat(state.up, 2), cost, 0), state, was.nexthop)
    return replace(state, degraded=state.up & (worse < limit), nexthop=hops)


def changes(
    before: MeshState, now: MeshState, *, first: int, at: float
) -> tuple[NetworkEvent, ...]:
    """What has happened between two looks.

    Args:
        before: the state at the earlier look.
        now: the state at the later one.
        first: number of the first event.
        at: Unix time of the later look, s.
    """
    aligned = _aligned(before, now)
    whole = _Whole(aligned, now)
    told = [*_shards(before, now), *_nodes(aligned, whole), *_links(aligned, whole)]
    told += _parts(whole)
    told += _routes(aligned, now)
    return tuple(
        NetworkEvent(number, at, one.kind, one.severity, one.nodes, one.link, one.what, one.data)
        for number, one in enumerate(told, first)
    )


@dataclass(frozen=True, slots=True)
class _Happening:
    """An event that has no number yet."""

    kind: EventKind
    severity: EventSeverity
    what: str
    data: dict[str, Any]
    nodes: tuple[str, ...] = ()
    link: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Aligned:
    """An earlier state in the indices of a later one; False where it did not know the row."""

    names: tuple[str, ...]  # "" for nodes that it did not know
    present: NDArray[np.bool_]
    heard: NDArray[np.bool_]
    known: NDArray[np.bool_]  # [n_links] whether it knew the link, with both its ends present
    up: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    nexthop: NDArray[np.int32]  # [n_nodes]; -1 also where the later state does not know the hop
    gone: tuple[tuple[str, str], ...]  # labels and ids of nodes that the later one does not know
    lost: tuple[tuple[str, str], ...]  # ids of ends of links that were up and are not known now


def _aligned(before: MeshState, now: MeshState) -> _Aligned:
    index = {name: row for row, name in enumerate(now.ids)}
    row = np.array([index.get(name, -1) for name in before.ids], np.int64).reshape(-1)
    old = np.flatnonzero(row >= 0)
    n = len(now.ids)
    names = [""] * n
    for at in old.tolist():
        names[row[at]] = before.names[at]
    present, heard = np.zeros(n, bool), np.zeros(n, bool)
    present[row[old]], heard[row[old]] = before.present[old], before.heard[old]
    hops = np.full(n, -1, np.int32)
    leads = old[before.nexthop[old] >= 0]
    hops[row[leads]] = row[before.nexthop[leads]]
    was_there = before.present[before.ends[:, 0]] & before.present[before.ends[:, 1]]
    mapped = row[before.ends].reshape(-1, 2)
    old_keys = np.where((mapped >= 0).all(axis=1), _keys(mapped, n), -1)
    _, kept_old, kept_new = np.intersect1d(
        old_keys, _keys(now.ends.astype(np.int64), n), return_indices=True
    )
    columns = []
    for column in (was_there, before.up, before.degraded):
        found = np.zeros(len(now.ends), bool)
        found[kept_new] = column[kept_old]
        columns.append(found)
    lost = np.setdiff1d(np.flatnonzero(before.up), kept_old)
    return _Aligned(
        names=tuple(names),
        present=present,
        heard=heard,
        known=columns[0],
        up=columns[1],
        degraded=columns[2],
        nexthop=hops,
        gone=tuple(
            (before.label(at), before.ids[at])
            for at in np.flatnonzero((row < 0) & before.present).tolist()
        ),
        lost=tuple((before.ids[a], before.ids[b]) for a, b in before.ends[lost].tolist()),
    )


def _keys(ends: NDArray[np.int64], n_nodes: int) -> NDArray[np.int64]:
    """One number for each unordered pair of nodes."""
    a, b = ends[:, 0], ends[:, 1]
    return np.minimum(a, b) * n_nodes + np.maximum(a, b)


class _Whole:
    """How the mesh stands as a whole, before and now.

    Attributes:
        now: the later state.
        old: number of the part of each node at the earlier look; -1 for nodes that nobody heard.
        new: the same at the later one.
        had, has: bool [n_nodes], whether a gateway is in the node's part.
        main: number of the part with the most nodes at the later look; -1 if nobody is heard.
        sums: what an event tells of the whole mesh: after it no node is silent, say.
    """

    def __init__(self, before: _Aligned, now: MeshState) -> None:
        self.now = now
        self.old = _labels(now.ends[before.up], before.heard & before.present)
        self.new = _labels(now.ends[now.up], now.heard)
        self.had = _with_gateway(self.old, now.gateway)
        self.has = _with_gateway(self.new, now.gateway)
        parts, sizes = np.unique(self.new[self.new >= 0], return_counts=True)
        self.main = int(parts[np.argmax(sizes)]) if len(parts) else -1
        without = (self.new >= 0) & ~self.has if now.gateway.any() else np.zeros_like(self.has)
        self.sums = {
            "silent": int((now.present & ~now.heard).sum()),
            "parts": len(parts),
            "without_gateway": int(without.sum()),
            "links": int(now.present[now.ends].all(axis=1).sum()),
        }

    def about(self, rows: list[int]) -> dict[str, Any]:
        """What people want to know of nodes: their names and clients, and which are gateways."""
        now, rows = self.now, rows[:LISTED]
        clients = {now.ids[r]: int(now.clients[r]) for r in rows if now.clients[r] >= 0}
        data = {
            "named": {now.ids[row]: now.names[row] for row in rows if now.names[row]},
            "clients_of": clients,
            "gateways": [now.ids[row] for row in rows if now.gateway[row]],
        }
        return {"now": self.sums} | {name: value for name, value in data.items() if value}

    def neighbours(self, row: int) -> dict[str, str]:
        """Names, by id, of those to which a node has links in the map; "" where there is none."""
        now = self.now
        ends = now.ends[(now.ends == row).any(axis=1)]
        others = np.unique(ends[ends != row])[:NEIGHBOURS].tolist()
        return {now.ids[other]: now.names[other] for other in others}


# -- shards --------------------------------------------------------------------------------------


def _shards(before: MeshState, now: MeshState) -> Iterator[_Happening]:
    for shard, why in now.down.items():
        if shard not in before.down:
            hosts = [now.ids[row] for row in now.hosts.get(shard, ())[:LISTED]]
            data: dict[str, Any] = {"shard": shard, "why": why, "hosts": hosts}
            yield _Happening(
                EventKind.SHARD_DOWN, _CRITICAL, f"shard {shard} does not answer: {why}", data
            )
    for shard, life in now.lives.items():
        if shard in now.down:
            continue
        data = {"shard": shard}
        if before.lives.get(shard, life) != life:
            what = f"shard {shard} was restarted"
            yield _Happening(EventKind.SHARD_RESTARTED, _WARNING, what, data)
        elif shard in before.down:
            yield _Happening(EventKind.SHARD_BACK, _INFO, f"shard {shard} answers again", data)


# -- nodes ---------------------------------------------------------------------------------------


def _nodes(before: _Aligned, whole: _Whole) -> Iterator[_Happening]:
    now = whole.now
    for label, id_ in before.gone:
        yield _left(label, id_, whole)
    changed = (before.present != now.present) | (now.present & (before.heard != now.heard))
    renamed = [
        row
        for row, name in enumerate(now.names)
        if before.present[row] and before.names[row] != name
    ]
    for row in np.union1d(np.flatnonzero(changed), np.array(renamed, np.int64)).tolist():
        yield from _node(before, whole, row)


def _left(label: str, id_: str, whole: _Whole) -> _Happening:
    data = {"now": whole.sums}
    return _Happening(EventKind.NODE_RETIRED, _INFO, f"node {label} has left", data, (id_,))


def _node(before: _Aligned, whole: _Whole, row: int) -> Iterator[_Happening]:
    now = whole.now
    label, nodes = now.label(row), (now.ids[row],)
    if not now.present[row]:
        yield _left(label, now.ids[row], whole)
        return
    if not before.present[row]:
        yield _Happening(EventKind.NODE_JOINED, _INFO, f"node {label} has joined", {}, nodes)
    elif before.names[row] != now.names[row]:
        what = f"node {before.names[row] or now.ids[row]} is now called {label}"
        yield _Happening(EventKind.NODE_RENAMED, _INFO, what, {"before": before.names[row]}, nodes)
    if before.heard[row] and not now.heard[row]:
        what = f"node {label} is silent: no neighbour hears it"
        data = whole.about([row]) | {"neighbours": whole.neighbours(row)}
        yield _Happening(EventKind.NODE_SILENT, _WARNING, what, data, nodes)
    elif now.heard[row] and before.present[row] and not before.heard[row]:
        data = whole.about([row])
        if whole.new[row] != whole.main:
            data["cut_off"] = True
        if now.gateway.any() and not whole.has[row]:
            data["no_gateway"] = True
        yield _Happening(EventKind.NODE_BACK, _INFO, f"node {label} is heard again", data, nodes)


# -- links ---------------------------------------------------------------------------------------


def _links(before: _Aligned, whole: _Whole) -> Iterator[_Happening]:
    now, sums = whole.now, {"now": whole.sums}
    for a, b in before.lost:
        what = f"link {naming.link_label(a, b)} is gone: the map does not list it any more"
        yield _Happening(EventKind.LINK_DOWN, _INFO, what, {"listed": False} | sums, (a, b), (a, b))
    changed = (before.up != now.up) | (before.degraded != now.degraded)
    for row in np.flatnonzero(changed).tolist():
        yield replace(_link(before, now, row), data=sums)


def _link(before: _Aligned, now: MeshState, row: int) -> _Happening:
    a, b = now.ends[row].tolist()
    link = (now.ids[a], now.ids[b])
    name = f"link {naming.link_label(now.label(a), now.label(b))}"
    severity = _INFO
    if before.up[row] and not now.up[row]:
        # The links of a node that has fallen silent tell nothing besides.
        severity = _WARNING if now.heard[[a, b]].all() else _INFO
        kind, what = EventKind.LINK_DOWN, f"{name} is down"
    elif now.up[row] and not before.up[row]:
        kind = EventKind.LINK_UP if before.known[row] else EventKind.LINK_ADDED
        what = f"{name} is up" if before.known[row] else f"{name} is new"
    elif now.degraded[row]:
        kind, severity, what = EventKind.LINK_DEGRADED, _WARNING, f"{name} loses much"
    else:
        kind, what = EventKind.LINK_RECOVERED, f"{name} is good again"
    return _Happening(kind, severity, what, {}, link, link)


# -- parts ---------------------------------------------------------------------------------------


def _parts(whole: _Whole) -> Iterator[_Happening]:
    """Splits and their ends, and who has lost or found a way to the internet."""
    old, new = whole.old, whole.new
    both = np.flatnonzero((old >= 0) & (new >= 0))
    pairs = np.unique(np.stack([old[both], new[both]], axis=1), axis=0)
    for part in _repeated(pairs[:, 0]):
        sides = [new == side for side in pairs[pairs[:, 0] == part, 1]]
        yield _parted(EventKind.SPLIT, _CRITICAL, "the mesh is split", sides, whole)
    for part in _repeated(pairs[:, 1]):
        sides = [old == side for side in pairs[pairs[:, 1] == part, 0]]
        told = _parted(
            EventKind.REJOINED, _INFO, "parts of the mesh are joined again", sides, whole
        )
        yield replace(told, data=told.data | {"main": part == whole.main})
    lost, found = whole.had & ~whole.has & (new >= 0), whole.has & ~whole.had & (old >= 0)
    if lost.any():
        told = _reaching(
            EventKind.GATEWAY_LOST, _CRITICAL, "reach no gateway any more", lost, whole
        )
        had = whole.now.gateway & np.isin(old, old[lost])
        reached = [whole.now.ids[row] for row in np.flatnonzero(had).tolist()[:NAMED]]
        yield replace(told, data=told.data | {"reached": reached})
    if found.any():
        yield _reaching(EventKind.GATEWAY_BACK, _INFO, "reach a gateway again", found, whole)


def _labels(ends: NDArray[np.int32], heard: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the part of each node; -1 for nodes that nobody hears."""
    n = len(heard)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    return np.where(heard, labels, -1).astype(np.int64)


def _repeated(labels: NDArray[np.int64]) -> list[int]:
    found, counts = np.unique(labels, return_counts=True)
    repeated: list[int] = found[counts > 1].tolist()
    return repeated


def _with_gateway(labels: NDArray[np.int64], gateway: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return (labels >= 0) & np.isin(labels, labels[gateway & (labels >= 0)])


def _parted(
    kind: EventKind,
    severity: EventSeverity,
    what: str,
    sides: list[NDArray[np.bool_]],
    whole: _Whole,
) -> _Happening:
    now = whole.now
    listed = sorted((np.flatnonzero(side).tolist() for side in sides), key=len, reverse=True)
    told = [
        {
            "nodes": len(side),
            "ids": _some(side, now),
            "named": {now.ids[row]: now.names[row] for row in side[:NAMED] if now.names[row]},
        }
        for side in listed
    ]
    counts = " and ".join(str(len(side)) for side in listed)
    smaller = [row for side in listed[1:] for row in side]
    data = whole.about(smaller) | {"sides": told}
    return _Happening(kind, severity, f"{what}: parts of {counts} nodes", data, _some(smaller, now))


# -- routes --------------------------------------------------------------------------------------


def _next_hops(
    topology: Topology, cost: NDArray[np.int32], state: MeshState, was: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The next hop of each node to its nearest gateway, see `MeshState.nexthop`.

    Args:
        topology: nodes and links of the state.
        cost: cost of each directed link; 0 where it is down.
        state: who leads to the internet, and who is heard.
        was: next hops before, which stay while they are on a cheapest path.
    """
    n = topology.n_nodes
    found = np.full(n, -1, np.int32)
    gateways = np.flatnonzero(state.gateway & state.heard)
    links = np.flatnonzero(cost > 0)
    if not len(gateways) or not len(links):
        return found
    source, target = topology.link_source[links], topology.link_target[links]
    price = cost[links].astype(np.float64)
    # Backwards, from the gateways: a route costs what its links cost in its own direction.
    graph = csr_array((price, (target, source)), shape=(n, n))
    far = dijkstra(graph, indices=gateways, min_only=True)
    cheapest = np.isfinite(far[target]) & (price + far[target] == far[source])
    source, target = source[cheapest], target[cheapest]
    found[source[::-1]] = target[::-1]
    stays = was[source] == target
    found[source[stays]] = target[stays]
    found[gateways] = -1
    return found


def _routes(before: _Aligned, now: MeshState) -> Iterator[_Happening]:
    old, new = before.nexthop, now.nexthop
    rows = np.flatnonzero((old >= 0) & (new >= 0) & (old != new)).tolist()
    if not rows:
        return
    what = f"{len(rows)} nodes changed the next hop to the gateway"
    if len(rows) == 1:
        (row,) = rows
        what = (
            f"node {now.label(row)} reaches its gateway over {now.label(new[row])},"
            f" no longer over {now.label(old[row])}"
        )
    routes = {now.ids[row]: [now.ids[old[row]], now.ids[new[row]]] for row in rows[:LISTED]}
    data = {"count": len(rows), "routes": routes}
    yield _Happening(EventKind.ROUTE_CHANGED, _INFO, what, data, _some(rows, now))


def _reaching(
    kind: EventKind,
    severity: EventSeverity,
    what: str,
    mask: NDArray[np.bool_],
    whole: _Whole,
) -> _Happening:
    now = whole.now
    rows = np.flatnonzero(mask).tolist()
    subject = f"node {now.label(rows[0])}" if len(rows) == 1 else f"{len(rows)} nodes"
    verb = what.replace("reach", "reaches", 1) if len(rows) == 1 else what
    data = whole.about(rows) | {"count": len(rows)}
    return _Happening(kind, severity, f"{subject} {verb}", data, _some(rows, now))


def _some(rows: list[int], now: MeshState) -> tuple[str, ...]:
    return tuple(now.ids[row] for row in rows[:LISTED])
