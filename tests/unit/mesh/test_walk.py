"""Messages through hosts of many nodes each, hop after hop in one turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mesh import batch as messages
from actors.mesh.contract import HostOptions
from actors.mesh.host import MeshHost
from actors.mesh.journal import MemoryJournal
from actors.mesh.partition import Partition
from actors.mesh.placement import Placement
from tests.examples import share
from tests.unit.mesh.oracle import trail_nodes
from tests.unit.mesh.worlds import meshes

if TYPE_CHECKING:
    from actors.mesh.batch import MessageBatch
    from actors.topology.model import Topology

TURN_S = 0.01


class Hosts:
    """Two hosts that share the nodes of a mesh, and the shell between them."""

    def __init__(self, mesh: Topology, where: list[int], *, failover: bool) -> None:
        self.mesh, self.now = mesh, 0.0
        self._request = 0
        self.partition_of = np.array(where, np.int16)
        placement = Placement(1, self.partition_of, ("left", "right"))
        self.hosts: list[MeshHost] = []
        for number, name in enumerate(("left", "right")):
            options = HostOptions(0.5, feedback=True, failover=failover, seed=number)
            host = MeshHost(name, mesh, placement, options, 0.0)
            partition = Partition(number, mesh.n_nodes, MemoryJournal(), 4096)
            partition.recover()
            host.adopt(partition, 0.0)
            self.hosts.append(host)

    def run(self, duration_s: float) -> None:
        for _ in range(int(duration_s / TURN_S)):
            self.now += TURN_S
            for host in self.hosts:
                host.step(self.now)
                if (job := host.router.job()) is not None:
                    host.install(job, job.run(), self.now)
            for host, peer in (self.hosts, self.hosts[::-1]):
                if host.has_for(peer.name, self.now):
                    sent = host.outgoing(peer.name, self.now)
                    host.answered(peer.name, sent, peer.handle(sent.envelope, self.now), self.now)

    def send_between_all(self) -> int:
        """A message from every node to every other; how many were accepted."""
        n, accepted = self.mesh.n_nodes, 0
        self._request += 1
        for number, host in enumerate(self.hosts):
            mine = np.flatnonzero(self.partition_of == number)
            pairs = [(a, b) for a in mine.tolist() for b in range(n) if a != b]
            source, destination = np.array(pairs, np.int32).reshape(-1, 2).T
            body = [f"{a}>{b}".encode() for a, b in pairs]
            batch = messages.build(source, destination, body, record_route=True)
            accepted += np.count_nonzero(host.send(number, 1, self._request, batch).ids)
        return accepted

    def received(self) -> list[MessageBatch]:
        """Everything that has arrived since the last look."""
        found = []
        for number, host in enumerate(self.hosts):
            offsets, batch = host.read(number, 0, None, 10_000)
            host.consume(number, 0, offsets)
            found.append(batch)
        return found


@st.composite
def shared(draw: st.DrawFn, qualities: tuple[float, ...]) -> tuple[Topology, list[int]]:
    mesh = draw(meshes(10, qualities))
    n = mesh.n_nodes
    return mesh, draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))


@given(case=shared((1.0,)), failover=st.booleans())
@settings(max_examples=share(1 / 5))
def test_without_loss_every_message_takes_the_shortest_path(
    case: tuple[Topology, list[int]], *, failover: bool
) -> None:
    """Over links that lose nothing, the hops made are those of the tables, wherever nodes live."""
    hosts = Hosts(*case, failover=failover)
    hosts.run(3.0)
    hosts.send_between_all()
    hosts.run(2.0)  # trees are made for destinations asked for, then messages that waited move
    hosts.received()
    accepted = hosts.send_between_all()
    hosts.run(2.0)
    seen = 0
    for batch in hosts.received():
        trails = [] if batch.trail is None else batch.trail
        for row, (head, trail) in enumerate(zip(batch.head, trails, strict=True)):
            source, destination = int(head["source"]), int(head["destination"])
            assert batch.payload_of(row) == f"{source}>{destination}".encode()
            taken = [*trail_nodes(trail[: head["hops"]]).tolist(), destination]
            route = hosts.hosts[hosts.partition_of[source]].router.route(source, destination)
            assert route is not None
            assert taken == route[0]
            seen += 1
    assert seen == accepted == hosts.mesh.n_nodes * (hosts.mesh.n_nodes - 1)


@given(
    case=shared((1.0, 0.9, 0.6)),
    failover=st.booleans(),
    silent=st.integers(0, 9),
    pause=st.sampled_from((0.0, 0.05, 0.5)),
)
@settings(max_examples=share(1 / 4))
def test_with_loss_and_a_death_every_message_has_one_outcome(
    case: tuple[Topology, list[int]], *, failover: bool, silent: int, pause: float
) -> None:
    """Frames repeated, links busy, a node dying under way: delivered or returned, just once."""
    hosts = Hosts(*case, failover=failover)
    hosts.run(3.0)
    accepted = hosts.send_between_all()
    hosts.run(pause)
    for host in hosts.hosts:
        host.inject([silent % hosts.mesh.n_nodes], [])
    accepted += hosts.send_between_all()
    hosts.run(15.0)
    for host in hosts.hosts:  # so that messages of its own can leave it, or be returned to it
        host.inject([], [])
    hosts.run(15.0)
    ids = np.concatenate([batch.head["id"] for batch in hosts.received()])
    assert len(np.unique(ids)) == len(ids) == accepted
    assert not sum(len(p.outbox) for host in hosts.hosts for p in host.partitions.values())
