"""The Ed25519 keys with which mesh nodes sign their advertisements.

A node's private key is derived from the seed of its partition, in the process that hosts it; its
public key is enrolled for all. Keys have generations: an operator gives a node that was found lying
the next one, and what it signed with the last counts no more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.identity.byzantine.claim import MAX_GENERATION
from actors.identity.enrolment import Enrolment, derived_seed, seed_in
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from actors.topology.model import Topology

LOOK_S: Final = 0.2  # least time between two looks for the key of one node


class _Own(NamedTuple):
    generation: int
    private: Ed25519PrivateKey | None  # None: another key is enrolled


class NodeKeys:
    """The keys of one mesh, as one shard knows them.

    Args:
        directory: of the mesh, with seeds and the registry.
        clock: monotonic time, s.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._clock = clock
        self._enrolment = Enrolment(directory)
        self._ids: tuple[str, ...] = ()
        self._partition_of: dict[int, int] = {}
        self._own: dict[int, _Own] = {}
        self._known: dict[int, tuple[int, bytes]] = {}
        self._looked_at: dict[int, float] = {}

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition (by its number), from now on.

        Raises:
            EnrolmentUnreadable: a seed or the registry cannot be read.
        """
        self._ids = topology.ids
        self._partition_of = {node: part for part, nodes in hosted.items() for node in nodes}
        self._own = {node: key for node, key in self._own.items() if node in self._partition_of}
        fresh = [node for node in self._partition_of if node not in self._own]
        generations = {node: max(self._newest(node), 0) for node in fresh}
        for generation in set(generations.values()):
            self._take_up([n for n, g in generations.items() if g == generation], generation)

    def _take_up(self, nodes: Sequence[int], generation: int) -> None:
        """Enrol the keys of one generation of hosted nodes."""
        seeds = {part: self._seed(part) for part in {self._partition_of[node] for node in nodes}}
        keys = {
            node: _derived(
                seeds[self._partition_of[node]],
                self._directory.name,
                self._ids[node],
                _use(generation),
            )
            for node in nodes
        }
        public = {self._ids[n]: key.public_key().public_bytes_raw() for n, key in keys.items()}
        refused = set(self._enrolment.enrol(public, _use(generation)))
        for node, key in keys.items():
            mine = self._ids[node] not in refused
            self._own[node] = _Own(generation, key if mine else None)
            self._known.pop(node, None)

    def _seed(self, partition: int) -> bytes:
        return seed_in(self._directory / f"partition-{partition:02d}.seed")

    def _newest(self, node: int) -> int:
        """The generation of the newest key that is enrolled of a node; -1 if there is none."""
        name = self._ids[node]
        enrolled = self._enrolment.enrolled
        generation = self._known[node][0] if node in self._known else -1
        while enrolled(name, _use(generation + 1)) is not None:
            generation += 1
        return generation

    @property
    def without_key(self) -> list[str]:
        """Hosted nodes for which another key is enrolled, so that nobody believes them."""
        return [self._ids[node] for node, own in self._own.items() if own.private is None]

    def generation(self, node: int) -> int:
        """The generation of the key that a hosted node signs with."""
        return self._own[node].generation

    def sign(self, node: int, message: bytes) -> bytes | None:
        """Signature with the key of a hosted node; None: it has no key that others accept."""
        private = self._own[node].private
        return None if private is None else private.sign(message)

    def public(self, node: int, least: int) -> tuple[int, bytes] | None:
        """The public key of a node and its generation; None if none is known.

        If what is known is older than the generation `least`, the registry is asked again.
        """
        known = self._known.get(node)
        if known is not None and known[0] >= least:
            return known
        now = self._clock()
        if now - self._looked_at.get(node, -LOOK_S) >= LOOK_S:
            self._looked_at[node] = now
            generation = self._newest(node)
            key = self._enrolment.enrolled(self._ids[node], _use(max(generation, 0)))
            if key is not None:
                known = self._known[node] = generation, key
        return known

    def renew(self, node: int) -> None:
        """Give a hosted node the key of the next generation, and enrol it.

        Raises:
            Conflict: it has had the last.
        """
        generation = self._own[node].generation + 1
        if generation > MAX_GENERATION:
            raise Conflict(
                f"node {self._ids[node]} cannot be given another key",
                f"it has had {generation}, and stamps have room for no more",
                "Take it out of the network.",
            )
        self._take_up([node], generation)


def _derived(seed: bytes, mesh: str, name: str, use: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derived_seed(seed, mesh, name, use))


def _use(generation: int) -> str:
    return f"ed25519-{generation}"
