"""What goes wrong in a simulated mesh, and what that does to it at one moment.

A fault is the root fault of an incident, a consequence of it further on, or noise: an event
that has nothing to do with the incident. All three are made of the same kinds, and act on the same
physical quantities, so nothing but place, time and strength tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from actors.topology.model import Topology


class FaultKind(StrEnum):
    """What goes wrong."""

    NODE_DOWN = "node-down"
    LINK_DOWN = "link-down"
    LINK_LOSS = "link-loss"
    LINK_FLAP = "link-flap"
    DELAY = "delay"
    CONGESTION = "congestion"
    CPU_EXHAUSTION = "cpu-exhaustion"
    MEMORY_EXHAUSTION = "memory-exhaustion"
    UPSTREAM = "upstream"  # beyond the gateways: outside the mesh
    TELEMETRY_GAP = "telemetry-gap"  # a node works, and its telemetry does not arrive


LEAST_DELAY_S: Final = 0.005  # delays grow from this to 1 s by equal ratios, as they are compared
LINK_KINDS: Final = (
    FaultKind.LINK_DOWN,
    FaultKind.LINK_LOSS,
    FaultKind.LINK_FLAP,
    FaultKind.DELAY,
)


class Role(StrEnum):
    """What a fault is to the incident that it coincides with."""

    ROOT = "root"
    CONSEQUENCE = "consequence"
    NOISE = "noise"


class Mechanism(StrEnum):
    """Why a link loses frames, which decides what the receiver's radio shows of it."""

    ATTENUATION = "attenuation"  # RSSI and SNR fall
    INTERFERENCE = "interference"  # SNR falls
    CORRUPTION = "corruption"  # neither: a cable, a driver, a queue


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One thing that goes wrong.

    Attributes:
        kind: what goes wrong.
        role: what it is to the incident.
        start, end: first step, and the step after the last.
        strength: in (0, 1], how much of the worst.
        node: index of the node concerned; -1 outside the mesh. Of a link it is the end that
            receives what is lost or late.
        half_link: the half-link at that end; -1 if no link is concerned.
        both_ways: whether the other direction of the link suffers too.
        mechanism: why frames are lost.
        mesh: range of the nodes whose upstream it is; of `UPSTREAM` alone.
    """

    kind: FaultKind
    role: Role
    start: int
    end: int
    strength: float
    node: int
    half_link: int = -1
    both_ways: bool = False
    mechanism: Mechanism = Mechanism.CORRUPTION
    mesh: tuple[int, int] = (0, 0)

    def moved(self, nodes: int, half_links: int) -> SimulatedFault:
        """The same where nodes and half-links are numbered from these numbers on."""
        return replace(
            self,
            node=self.node + nodes if self.node >= 0 else -1,
            half_link=self.half_link + half_links if self.half_link >= 0 else -1,
            mesh=(self.mesh[0] + nodes, self.mesh[1] + nodes),
        )


class Effects:
    """What all faults together do at one step.

    Attributes:
        silent: bool [n_nodes], nodes that are down.
        mute: bool [n_nodes], nodes whose telemetry does not arrive.
        cpu: [n_nodes], share of the processor that something else takes, in [0, 1].
        memory: [n_nodes], share of the memory that something else takes, in [0, 1].
        occupied: [n_nodes], how far others fill what is left of the air around a node, in [0, 1].
        passing: [2 * n_links], share of the frames that a half-link still receives.
        rssi_hidden: bool [2 * n_links], whether the loss there leaves RSSI as it was.
        snr_hidden: bool [2 * n_links], whether the loss there leaves SNR as it was.
        delay_s: [2 * n_links], added to what a half-link receives, s.
        cut: bool [n_links].
        demand: [n_nodes], share of its usual traffic that what lies beyond the gateways serves.
    """

    def __init__(self, topology: Topology) -> None:
        n_nodes, n_half = topology.n_nodes, 2 * topology.n_links
        self.silent: NDArray[np.bool_] = np.zeros(n_nodes, bool)
        self.mute: NDArray[np.bool_] = np.zeros(n_nodes, bool)
        self.cpu: NDArray[np.float64] = np.zeros(n_nodes)
        self.memory: NDArray[np.float64] = np.zeros(n_nodes)
        self.occupied: NDArray[np.float64] = np.zeros(n_nodes)
        self.passing: NDArray[np.float64] = np.ones(n_half)
        self.rssi_hidden: NDArray[np.bool_] = np.zeros(n_half, bool)
        self.snr_hidden: NDArray[np.bool_] = np.zeros(n_half, bool)
        self.delay_s: NDArray[np.float64] = np.zeros(n_half)
        self.cut: NDArray[np.bool_] = np.zeros(topology.n_links, bool)
        self.demand: NDArray[np.float64] = np.ones(topology.n_nodes)

    @classmethod
    def at(cls, topology: Topology, faults: Iterable[SimulatedFault], step: int) -> Effects:
        """What acts at this step."""
        effects = cls(topology)
        for each in faults:
            if each.start <= step < each.end:
                effects._add(each, step - each.start)
        return effects

    def _add(self, one: SimulatedFault, age: int) -> None:
        if one.kind in LINK_KINDS:
            self._add_to_link(one, age)
        elif one.kind is FaultKind.UPSTREAM:
            self.demand[slice(*one.mesh)] *= 1.0 - one.strength
        else:
            self._add_to_node(one, age)

    def _add_to_link(self, one: SimulatedFault, age: int) -> None:
        halves = [one.half_link, one.half_link ^ 1] if one.both_ways else [one.half_link]
        if one.kind is FaultKind.DELAY:
            self.delay_s[halves] += LEAST_DELAY_S ** (1.0 - one.strength)
        elif one.kind is FaultKind.LINK_LOSS:
            self.passing[halves] *= 1.0 - one.strength
            self.rssi_hidden[halves] = one.mechanism is not Mechanism.ATTENUATION
            self.snr_hidden[halves] = one.mechanism is Mechanism.CORRUPTION
        elif one.kind is FaultKind.LINK_DOWN or age % 4 < 2:  # one that flaps: two steps each
            self.cut[one.half_link >> 1] = True

    def _add_to_node(self, one: SimulatedFault, age: int) -> None:
        node = one.node
        if one.kind is FaultKind.NODE_DOWN:
            self.silent[node] = True
        elif one.kind is FaultKind.TELEMETRY_GAP:
            self.mute[node] = True
        elif one.kind is FaultKind.CPU_EXHAUSTION:
            self.cpu[node] = max(self.cpu[node], one.strength)
        elif one.kind is FaultKind.MEMORY_EXHAUSTION:
            # A leak: all that it takes, it takes over three steps.
            self.memory[node] = max(self.memory[node], one.strength * min(1.0, (age + 1) / 3))
        elif one.kind is FaultKind.CONGESTION:
            # While most of the air is free, hardly anything waits: that is no congestion.
            self.occupied[node] = max(self.occupied[node], 0.3 + 0.7 * one.strength)

    def acts_on(self, topology: Topology) -> NDArray[np.bool_]:
        """Whether anything is wrong with each node, or with what it receives over its links."""
        owner = topology.ends.reshape(-1)
        peer = topology.ends[:, ::-1].reshape(-1)
        worse = (self.passing < 1.0) | (self.delay_s > 0.0) | np.repeat(self.cut, 2)
        worse |= self.silent[peer]
        wrong = self.silent | (self.cpu > 0.0) | (self.memory > 0.0) | (self.occupied > 0.0)
        wrong[owner[worse]] = True
        return wrong
