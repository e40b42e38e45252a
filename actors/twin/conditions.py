"""Operating conditions of a mesh: timing, retries, traffic and link capacities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.topology.arrays import read_only
from actors.twin.limits import MAX_RETRIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from actors.topology.model import Topology

ROUNDING = 1e-9  # relative tolerance of loads, which are sums of many rates


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Who sends how much to whom, in any one unit (messages/s, say).

    Attributes:
        uniform: rate from every node to every other one, in addition to the flows below.
        source, destination: int64 [p], node indices of the ends of each flow.
        rate: float64 [p], rate of each flow, positive.
    """

    uniform: float = 0.0
    source: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    destination: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    rate: NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))

    def __post_init__(self) -> None:
        rates = np.append(self.rate, self.uniform)
        if not (np.isfinite(rates).all() and (rates >= 0).all() and (self.rate > 0).all()):
            raise _refused("a rate is negative, zero or not finite", "Give positive rates.")
        if not rates.any():
            raise _refused("no node sends anything", "Give a rate, or leave the traffic out.")
        if (self.source == self.destination).any():
            raise _refused("a node sends to itself", "Name two different nodes.")

    @classmethod
    def named(
        cls,
        topology: Topology,
        flows: Iterable[tuple[str, str, float]] = (),
        uniform: float = 0.0,
    ) -> Self:
        """Traffic of (source, destination, rate) by node id.

        Raises:
            UnknownNode: a node does not exist.
            InvalidInput: a rate is not positive, a node sends to itself, or nothing is sent.
        """
        given = list(flows)
        ends = [(topology.index_of(a), topology.index_of(b)) for a, b, _ in given]
        columns = np.array(ends, np.int64).reshape(-1, 2)
        rate = np.array([rate for _, _, rate in given], np.float64)
        source, destination = read_only(columns[:, 0].copy()), read_only(columns[:, 1].copy())
        return cls(uniform, source, destination, read_only(rate))

    def destinations(self, n_nodes: int) -> NDArray[np.int64]:
        """Nodes that anything is sent to, ascending."""
        return np.arange(n_nodes) if self.uniform else np.unique(self.destination)

    def towards(self, destinations: NDArray[np.int32], n_nodes: int) -> NDArray[np.float64]:
        """Rate from each node to each of `destinations`, float64 [len(destinations), n_nodes]."""
        rates = np.full((len(destinations), n_nodes), self.uniform)
        rates[np.arange(len(destinations)), destinations] = 0.0
        row_of = np.full(n_nodes, -1)
        row_of[destinations] = np.arange(len(destinations))
        row = row_of[self.destination]
        np.add.at(rates, (row[row >= 0], self.source[row >= 0]), self.rate[row >= 0])
        return rates


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Assumptions of the twin about what the topology does not contain.

    Attributes:
        hello_s: interval between Hellos, s.
        retries: transmissions of a frame over one hop beyond the first.
        traffic: weights of losses, and loads of links; None: equal weights, links carry nothing.
        capacity: float64 [n_links], what each link carries in both directions together, in the
            unit of the traffic; None: any amount.
        seed: seed of all random draws.
    """

    hello_s: float = 1.0
    retries: int = 3
    traffic: Traffic | None = None
    capacity: NDArray[np.float64] | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0.0 < self.hello_s < np.inf:
            raise _refused(f"a Hello every {self.hello_s:g} s", "Give a positive interval.")
        if not 0 <= self.retries <= MAX_RETRIES:
            raise _refused(f"{self.retries} retries", f"Give 0 to {MAX_RETRIES}.")
        if self.capacity is not None and not (self.capacity > 0).all():
            raise _refused("a capacity is not positive", "Leave dead links out of the topology.")

    def same(self, other: Conditions) -> bool:
        """Whether both are certainly equal; False where either has traffic or capacities."""
        given = self.traffic, self.capacity, other.traffic, other.capacity
        return all(one is None for one in given) and (
            (self.hello_s, self.retries, self.seed) == (other.hello_s, other.retries, other.seed)
        )


def capacities(
    topology: Topology, default: float, links: Mapping[tuple[str, str], float]
) -> NDArray[np.float64]:
    """Capacity of each link, float64 [n_links]; `links` by their ends where they differ.

    Raises:
        UnknownNode: a node does not exist.
        InvalidInput: two ends are not neighbours.
    """
    capacity = np.full(topology.n_links, default)
    for (a, b), value in links.items():
        capacity[topology.link_between(a, b)] = value
    return read_only(capacity)


def overloaded(load: NDArray[np.float64], capacity: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which links carry more than they can, bool [n_links]."""
    return np.greater(load, capacity * (1.0 + ROUNDING))


def _refused(why: str, remedy: str) -> InvalidInput:
    return InvalidInput("the twin cannot work under these conditions", why, remedy)
