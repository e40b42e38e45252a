"""Accepted messages are delivered once or come back once, whatever happens on the way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mesh import batch as messages
from actors.mesh.partition import Refusal
from actors.mesh.simulator import Simulation
from tests.examples import share
from tests.unit.mesh.worlds import Fault, World, faults, grid, meshes

if TYPE_CHECKING:
    from actors.topology.model import Topology

gaps = st.sampled_from((0.05, 0.5, 2.0, 6.0))
PORT = 7


class Traffic:
    """Sends between all pairs and remembers what was accepted."""

    def __init__(self, sim: Simulation, seed: int) -> None:
        self._sim = sim
        self._random = np.random.default_rng(seed)
        self._request = 0
        self.accepted: dict[int, tuple[int, int, bytes]] = {}

    def round(self) -> None:
        """One message from every node to every other, each with a payload of its own."""
        self._request += 1
        n = self._sim.topology.n_nodes
        for source, host in enumerate(self._sim.hosts):
            others = [node for node in range(n) if node != source]
            payloads = [self._random.bytes(self._random.integers(0, 40)) for _ in others]
            batch = messages.build([source] * len(others), others, payloads, port=PORT)
            answer = host.send(source, 1, self._request, batch)
            silent = bool(host.medium.silent[source])
            assert (answer.refusal == (Refusal.NODE_SILENT if silent else Refusal.NONE)).all()
            if not silent:
                for number, to, payload in zip(answer.ids.tolist(), others, payloads, strict=True):
                    self.accepted[number] = source, to, payload
            self._sim.wake(host)

    def check(self) -> tuple[int, int]:
        """Everything is settled, each message at one end only; how many at either."""
        delivered: Counter[int] = Counter()
        returned: Counter[int] = Counter()
        for node, host in enumerate(self._sim.hosts):
            assert len(host.partitions[node].outbox) == 0
            _, batch = host.read(node, PORT, None, 1_000_000)
            for row, head in enumerate(batch.head):
                source, to, payload = self.accepted[int(head["id"])]
                if head["flags"] & messages.UNREACHABLE:
                    returned[int(head["id"])] += 1
                    assert (source, to) == (node, head["source"])
                else:
                    delivered[int(head["id"])] += 1
                    assert (source, to) == (head["source"], node)
                    assert batch.payload_of(row) == payload
        assert delivered + returned == Counter(dict.fromkeys(self.accepted, 1))
        return len(delivered), len(returned)


def drain(sim: Simulation, limit_s: float) -> None:
    """Let time pass until nothing is open."""
    end = sim.now + limit_s
    while sim.now < end and any(len(h.partitions[i].outbox) for i, h in enumerate(sim.hosts)):
        sim.run(sim.now + 1.0)


@given(
    mesh=meshes(max_nodes=6),
    story=st.lists(st.tuples(faults, gaps), min_size=1, max_size=5),
    feedback=st.booleans(),
    failover=st.booleans(),
    healed=st.booleans(),
    seed=st.integers(0, 999),
)
@settings(max_examples=share(1 / 3))
def test_delivered_once_or_returned_once(
    mesh: Topology,
    story: list[tuple[Fault, float]],
    *,
    feedback: bool,
    failover: bool,
    healed: bool,
    seed: int,
) -> None:
    """Each accepted message reaches its destination or its sender, one of them, once, intact."""
    sim = Simulation(mesh, hello_s=0.5, feedback=feedback, failover=failover, seed=seed)
    world, traffic = World(mesh), Traffic(sim, seed)
    traffic.round()  # before anybody knows anybody
    sim.run(1.5)
    for fault, gap in story:
        traffic.round()
        sim.run(sim.now + 0.01)  # on its way
        world.befall(sim, fault)
        traffic.round()
        sim.run(sim.now + gap)
    if healed:
        world.heal(sim)
    else:  # only a sender that can speak can be expected to be rid of its messages
        sim.silence(*world.silent, silent=False)
        world.silent = set()
    drain(sim, 120.0)
    traffic.check()


def test_messages_to_another_component_come_back() -> None:
    """Across a partition messages are returned, inside a component they are delivered."""
    sim = Simulation(grid(3, 2, 0.8), seed=5)
    world, traffic = World(sim.topology), Traffic(sim, 5)
    sim.run(4.0)
    left = sum(1 << node for node in (0, 3))
    world.befall(sim, ("partition", left))
    sim.run(9.0)
    traffic.round()
    drain(sim, 30.0)
    assert traffic.check() == (2 * 1 + 4 * 3, 2 * 2 * 4)


def test_no_loss_on_the_way_is_resent_in_vain() -> None:
    """On a healthy mesh with 20 % loss everything arrives, within the time of a few hops."""
    sim = Simulation(grid(3, 3, 0.8), seed=6)
    traffic = Traffic(sim, 6)
    sim.run(4.0)
    traffic.round()
    sim.run(4.5)
    assert traffic.check() == (9 * 8, 0)
