"""What must hold of all hosts of a simulation at one instant, found by walking messages by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actors.mesh.batch import HEAD, NO_POTENTIAL, UNSTAMPED
from actors.mesh.router import FORWARD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.router import MeshRouter
    from actors.mesh.simulator import Simulation

Stamp = tuple[int, int]  # (version, potential) that a message carries
FRESH: Stamp = (UNSTAMPED, int(NO_POTENTIAL))


def decide(
    router: MeshRouter, at: int, destination: int, stamp: Stamp, *, alternate: bool = False
) -> tuple[int, Stamp] | None:
    """Link and next stamp of one message by a host's router, None if it may not move."""
    head = np.zeros(1, HEAD)
    head["at"], head["destination"] = at, destination
    head["version"], head["potential"] = stamp
    decision = router.decide(head, alternate=alternate)
    if decision.verdict[0] != FORWARD:
        return None
    return int(decision.link[0]), (router.version, int(decision.potential[0]))


class LoopWatch:
    """Fails as soon as any message could circle while all databases stand still.

    A message's future depends only on the node it is at and its stamp. So a node forwards some
    message twice exactly if, from the stamps it gives itself, a state can be reached in which it
    forwards again. All choices that a forwarder has (alternates too, whatever links are free) are
    followed.
    """

    def __init__(self, *, failover: bool) -> None:
        self._choices = (False, True) if failover else (False,)
        self._tables: list[tuple[int, int]] = []
        self._known: list[dict[tuple[int, Stamp], list[tuple[int, Stamp]]]] = []
        self.checks = 0

    def __call__(self, sim: Simulation) -> None:
        """After an event: check again if some host has other tables than before."""
        if not self._tables:
            self._tables = [(-1, -1)] * len(sim.hosts)
            self._known = [{} for _ in sim.hosts]
        changed = False
        for node, host in enumerate(sim.hosts):
            tables = host.router.version, len(host.router.destinations)
            if tables != self._tables[node]:
                self._tables[node] = tables
                self._known[node] = {}
                changed = True
        if changed:
            self.checks += 1
            for destination in range(len(sim.hosts)):
                for start in range(len(sim.hosts)):
                    self._check(sim, start, destination)

    def _onward(
        self, sim: Simulation, node: int, destination: int, stamp: Stamp
    ) -> list[tuple[int, Stamp]]:
        known = self._known[node]
        onward = known.get((destination, stamp))
        if onward is None:
            found = (
                decide(sim.hosts[node].router, node, destination, stamp, alternate=choice)
                for choice in self._choices
            )
            onward = known[destination, stamp] = [
                (int(sim.topology.link_target[link]), after) for link, after in filter(None, found)
            ]
        return onward

    def _check(self, sim: Simulation, start: int, destination: int) -> None:
        if start == destination:
            return
        reached = set(self._onward(sim, start, destination, FRESH))
        agenda = list(reached)
        while agenda:
            node, stamp = agenda.pop()
            if node == destination:
                continue
            onward = self._onward(sim, node, destination, stamp)
            if node == start and onward:
                versions = [host.router.version for host in sim.hosts]
                raise AssertionError(
                    f"at {sim.now:.3f} s node {start} would forward a message to {destination} "
                    f"again, stamped {stamp}, towards {onward}; versions {versions}"
                )
            for state in onward:
                if state not in reached:
                    reached.add(state)
                    agenda.append(state)


def arrives(sim: Simulation, source: int, destination: int) -> bool:
    """Whether a message would get through now, all tables and neighbours standing still."""
    at, stamp = source, FRESH
    while at != destination:
        host = sim.hosts[at]
        step = decide(host.router, at, destination, stamp)
        if step is None:
            return False
        link, stamp = step
        if not host.neighbours.up[host.neighbours.row_of_link[link]]:
            return False
        at = int(sim.topology.link_target[link])
    return True


def reported_reachable(sim: Simulation, source: int, destination: int) -> bool:
    """What the source's host says of a destination."""
    ends = np.array([source], np.int32), np.array([destination], np.int32)
    return bool(sim.hosts[source].router.reachable(*ends)[0])


def trail_nodes(trail: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nodes of recorded trail entries: the bits above the 40 of the version."""
    return trail >> 40
