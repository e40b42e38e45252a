"""The obvious design of an actor mesh: one Ray actor for each node, one call for each hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actors.runtime import spawn
from loadtests import payload
from loadtests.bitset import Bitset

if TYPE_CHECKING:
    from collections.abc import Mapping


class LoneActor:
    """A node that does nothing: what it takes is what any actor takes."""


class NodeActor:
    """A node: looks up the next hop of each message and calls it."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._next: dict[int, Any] = {}

    def learn(self, table: Mapping[int, str]) -> None:
        """The actor that is next towards each destination."""
        self._next = {destination: spawn.find(name) for destination, name in table.items()}

    def forward(self, serial: int, destination: int, body: bytes) -> None:
        """Pass a message on; nobody waits for the answer, which is the fastest that Ray does."""
        self._next[destination].forward.remote(serial, destination, body)


class NodeSink:
    """The application at the last node: counts each message once and checks it."""

    def __init__(self) -> None:
        self._serials = Bitset()
        self._corrupt = 0

    def forward(self, serial: int, _destination: int, body: bytes) -> None:
        """Take a message in."""
        said, wrong = payload.read(np.frombuffer(body, np.uint8))
        if wrong is not None or int(said[0]) != serial:
            self._corrupt += 1
            return
        self._serials.add(np.array([serial]))

    def count(self) -> int:
        """Messages so far."""
        return self._serials.count

    def account(self) -> tuple[int, int]:
        """Distinct messages, and corrupt ones."""
        return self._serials.distinct, self._corrupt
