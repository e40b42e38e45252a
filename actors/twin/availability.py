"""How likely the mesh works at a random moment.

Nodes, links and groups (one mast, one uplink, one supply) fail and are repaired independently of
each other. With MTBF the mean operating time between failures and MTTR the mean time to repair,
in any one unit, each is up with probability MTBF / (MTBF + MTTR). A node or link is up when it is
up itself and all groups that it belongs to are. A link carries nothing while an end is down.

The availability of a pair is the chance that both nodes are up and a path of things that are up
joins them; given both ends up, it is the chance of the path alone. All states of few fallible
things are enumerated; of more, states are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from actors.runtime.errors import InvalidInput
from actors.twin import interval
from actors.twin.partitions import FailedSets
from actors.twin.results import Availability, PairAvailability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.twin.failure import Failure
    from actors.twin.intact import Intact
    from actors.twin.results import Interval

MAX_ENUMERATED: Final = 15  # fallible things: 32,768 states
_CELLS: Final = 2_000_000  # states x things at a time

Method = Literal["enumeration", "monte-carlo"]
_Draws = Iterator[tuple[NDArray[np.bool_], NDArray[np.float64]]]  # states and their weights


def unavailability(mtbf: float, mttr: float) -> float:
    """Share of time that something is down; `mttr` 0 means never.

    Raises:
        InvalidInput: a time is negative or not finite, or `mtbf` is 0.
    """
    if not (0.0 < mtbf < np.inf and 0.0 <= mttr < np.inf):
        raise InvalidInput(
            f"MTBF {mtbf:g} and MTTR {mttr:g}",
            "something must work for a while between failures",
            "Give a positive MTBF and an MTTR of 0 or more, in the same unit.",
            entry="availability",
        )
    return mttr / (mtbf + mttr)


@dataclass(frozen=True, slots=True, eq=False)
class Outages:
    """How often things are down.

    Attributes:
        nodes: float64 [n_nodes], unavailability of each node, in [0, 1).
        links: float64 [n_links], of each link.
        groups: what fails together, and how often.
    """

    nodes: NDArray[np.float64]
    links: NDArray[np.float64]
    groups: Sequence[tuple[Failure, float]] = ()


class _States(NamedTuple):
    """States of the mesh, a row each; all float64 but for the booleans."""

    weight: NDArray[np.float64]  # [rows], probability; 1 each when drawn
    whole: NDArray[np.bool_]  # [rows]
    survivors_connected: NDArray[np.bool_]  # [rows]
    share: NDArray[np.float64]  # [rows]
    ends_up: NDArray[np.bool_]  # [rows, pairs]
    joined: NDArray[np.bool_]  # [rows, pairs]


def availability(
    intact: Intact,
    outages: Outages,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    samples: int = 100_000,
    confidence: float = 0.95,
    seed: int = 1,
    method: Method | None = None,
) -> Availability:
    """Availability of the mesh and of these pairs of nodes.

    Args:
        intact: the mesh.
        outages: how often its parts are down.
        pairs: whose availability is wanted, by id.
        samples: states to draw, where they are drawn.
        confidence: of the intervals.
        seed: of the draws.
        method: None for enumeration where it is feasible.

    Raises:
        UnknownNode: a node of `pairs` does not exist.
        InvalidInput: enumeration was asked for and there are too many fallible things, or
            `samples` or `confidence` is out of range.
    """
    interval.check(samples, confidence)
    topology = intact.topology
    ends = np.array(
        [(topology.index_of(a), topology.index_of(b)) for a, b in pairs], np.int64
    ).reshape(-1, 2)
    fallible = _Fallible.of(intact, outages)
    count = len(fallible.down)
    if method == "enumeration" and count > MAX_ENUMERATED:
        raise InvalidInput(
            "cannot enumerate all states",
            f"{count} things can fail, which have 2^{count} states",
            f"Draw them, or let at most {MAX_ENUMERATED} things fail.",
            entry="method",
        )
    enumerated = method == "enumeration" or (method is None and count <= MAX_ENUMERATED)
    drawn = fallible.all_states() if enumerated else fallible.draw(samples, seed)
    parts = [_judge(intact, ends, *fallible.failed(down), weight) for down, weight in drawn]
    states = _States(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def chance(event: NDArray[np.bool_], given: NDArray[np.bool_] | None = None) -> Interval | None:
        if not enumerated:
            among = len(event) if given is None else int(given.sum())
            return interval.probability(int(event.sum()), among, confidence) if among else None
        total = 1.0 if given is None else float(states.weight[given].sum())
        part = float(states.weight[event].sum())
        return interval.exact(min(1.0, part / total), len(event)) if total else None

    def sure(event: NDArray[np.bool_]) -> Interval:
        found = chance(event)
        if found is None:
            raise AssertionError("there is always a state")
        return found

    return Availability(
        method="enumeration" if enumerated else "monte-carlo",
        seed=seed,
        samples=len(states.weight),
        elements=count,
        all_up=float(np.prod(1.0 - fallible.down)),
        whole=sure(states.whole),
        survivors_connected=sure(states.survivors_connected),
        pair_share=interval.exact(float(states.share @ states.weight), len(states.weight))
        if enumerated
        else interval.share(states.share, confidence),
        pairs=[
            PairAvailability(
                a=a,
                b=b,
                availability=sure(states.joined[:, column]),
                given_ends_up=chance(states.joined[:, column], states.ends_up[:, column]),
            )
            for column, (a, b) in enumerate(pairs)
        ],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fallible:
    """The things that can fail, in a row: nodes, links, then groups.

    Attributes:
        intact: the mesh.
        nodes, links: int64, indices of those that can fail by themselves.
        groups: those that can fail.
        down: float64 [e], unavailability of each thing.
    """

    intact: Intact
    nodes: NDArray[np.int64]
    links: NDArray[np.int64]
    groups: Sequence[Failure]
    down: NDArray[np.float64]

    @classmethod
    def of(cls, intact: Intact, outages: Outages) -> Self:
        nodes, links = np.flatnonzero(outages.nodes), np.flatnonzero(outages.links)
        groups = [(group, down) for group, down in outages.groups if down]
        together = np.array([each for _, each in groups], np.float64)
        down = np.concatenate([outages.nodes[nodes], outages.links[links], together])
        return cls(intact, nodes, links, [group for group, _ in groups], down)

    def _rows(self) -> int:
        topology = self.intact.topology
        return max(1, _CELLS // (topology.n_nodes + topology.n_links + len(self.down) + 1))

    def draw(self, samples: int, seed: int) -> _Draws:
        """States at random, bool [rows, e] with weights of 1."""
        rng, rows = np.random.default_rng(seed), self._rows()
        for start in range(0, samples, rows):
            count = min(rows, samples - start)
            yield rng.random((count, len(self.down))) < self.down, np.ones(count)

    def all_states(self) -> _Draws:
        """Every state, with its probability."""
        count, rows = len(self.down), self._rows()
        for start in range(0, 1 << count, rows):
            state = np.arange(start, min(1 << count, start + rows))
            down = (state[:, None] >> np.arange(count) & 1).astype(np.bool_)
            yield down, np.where(down, self.down, 1.0 - self.down).prod(axis=1)

    def failed(self, down: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Nodes [rows, n_nodes] and links [rows, n_links] that are down in these states."""
        topology, a, b = self.intact.topology, len(self.nodes), len(self.nodes) + len(self.links)
        nodes = np.zeros((len(down), topology.n_nodes), np.bool_)
        links = np.zeros((len(down), topology.n_links), np.bool_)
        nodes[:, self.nodes], links[:, self.links] = down[:, :a], down[:, a:b]
        for column, group in enumerate(self.groups, start=b):
            nodes[:, group.nodes] |= down[:, column, None]
            links[:, group.links] |= down[:, column, None]
        return nodes, links


def _judge(
    intact: Intact,
    ends: NDArray[np.int64],
    nodes: NDArray[np.bool_],
    links: NDArray[np.bool_],
    weight: NDArray[np.float64],
) -> _States:
    """What holds in these states."""
    columns = []
    for part in intact.partitioner.parts(FailedSets.masked(nodes, links)):
        figures = part.figures()
        kept = figures.pairs_lost == 0
        share = figures.pairs_after / max(1, intact.pairs_connected)
        if not intact.pairs_connected:
            share[:] = 1.0  # nothing to lose
        a, b = part.components_of(ends[:, 0]), part.components_of(ends[:, 1])
        up = (a >= 0) & (b >= 0)
        columns.append((kept & (figures.failed == 0), kept, share, up, up & (a == b)))
    return _States(weight, *(np.concatenate(column) for column in zip(*columns, strict=True)))
