"""The mesh in seeded virtual time: the same hosts as in production, one node each.

Nothing here knows the protocol. The simulator turns hosts when their time has come, carries
envelopes with a fixed latency, runs SPF where a shard would, and injects faults. Every run with
the same seed is the same run.
"""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh.contract import HostOptions
from actors.mesh.guard import Guard
from actors.mesh.host import MeshHost
from actors.mesh.journal import MemoryJournal
from actors.mesh.lying_host import LyingHost
from actors.mesh.partition import Partition
from actors.mesh.placement import Placement
from actors.runtime.clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.mesh.guard import Held
    from actors.mesh.lying_host import Deed
    from actors.topology.model import Topology

LATENCY_S = 0.002  # one-way delay of an envelope between hosts
CAPACITY = 4096


@dataclass(frozen=True, slots=True)
class Distrust:
    """Who lies, and what the others do about it.

    Attributes:
        liars: number of lying nodes to withstand, see `HostOptions`.
        guard: makes the guard of each node's host; by default every node is believed.
        lying: what each of the nodes that lie does; their hosts are no honest ones.
        check_s: time that a host needs to check one signature, s.
    """

    liars: int = 0
    guard: Callable[[int, Held], Guard] = lambda _node, _held: Guard()
    lying: Mapping[int, Iterable[Deed]] = field(default_factory=dict)
    check_s: float = 0.0


class Simulation:
    """A mesh of one-node hosts and its virtual clock.

    Args:
        topology: links and their true qualities.
        hello_s: interval between Hellos, s.
        feedback: whether unacknowledged frames may betray a dead neighbour.
        failover: whether loop-free alternates are used.
        seed: seed of the radio draws and the Hello phases.
        watch: called after every event with the simulation.
        distrust: which nodes lie, and what the others do about it.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        hello_s: float = 1.0,
        feedback: bool = True,
        failover: bool = False,
        seed: int = 0,
        watch: Callable[[Simulation], None] | None = None,
        distrust: Distrust | None = None,
    ) -> None:
        self.topology = topology
        self._clock = VirtualClock()
        distrust = distrust or Distrust()
        n = topology.n_nodes
        names = tuple(f"host-{node}" for node in range(n))
        placement = Placement(1, np.arange(n, dtype=np.int16), names)
        self.hosts: list[MeshHost] = []
        for node in range(n):
            options = HostOptions(
                hello_s, feedback, failover, seed * 1000 + node, liars=distrust.liars
            )
            guarded = functools.partial(distrust.guard, node)
            common = names[node], topology, placement, options, 0.0, guarded
            deeds = distrust.lying.get(node)
            honest = deeds is None
            host = MeshHost(*common) if honest else LyingHost(*common, node=node, deeds=deeds or ())
            partition = Partition(node, n, MemoryJournal(), CAPACITY)
            partition.recover()
            host.adopt(partition, 0.0)
            self.hosts.append(host)
        self._by_name = dict(zip(names, self.hosts, strict=True))
        self._watch = watch
        self._silent: set[int] = set()
        self._cut: set[tuple[int, int]] = set()
        self._check_s = distrust.check_s
        self._checking: set[str] = set()
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._in_flight: set[tuple[str, str]] = set()
        self._turn_at: dict[str, float] = {}
        self._stalled_until: dict[str, float] = {}
        for host in self.hosts:
            self._wake(host, 0.0)

    @property
    def now(self) -> float:
        """Virtual time, s."""
        return self._clock.now()

    # -- the world -------------------------------------------------------------------------------

    def silence(self, *nodes: int, silent: bool = True) -> None:
        """Make nodes fall silent, or speak again."""
        self._silent = self._silent.union(nodes) if silent else self._silent.difference(nodes)
        self._inject()

    def cut(self, *pairs: tuple[int, int], cut: bool = True) -> None:
        """Break links, or mend them."""
        ordered = {(min(pair), max(pair)) for pair in pairs}
        self._cut = self._cut | ordered if cut else self._cut - ordered
        self._inject()

    def _inject(self) -> None:
        for host in self.hosts:
            host.inject(self._silent, self._cut)

    def stall(self, node: int, until: float) -> None:
        """Let the process of a node's host stand still: what comes to it waits, until then."""
        self._stalled_until[self.hosts[node].name] = until

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a moment of virtual time, s."""
        heapq.heappush(self._agenda, (when, next(self._order), action))

    def run(self, until: float) -> None:
        """Let virtual time pass up to `until`, s."""
        while self._agenda and self._agenda[0][0] <= until:
            when, _, action = heapq.heappop(self._agenda)
            self._clock.advance_to(when)
            action()
            if self._watch is not None:
                self._watch(self)
        self._clock.advance_to(until)

    # -- the shells ------------------------------------------------------------------------------

    def wake(self, host: MeshHost) -> None:
        """Give a host a turn now (something was put into it from outside)."""
        self._wake(host, self.now)

    def _wake(self, host: MeshHost, when: float) -> None:
        if when < self._turn_at.get(host.name, np.inf):
            self._turn_at[host.name] = when
            self.at(when, lambda: self._turn(host, when))

    def _turn(self, host: MeshHost, when: float) -> None:
        if self._turn_at.get(host.name) != when:
            return  # an earlier turn has replaced this one
        del self._turn_at[host.name]
        until = self._stalled_until.get(host.name, 0.0)
        if self.now < until:
            self._wake(host, until)
            return
        host.step(self.now)
        self._check(host)
        self._route(host)
        for peer in host.peers:
            self._exchange(host, peer)
        self._wake(host, max(host.next_step(self.now), self.now + 1e-3))

    def _route(self, host: MeshHost) -> None:
        while (job := host.router.job()) is not None:
            host.install(job, job.run(), self.now)
            self._wake(host, self.now)

    def _check(self, host: MeshHost) -> None:
        """Check signatures, one job at a time, each as long as it takes."""
        if host.name in self._checking or not host.guard.advertisements.due:
            return
        job = host.guard.advertisements.job(self.now)
        if job is None:
            return
        self._checking.add(host.name)

        def checked() -> None:
            self._checking.discard(host.name)
            host.believe(job.run(), self.now)
            self._check(host)
            self._wake(host, self.now)

        self.at(self.now + self._check_s * len(job), checked)

    def _exchange(self, host: MeshHost, peer: str) -> None:
        way = host.name, peer
        if way in self._in_flight or not host.has_for(peer, self.now):
            return
        self._in_flight.add(way)
        sent = host.outgoing(peer, self.now)

        def arrive() -> None:
            other = self._by_name[peer]
            until = self._stalled_until.get(peer, 0.0)
            if self.now < until:
                self.at(until, arrive)
                return
            answer = other.handle(sent.envelope, self.now)
            self._wake(other, self.now)

            def answered() -> None:
                until = self._stalled_until.get(host.name, 0.0)
                if self.now < until:
                    self.at(until, answered)
                    return
                self._in_flight.discard(way)
                host.answered(peer, sent, answer, self.now)
                self._wake(host, self.now)

            self.at(self.now + LATENCY_S, answered)

        self.at(self.now + LATENCY_S, arrive)
