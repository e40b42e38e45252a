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
from typing import TYPE_CHECKING, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from actors.runtime.errors import InvalidInput
from actors.twin import interval, progress
from actors.twin.partitions import FailedSets
from actors.twin.results import Availability, InternetAvailability, PairAvailability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.twin.failure import Failure
    from actors.twin.intact import Intact
    from actors.twin.internet import Internet
    from actors.twin.results import Interval

MAX_ENUMERATED: Final = 15  # most fallible things of an enumeration: 32,768 states
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
        links: float64 [n_links], unavailability of each link, in [0, 1); of several that join a
            pair, of all at once.
        groups: what fails together, and how often.
    """

    nodes: NDArray[np.float64]
    links: NDArray[np.float64]
    groups: Sequence[tuple[Failure, float]] = ()


@dataclass(slots=True, eq=False)
class _Tally:
    """Sums over the states so far, weighted by probability (enumeration) or by 1 (draws)."""

    states: int
    whole: float
    survivors_connected: float
    ends_up: NDArray[np.float64]  # [pairs]
    joined: NDArray[np.float64]  # [pairs]
    shares: list[NDArray[np.float64]]  # share of connected pairs kept, state by state
    share: float  # their weighted sum
    weights: list[NDArray[np.float64]]  # of the states
    offline: list[NDArray[np.int64]]  # who is down or cut off, see `internet.weights`


def availability(
    intact: Intact,
    outages: Outages,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    samples: int = 100_000,
    confidence: float = 0.95,
    seed: int = 1,
    method: Method | None = None,
    internet: Internet | None = None,
) -> Availability:
    """Availability of the mesh and of these pairs of nodes.

    Args:
        intact: the mesh.
        outages: how often its parts are down.
        pairs: ids of the pairs of nodes whose availability is wanted.
        samples: number of states to draw, if states are drawn.
        confidence: confidence level of the intervals, in (0, 1).
        seed: seed of the draws.
        method: method to use; None: enumeration where it is feasible.
        internet: the gateways of the mesh; None: none is known.

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
    tally = _Tally(0, 0.0, 0.0, np.zeros(len(ends)), np.zeros(len(ends)), [], 0.0, [], [])
    for down, weight in drawn:
        _count(tally, intact, internet, ends, *fallible.failed(down), weight)

    def chance(event: float, given: float) -> Interval:
        if enumerated:
            return interval.exact(min(1.0, event / given), tally.states)
        return interval.probability(event, round(given), confidence)

    everything = 1.0 if enumerated else float(tally.states)
    return Availability(
        method="enumeration" if enumerated else "monte-carlo",
        seed=seed,
        samples=tally.states,
        elements=count,
        all_up=float(np.prod(1.0 - fallible.down)),
        whole=chance(tally.whole, everything),
        survivors_connected=chance(tally.survivors_connected, everything),
        pair_share=interval.exact(min(1.0, tally.share), tally.states)
        if enumerated
        else interval.share(np.concatenate(tally.shares), confidence),
        pairs=[
            PairAvailability(
                a=a,
                b=b,
                availability=chance(joined, everything),
                given_ends_up=chance(joined, up) if up else None,
            )
            for (a, b), joined, up in zip(
                pairs, tally.joined.tolist(), tally.ends_up.tolist(), strict=True
            )
        ],
        internet=_internet(tally, internet, None if enumerated else confidence)
        if internet
        else None,
    )


def _internet(tally: _Tally, internet: Internet, confidence: float | None) -> InternetAvailability:
    """What people have of it; exactly, where no confidence is given."""
    weight = np.concatenate(tally.weights)
    offline, clients, _ = np.concatenate(tally.offline, axis=1)
    everybody, all_clients, known = internet.reaching.tolist()

    def share(lost: NDArray[np.int64], whole: int) -> Interval:
        kept = 1.0 - lost / whole
        if confidence is None:
            return interval.exact(min(1.0, float(weight @ kept)), tally.states)
        return interval.share(kept, confidence)

    chance = (
        interval.exact(min(1.0, float(weight @ (offline == 0))), tally.states)
        if confidence is None
        else interval.probability(int((offline == 0).sum()), tally.states, confidence)
    )
    return InternetAvailability(
        nodes=share(offline, everybody),  # gateways are among them
        clients=share(clients, all_clients) if all_clients else None,
        everybody=chance,
        clients_known=known,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fallible:
    """The things that can fail, in a row: nodes, links, then groups.

    Attributes:
        intact: the mesh.
        nodes, links: int64, indices of those that can fail by themselves.
        groups: groups that can fail.
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
            progress.step("availability", start / samples)
            count = min(rows, samples - start)
            yield rng.random((count, len(self.down))) < self.down, np.ones(count)

    def all_states(self) -> _Draws:
        """Every state, with its probability."""
        count, rows = len(self.down), self._rows()
        for start in range(0, 1 << count, rows):
            progress.step("availability", start / (1 << count))
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


def _count(
    tally: _Tally,
    intact: Intact,
    internet: Internet | None,
    ends: NDArray[np.int64],
    nodes: NDArray[np.bool_],
    links: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> None:
    """Add these states to the tally."""
    start = 0
    for part in intact.partitioner.parts(FailedSets.masked(nodes, links)):
        figures = part.figures()
        weight = weights[start : start + len(figures.failed)]
        start += len(weight)
        kept = figures.pairs_lost == 0
        share = np.ones(len(weight))  # 1 if no pair was connected
        if intact.pairs_connected:
            share = figures.pairs_after / intact.pairs_connected
        a, b = part.components_of(ends[:, 0]), part.components_of(ends[:, 1])
        up = (a >= 0) & (b >= 0)
        tally.states += len(weight)
        tally.whole += float(weight @ (kept & (figures.failed == 0)))
        tally.survivors_connected += float(weight @ kept)
        tally.ends_up += weight @ up
        tally.joined += weight @ (up & (a == b))
        tally.shares.append(share)
        tally.share += float(weight @ share)
        if internet is not None:
            tally.weights.append(weight)
            tally.offline.append(internet.cut_off_in(part) + internet.failed_in(part))
