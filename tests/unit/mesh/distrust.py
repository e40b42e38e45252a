"""Meshes with liars: keys of all nodes, and the truth about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import networkx as nx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.identity.byzantine.signed_advertisements import SignedAdvertisements
from actors.mesh.guard import Guard
from actors.mesh.simulator import Distrust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actors.mesh.guard import Held
    from actors.mesh.lying_host import Deed
    from actors.mesh.simulator import Simulation
    from actors.topology.model import Topology

MESH = "test"


def key_of(node: int, generation: int = 0) -> Ed25519PrivateKey:
    """The key of a node, the same in each test."""
    return Ed25519PrivateKey.from_private_bytes(bytes([generation]) + node.to_bytes(31, "big"))


class TestKeys:
    """Keys of all nodes, of which the host may sign with its own."""

    __test__ = False

    def __init__(self, generations: dict[int, int]) -> None:
        self.hosted: set[int] = set()
        self.generations = generations
        self._public: dict[tuple[int, int], bytes] = {}

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """Take note of who is hosted."""
        del topology
        self.hosted = {node for nodes in hosted.values() for node in nodes}

    def generation(self, node: int) -> int:
        """The generation of a node's key."""
        return self.generations.get(node, 0)

    def sign(self, node: int, message: bytes) -> bytes | None:
        """Sign for a hosted node."""
        assert node in self.hosted
        return key_of(node, self.generation(node)).sign(message)

    without_key: ClassVar[list[str]] = []

    def renew(self, node: int) -> None:
        """The next key of a node."""
        self.generations[node] = self.generation(node) + 1

    def public(self, node: int, least: int) -> tuple[int, bytes] | None:
        """Anybody's public key."""
        del least
        generation = self.generation(node)
        known = self._public.get((node, generation))
        if known is None:
            known = key_of(node, generation).public_key().public_bytes_raw()
            self._public[node, generation] = known
        return generation, known


def protected(
    liars: int,
    lying: Mapping[int, Iterable[Deed]] | None = None,
    *,
    hello_s: float = 0.5,
    check_s: float = 0.0,
    budget: int | None = None,
) -> Distrust:
    """Every host, honest or not, asks for signatures; f of them are withstood."""

    generations: dict[int, int] = {}  # all of one mesh know all keys

    def guard(node: int, held: Held) -> Guard:
        del node
        keys = TestKeys(generations)
        return Guard(
            SignedAdvertisements(
                keys, held, mesh=MESH, faults=liars, hello_s=hello_s, budget=budget
            )
        )

    return Distrust(liars, guard, lying or {}, check_s)


def vouch(sim: Simulation, node: int) -> SignedAdvertisements:
    """What protects a node's host."""
    found = sim.hosts[node].guard.advertisements
    assert isinstance(found, SignedAdvertisements)
    return found


def paths_between(graph: nx.Graph, one: int, other: int) -> int:
    """Number of node-disjoint paths between two nodes."""
    direct = graph.has_edge(one, other)
    rest = nx.Graph(graph)
    if direct:
        rest.remove_edge(one, other)
    return int(nx.node_connectivity(rest, one, other)) + direct
