"""What a drill breaks, and what must then be true.

Pairs of nodes are unordered here and everywhere in a drill; pairs with a failed end do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh.lies import Lie
from actors.mesh.membership import Faults
from actors.runtime.errors import InvalidInput
from actors.topology.cuts import single_failures
from actors.topology.surviving import connected_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from actors.mesh.membership import Membership
    from actors.topology.model import Topology
    from actors.topology.surviving import Surviving


class DrillScenario(StrEnum):
    """The kinds of drill."""

    WORST_NODE = "worst-node"
    RANDOM_NODE = "random-node"
    LINK = "link"
    PARTITION = "partition"
    SHARD_KILL = "shard-kill"
    LIAR = "liar"
    EQUIVOCATOR = "equivocator"
    REPLAY = "replay"


LIES: Final = {
    DrillScenario.LIAR: Lie.LINKS,
    DrillScenario.EQUIVOCATOR: Lie.STORIES,
    DrillScenario.REPLAY: Lie.REPLAY,
}
"""The drills in which a node lies and nothing fails. Who tells two stories is to be cut off."""


@dataclass(frozen=True, slots=True)
class DrillPlan:
    """One drill's fault.

    Attributes:
        scenario: the kind of drill.
        failed: what fails, in words: node ids, "a--b" for links, the shard's name.
        nodes: indices of nodes that fail, or are to be cut off for what they did.
        links: indices of failing links.
        shard: the shard to kill, or empty.
        liar: index of the node that lies, or -1.
        pairs_separated: what the failure will cost, predicted from the topology.
    """

    scenario: DrillScenario
    failed: tuple[str, ...]
    nodes: tuple[int, ...] = ()
    links: tuple[int, ...] = ()
    shard: str = ""
    liar: int = -1
    pairs_separated: int = 0

    def faults(self, topology: Topology) -> Faults:
        """What to inject."""
        if self.liar >= 0:
            return Faults(lies=frozenset({(self.liar, LIES[self.scenario])}))
        pairs = (tuple(sorted(topology.ends[link].tolist())) for link in self.links)
        return Faults(frozenset(self.nodes), frozenset((a, b) for a, b in pairs))

    def labels(self, topology: Topology) -> tuple[str, ...]:
        """As `failed`, as people are told of it."""
        nodes, links = map(topology.label, self.nodes), map(topology.link_label, self.links)
        return (*nodes, *links) or self.failed

    def truth(self, topology: Topology) -> Surviving:
        """What is left of the mesh, by the topology."""
        return topology.without(nodes=list(self.nodes), links=list(self.links))


def plan(
    scenario: DrillScenario, membership: Membership, seed: int, target: Sequence[str] = ()
) -> DrillPlan:
    """Choose what to break.

    Args:
        scenario: the kind of drill.
        membership: membership of the running mesh.
        seed: seed of the choices that the scenario leaves open.
        target: a node, a link's two ends, or a shard, to break that one instead; nodes as people
            call them.

    Raises:
        InvalidInput: the target does not fit the scenario, or the mesh is too small for it.
        UnknownNode: the target names a node that does not exist.
        AmbiguousNode: the target's name is that of several nodes.
    """
    topology = membership.topology
    choose = np.random.default_rng(seed)
    if int(membership.present.sum()) < 3:
        raise InvalidInput(
            "cannot drill", "the mesh has fewer than 3 nodes", "Use a larger topology."
        )
    match scenario:
        case DrillScenario.WORST_NODE | DrillScenario.RANDOM_NODE:
            return _node(scenario, membership, choose, target)
        case DrillScenario.LINK:
            return _link(membership, choose, target)
        case DrillScenario.PARTITION:
            _refuse_target(scenario, target)
            return _partition(topology)
        case DrillScenario.SHARD_KILL:
            shards = membership.placement.shards
            if len(target) > 1 or not set(target) <= set(shards):
                raise InvalidInput(
                    f"no shard {','.join(target)}",
                    "the mesh has none of that name",
                    f"Give one of {', '.join(shards)}.",
                    entry="target",
                )
            shard = target[0] if target else str(choose.choice(shards))
            return DrillPlan(scenario, (shard,), shard=shard)
        case DrillScenario.LIAR | DrillScenario.EQUIVOCATOR | DrillScenario.REPLAY:
            chosen = _node(scenario, membership, choose, target)
            if scenario is DrillScenario.EQUIVOCATOR:
                return replace(chosen, liar=chosen.nodes[0])
            return replace(chosen, nodes=(), liar=chosen.nodes[0], pairs_separated=0)


def _node(
    scenario: DrillScenario,
    membership: Membership,
    choose: np.random.Generator,
    target: Sequence[str],
) -> DrillPlan:
    topology = membership.topology
    costs = np.where(membership.present, single_failures(topology).by_node, -1)
    if len(target) > 1:
        _refuse_target(scenario, target)
    if target:
        node = membership.naming().find(target[0])
    elif scenario is DrillScenario.WORST_NODE:
        # Among equals (a mesh without cut nodes) the one with most neighbours.
        node = int(np.lexsort((topology.degree, costs))[-1])
    else:
        node = int(choose.choice(np.flatnonzero(membership.present)))
    return DrillPlan(
        scenario, (topology.ids[node],), nodes=(node,), pairs_separated=int(costs[node])
    )


def _link(membership: Membership, choose: np.random.Generator, target: Sequence[str]) -> DrillPlan:
    topology = membership.topology
    costs = single_failures(topology).by_link
    if len(target) not in (0, 2):
        _refuse_target(DrillScenario.LINK, target)
    if target:
        a, b = map(membership.naming().find, target)
        link = topology.link_between(topology.ids[a], topology.ids[b])
    elif costs.max() > 0:
        link = int(costs.argmax())
    else:
        link = int(choose.integers(topology.n_links))
    return DrillPlan(
        DrillScenario.LINK,
        (topology.link_name(link),),
        links=(link,),
        pairs_separated=int(costs[link]),
    )


def _partition(topology: Topology) -> DrillPlan:
    """Cut the mesh in two halves: the nodes nearest to one end of it, and the rest."""
    whole = topology.without()
    largest = np.flatnonzero(whole.largest_component())
    hops = _hops(topology, int(largest[0]))
    far = int(largest[np.argmax(hops[largest])])
    hops = _hops(topology, far)
    near = largest[np.argsort(hops[largest], kind="stable")][: len(largest) // 2]
    half = np.zeros(topology.n_nodes, bool)
    half[near] = True
    cut = np.flatnonzero(half[topology.ends[:, 0]] != half[topology.ends[:, 1]])
    after = topology.without(links=cut)
    return DrillPlan(
        DrillScenario.PARTITION,
        tuple(topology.link_name(link) for link in cut.tolist()),
        links=tuple(cut.tolist()),
        pairs_separated=connected_pairs(whole.components) - connected_pairs(after.components),
    )


def _hops(topology: Topology, start: int) -> NDArray[np.int64]:
    """Hops from `start` to every node it can reach; -1 to the others."""
    hops = np.full(topology.n_nodes, -1, np.int64)
    frontier = np.array([start])
    indptr, links = topology.out_links
    for distance in range(topology.n_nodes):
        hops[frontier] = distance
        around = [links[indptr[v] : indptr[v + 1]] for v in frontier.tolist()]
        beyond = np.unique(topology.link_target[np.concatenate(around)])
        frontier = beyond[hops[beyond] < 0]
        if not len(frontier):
            break
    return hops


def _refuse_target(scenario: DrillScenario, target: Sequence[str]) -> None:
    if target:
        raise InvalidInput(
            f"target {','.join(target)} does not fit scenario {scenario}",
            "a node drill takes one node, a link drill the two ends of a link, others choose alone",
            "Leave --target out, or choose another scenario.",
            entry="target",
        )
