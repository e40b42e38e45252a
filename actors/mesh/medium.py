"""Radio links that are not there: the emulated medium.

Where the mesh's links are not real, this decides which transmissions arrive. The delivery quality
of each direction is the one that the topology reports as measured; whether one transmission
arrives is a draw from a seeded generator. Nothing of the protocol reads the qualities from here:
nodes estimate them from what they hear.

A unicast frame is sent up to `attempts` times in one go, as 802.11 hardware retries; an attempt
succeeds when the frame and then its acknowledgement get through. A frame may thus arrive without
its sender knowing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from actors.topology.model import Topology


class Transmission(NamedTuple):
    """What became of one frame per link."""

    arrived: NDArray[np.bool_]
    acknowledged: NDArray[np.bool_]  # implies arrived


class RadioMedium:
    """Draws the fate of transmissions over directed links; faults are injected here.

    Args:
        topology: gives each directed link's delivery quality.
        seed: seed of the generator; the same calls in the same order give the same draws.
    """

    def __init__(self, topology: Topology, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self.silent: NDArray[np.bool_] = np.zeros(topology.n_nodes, bool)
        self._cut: set[tuple[int, int]] = set()
        self.replace(topology)

    def replace(self, topology: Topology) -> None:
        """Use the qualities of `topology`, whose node indices extend the present ones."""
        self._topology = topology
        grown = np.zeros(topology.n_nodes, bool)
        grown[: len(self.silent)] = self.silent
        self.silent = grown
        self._refresh()

    def fault(self, silent: Iterable[int], cut: Iterable[tuple[int, int]]) -> None:
        """Have exactly these nodes silent, and the links between these pairs of nodes cut."""
        self.silent[:] = False
        self.silent[np.array(list(silent), np.intp)] = True
        self._cut = {pair for a, b in cut for pair in ((a, b), (b, a))}
        self._refresh()

    def _refresh(self) -> None:
        topology = self._topology
        source, target = topology.link_source, topology.link_target
        quality = topology.link_quality.copy()
        quality[self.silent[source] | self.silent[target]] = 0.0
        if self._cut:
            pairs = zip(source.tolist(), target.tolist(), strict=True)
            quality[[pair in self._cut for pair in pairs]] = 0.0
        self._quality = quality

    def burst(self, links: NDArray[np.int32], copies: NDArray[np.int64]) -> NDArray[np.int64]:
        """Send `copies` unacknowledged copies over each link; how many arrive."""
        return self._draw.binomial(copies, self._quality[links])

    def transmit(self, links: NDArray[np.int32], attempts: NDArray[np.int64]) -> Transmission:
        """Send one frame over each link until it is acknowledged, `attempts` times at most."""
        # One draw decides both, since attempts are independent: with probability (1 - p)^k none
        # of k gets through, with (1 - p q)^k none gets through and is acknowledged too.
        there, back = self._quality[links], self._quality[links ^ 1]
        draw = self._draw.random(len(links))
        return Transmission(
            draw >= (1.0 - there) ** attempts, draw >= (1.0 - there * back) ** attempts
        )
