"""One failed set, in all its consequences.

Counts are of the graph G without the failed set F: `links_affected` are the distinct links in F or
with an end in F; `pairs_lost` the pairs of survivors that G connects and G - F does not (G may
start split); connectivity is maintained when there is none. Losses are explained in `loss`, and
leave out pairs of which an end has failed.

A node is cut off when it survives, reached a gateway before and reaches none after. A link between
two nodes that several links join fails as a whole: all of them.

A link is newly overloaded when it carried no more than its capacity before and carries more once
routes have changed. Traffic from, to or between the cut off is not carried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.bound import (
    convergence_bound_s,
    detection_bound_s,
    flood_bound_s,
    mean_detection_s,
)
from actors.topology.cuts import single_failures
from actors.topology.surviving import connected_pairs
from actors.twin.conditions import overloaded
from actors.twin.intact import pairs_of
from actors.twin.internet import people
from actors.twin.loss import Routes
from actors.twin.results import (
    Component,
    Impact,
    LinkLoad,
    Loss,
    PairImpact,
    Recovery,
    Stretch,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from actors.topology.surviving import Surviving
    from actors.twin.failure import Failure
    from actors.twin.intact import Intact
    from actors.twin.internet import Internet

MAX_UNKNOWN: Final = 0.01  # share of pairs of unknown loss, up to which that of the others is told


def impact(
    intact: Intact,
    failure: Failure,
    pairs: Sequence[tuple[str, str]] = (),
    internet: Internet | None = None,
) -> Impact:
    """The consequences of `failure`.

    Args:
        intact: the mesh before the failure.
        failure: a failure of this mesh's topology; may be empty, or everything.
        pairs: (source, destination) ids of the pairs whose own results are wanted.
        internet: the gateways of the mesh; None: none is known.

    Raises:
        UnknownNode: a node of `pairs` does not exist.
        IndexError: the failure belongs to another topology.
    """
    topology = intact.topology
    left = failure.survivors(topology)
    affected = ~left.link_alive
    alive = left.node_alive
    before, after = connected_pairs(topology.components()[alive]), connected_pairs(left.components)
    isolated = _isolated(topology.ends[left.link_alive], left.node_alive)
    lonely_before = _isolated(topology.ends, left.node_alive)
    spof, bridges = _next_cuts(left)
    routes = intact.routes.after(left)
    loss, unknown = _loss(intact, routes, left)
    return Impact(
        nodes=topology.n_nodes,
        links=topology.n_links,
        failed_nodes=[topology.ids[node] for node in failure.nodes.tolist()],
        failed_links=[topology.link_name(link) for link in failure.links.tolist()],
        links_affected=int(affected.sum()),
        surviving_nodes=int(left.node_alive.sum()),
        pairs=pairs_of(int(left.node_alive.sum())),
        pairs_connected_before=before,
        pairs_connected_after=after,
        pairs_lost=before - after,
        connectivity_maintained=before == after,
        cut_off=people(topology, internet.offline(left)) if internet else None,
        failing=people(topology, failure.nodes),
        parallel_links={
            topology.link_name(link): int(topology.parallel[link])
            for link in failure.links.tolist()
            if topology.parallel[link] > 1
        },
        components=_components(left, internet),
        components_before=len(intact.component_sizes),
        isolated_nodes=[topology.ids[node] for node in isolated],
        newly_isolated_nodes=[topology.ids[node] for node in isolated if node not in lonely_before],
        spof_nodes=spof,
        bridges=bridges,
        newly_overloaded=_overloaded(intact, routes, left),
        loss=loss,
        loss_unknown_pairs=unknown,
        pair_impacts=_pair_impacts(intact, left, pairs),
        stretch=_stretch(intact, routes, left),
        recovery=recovery(intact, left),
    )


def recovery(intact: Intact, left: Surviving) -> Recovery:
    """How long routes are wrong after the failure of everything that is not in `left`."""
    hello_s = intact.conditions.hello_s
    diameter = left.diameter()
    ends = intact.topology.ends[~left.link_alive]
    if not left.node_alive[ends].any():
        return Recovery(hello_s, diameter, None, None, None, None)
    mttd_s = mean_detection_s(hello_s)
    return Recovery(
        hello_s=hello_s,
        diameter_after=diameter,
        mttd_s=mttd_s,
        mttr_s=mttd_s + flood_bound_s(diameter),
        detection_bound_s=detection_bound_s(hello_s),
        convergence_bound_s=convergence_bound_s(hello_s, diameter),
    )


def _components(left: Surviving, internet: Internet | None) -> list[Component]:
    nodes = np.flatnonzero(left.node_alive)
    label = left.components[nodes]
    order = nodes[np.argsort(label, kind="stable")]
    parts = np.split(order, np.cumsum(np.bincount(label))[:-1]) if len(nodes) else []
    ids = left.topology.ids
    served = internet.served(left).tolist() if internet else [None] * len(parts)
    found = [
        Component(len(part), [ids[node] for node in part.tolist()], served[number])
        for number, part in enumerate(parts)
    ]
    return sorted(found, key=lambda component: -component.size)


def _isolated(ends: NDArray[np.int32], alive: NDArray[np.bool_]) -> dict[int, None]:
    """Living nodes without a link in `ends`, ascending."""
    degree = np.bincount(ends.reshape(-1), minlength=len(alive))
    return dict.fromkeys(np.flatnonzero(alive & (degree == 0)).tolist())


def _next_cuts(left: Surviving) -> tuple[list[str], list[str]]:
    """Cut nodes and bridges of what is left."""
    rest = left.topology.keeping(left.link_alive)
    cost = single_failures(rest)
    return (
        [rest.ids[node] for node in np.flatnonzero(cost.by_node).tolist()],
        [rest.link_name(link) for link in np.flatnonzero(cost.by_link).tolist()],
    )


def _overloaded(intact: Intact, routes: Routes, left: Surviving) -> list[LinkLoad] | None:
    capacity = intact.conditions.capacity
    if capacity is None or intact.conditions.traffic is None or intact.sampled:
        return None
    load = routes.load(_living(intact, left))
    over = np.flatnonzero(overloaded(load, capacity) & ~overloaded(intact.load, capacity))
    worst = over[np.argsort(-load[over] / capacity[over], kind="stable")]
    return [
        LinkLoad(
            link=intact.topology.link_name(link),
            before=float(intact.load[link]),
            after=float(load[link]),
            capacity=float(capacity[link]),
        )
        for link in worst.tolist()
    ]


def _living(intact: Intact, left: Surviving) -> NDArray[np.float64]:
    """The traffic between nodes that have not failed."""
    alive = left.node_alive
    return np.where(alive[intact.destinations][:, None] & alive, intact.rate, 0.0)


def _loss(intact: Intact, routes: Routes, left: Surviving) -> tuple[Loss | None, int]:
    """The loss between pairs of which it is known, if it is of nearly all; how many others are."""
    wanted = _living(intact, left)
    unknown = (intact.unknown | routes.unmeasured()) & (wanted > 0)
    rate = np.where(unknown, 0.0, wanted)
    total, others = float(rate.sum()), int(unknown.sum())
    if total == 0.0 or others > MAX_UNKNOWN * int((wanted > 0).sum()):
        return None, others
    working = np.where(left.directed_alive, intact.crossing, 0.0)

    def mean(delivery: NDArray[np.float64]) -> float:
        return 1.0 - float((delivery * rate).sum()) / total

    loss = Loss(
        before=mean(intact.delivery),
        during=mean(intact.routes.delivery(working)),
        after=mean(routes.delivery(intact.crossing)),
        retries=intact.conditions.retries,
        traffic_weighted=intact.conditions.traffic is not None,
        pairs=int((rate > 0).sum()),
        sampled=intact.sampled,
    )
    return loss, others


def _stretch(intact: Intact, routes: Routes, left: Surviving) -> Stretch:
    old, new = intact.routes, routes
    counted = old.routed & new.routed & left.node_alive
    counted &= left.node_alive[intact.destinations][:, None] & (old.hops > 0)
    if not counted.any():
        return Stretch(None, None, None, None, 0)
    hops = new.hops[counted] / old.hops[counted]
    known = counted & ~(intact.unknown | new.unmeasured())
    cost = new.trees.distance[known] / old.trees.distance[known]
    return Stretch(
        cost_mean=float(cost.mean()) if len(cost) else None,
        cost_max=float(cost.max()) if len(cost) else None,
        hops_mean=float(hops.mean()),
        hops_max=float(hops.max()),
        longer_pairs=int((cost > 1.0).sum()),
    )


def _pair_impacts(
    intact: Intact, left: Surviving, pairs: Sequence[tuple[str, str]]
) -> list[PairImpact]:
    topology = intact.topology
    ends = [(topology.index_of(a), topology.index_of(b)) for a, b in pairs]
    destinations = np.unique(np.array([b for _, b in ends], np.int64))
    old = Routes.of(topology, destinations)
    new = old.after(left)
    working = np.where(left.directed_alive, intact.crossing, 0.0)
    delivery = old.delivery(intact.crossing)
    during, after = old.delivery(working), new.delivery(intact.crossing)
    untold, untold_after = old.unmeasured(), new.unmeasured()
    found = []
    for source, destination in ends:
        cell = int(np.searchsorted(destinations, destination)), source
        alive = bool(left.node_alive[[source, destination]].all())
        known, told = not untold[cell], alive and not untold_after[cell]
        found.append(
            PairImpact(
                source=topology.ids[source],
                destination=topology.ids[destination],
                connected_before=bool(old.routed[cell]),
                connected_after=bool(new.routed[cell]) if alive else None,
                loss_before=1.0 - float(delivery[cell]) if known else None,
                loss_during=1.0 - float(during[cell]) if alive and known else None,
                loss_after=1.0 - float(after[cell]) if told else None,
                loss_unknown=bool(untold[cell] or (alive and untold_after[cell])),
                hops_before=int(old.hops[cell]) if old.routed[cell] else None,
                hops_after=int(new.hops[cell]) if alive and new.routed[cell] else None,
            )
        )
    return found
