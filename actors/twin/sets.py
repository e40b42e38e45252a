"""Random failed sets, shared risks, and cascades.

What is drawn is k distinct nodes, links, elements (of either kind) or groups, every choice equally
likely. Of links that join the same pair each is drawn by itself, and only all of them part it. A
group is what fails together: one mast, one uplink, one supply. Besides being drawn itself, it makes
failures correlated, as in the beta-factor model of common causes (IEC 61508-6, annex D): once a
member has failed, the whole group does with probability `correlation`. One group does not set off
another.

A cascade is driven by load, as Motter and Lai's ("Cascade-based attacks on complex networks", Phys.
Rev. E 66, 2002): routes change after a failure, all links that now carry more than their capacity
fail at once, and so on until none does. Capacities are given, or, as theirs, (1 + tolerance) times
what each link carries in the intact mesh; unlike theirs, no link is taken to be built for less than
the mean load, or those that stand idle until they are needed would always fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.twin import interval, progress
from actors.twin.conditions import overloaded
from actors.twin.failure import Failure
from actors.twin.internet import counted, people
from actors.twin.partitions import CELLS, FailedSets, Figures
from actors.twin.results import (
    Cascade,
    CascadeRound,
    RandomCascades,
    RandomCutOff,
    RandomFailures,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from actors.twin.intact import Intact
    from actors.twin.internet import Internet
    from actors.twin.results import NodesAndClients

Kind = Literal["nodes", "links", "elements", "groups"]

MAX_ROUNDS: Final = 1000  # most rounds of a cascade; at least one link fails in each
MAX_CASCADES: Final = 10_000  # most samples; each takes at least milliseconds


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """How failed sets are drawn.

    Attributes:
        k: how many things fail at once.
        of: kind of the things that fail.
        samples: number of sets.
        seed: equal draws have equal sets.
        confidence: confidence level of the intervals, in (0, 1).
        groups: what fails together, by name.
        correlation: chance that a group fails whole once a member has.
    """

    k: int
    of: Kind = "nodes"
    samples: int = 1000
    seed: int = 1
    confidence: float = 0.95
    groups: Mapping[str, Failure] = field(default_factory=dict)
    correlation: float = 0.0

    def __post_init__(self) -> None:
        interval.check(self.samples, self.confidence)
        if not 0.0 <= self.correlation <= 1.0:
            raise InvalidInput(
                f"a correlation of {self.correlation:g}",
                "it is a probability",
                "Give 0 to 1.",
                entry="correlation",
            )


def random_failures(
    intact: Intact, draws: Draws, internet: Internet | None = None
) -> RandomFailures:
    """The cost of random failed sets.

    Args:
        intact: the mesh.
        draws: how the sets are drawn.
        internet: its gateways; None: none is known.

    Raises:
        InvalidInput: there are fewer than `k` things to draw from.
    """
    figures: list[Figures] = []
    worst, worst_failed = -1, Failure.at()
    offline = _Offline(intact, internet) if internet is not None else None
    for nodes, links in _drawn(intact, draws):
        parts = list(intact.partitioner.parts(FailedSets.masked(nodes, links)))
        some = Figures.joined(part.figures() for part in parts)
        figures.append(some)
        costliest = int(some.pairs_lost.argmax())
        if some.pairs_lost[costliest] > worst:
            worst = int(some.pairs_lost[costliest])
            worst_failed = _row(nodes, links, costliest)
        if offline is not None:
            offline.take(nodes, links, [offline.internet.cut_off_in(part) for part in parts])
    found = Figures.joined(figures)
    lost, confidence = found.pairs_lost, draws.confidence
    return RandomFailures(
        k=draws.k,
        of=draws.of,
        seed=draws.seed,
        share_lost=interval.share(_share(lost, found.pairs_before), confidence),
        pairs_lost=interval.mean(lost, confidence),
        connectivity_maintained=interval.probability(
            int((lost == 0).sum()), draws.samples, confidence
        ),
        isolated_nodes=interval.mean(found.isolated, confidence),
        failed_nodes=interval.mean(found.failed, confidence),
        worst_pairs_lost=worst,
        worst_failed=worst_failed.names(intact.topology),
        cut_off=offline.told(confidence) if offline else None,
    )


def _row(nodes: NDArray[np.bool_], links: NDArray[np.bool_], row: int) -> Failure:
    return Failure.at(np.flatnonzero(nodes[row]), np.flatnonzero(links[row]))


@dataclass(slots=True, eq=False)
class _Offline:
    """Whom the sets drawn so far cut off from every gateway."""

    intact: Intact
    internet: Internet
    sums: list[NDArray[np.int64]] = field(default_factory=list)  # of `weights`, [3, sets] each
    most: NDArray[np.int64] = field(default_factory=lambda: np.full(3, -1))
    most_failed: Failure = field(default_factory=Failure.at)

    def take(
        self,
        nodes: NDArray[np.bool_],
        links: NDArray[np.bool_],
        sums: list[NDArray[np.int64]],
    ) -> None:
        """Take in the failed nodes and links of some sets, and the sums over whom they cut off."""
        joint = np.concatenate(sums, axis=1)
        self.sums.append(joint)
        row = int(np.lexsort((joint[0], joint[1]))[-1])
        if (joint[1, row], joint[0, row]) > (self.most[1], self.most[0]):
            self.most, self.most_failed = joint[:, row], _row(nodes, links, row)

    def told(self, confidence: float) -> RandomCutOff:
        """What that comes to."""
        offline, clients, _ = np.concatenate(self.sums, axis=1)
        known = self.internet.reaching[2]
        return RandomCutOff(
            nodes=interval.mean(offline, confidence),
            clients=interval.mean(clients, confidence) if known else None,
            nobody=interval.probability(int((offline == 0).sum()), len(offline), confidence),
            most=counted(self.most),
            most_failed=self.most_failed.names(self.intact.topology),
        )


def _share(lost: NDArray[np.int64], before: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pairs connected before that are lost; 0 where there was none."""
    return np.divide(lost, before, out=np.zeros(len(lost)), where=before > 0)


def _drawn(intact: Intact, draws: Draws) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """The failed nodes and links of all samples, some rows at a time."""
    n, m = intact.topology.n_nodes, intact.topology.n_links
    parallel = intact.topology.parallel
    pair = np.repeat(np.arange(m), parallel)  # of each link, the pair of nodes that it joins
    population = {
        "nodes": n,
        "links": len(pair),
        "elements": n + len(pair),
        "groups": len(draws.groups),
    }[draws.of]
    if not 0 <= draws.k <= population:
        raise InvalidInput(
            f"cannot draw {draws.k} {draws.of}",
            f"there are {population}",
            f"Give 0 to {population}.",
            entry="k",
        )
    rng = np.random.default_rng(draws.seed)
    groups = list(draws.groups.values())
    rows = max(1, 8 * CELLS // max(n + m, 1))
    for start in range(0, draws.samples, rows):
        progress.step("random failed sets", start / draws.samples)
        count = min(rows, draws.samples - start)
        chosen = np.array(
            [rng.choice(population, draws.k, replace=False, shuffle=False) for _ in range(count)],
            np.int64,
        ).reshape(count, draws.k)
        nodes, links = np.zeros((count, n), np.bool_), np.zeros((count, m), np.bool_)
        row, each = np.repeat(np.arange(count), draws.k), chosen.reshape(-1)
        if draws.of == "groups":
            for number, group in enumerate(groups):
                _fail(group, row[each == number], nodes, links)
        else:
            each = each + n if draws.of == "links" else each
            nodes[row[each < n], each[each < n]] = True
            gone = np.zeros((count, m), np.int16)
            np.add.at(gone, (row[each >= n], pair[each[each >= n] - n]), 1)
            links = gone == parallel
        if draws.correlation:
            _correlate(groups, draws.correlation, rng, nodes, links)
        yield nodes, links


def _fail(
    group: Failure, rows: NDArray[np.intp], nodes: NDArray[np.bool_], links: NDArray[np.bool_]
) -> None:
    nodes[np.ix_(rows, group.nodes)] = True
    links[np.ix_(rows, group.links)] = True


def _correlate(
    groups: list[Failure],
    correlation: float,
    rng: np.random.Generator,
    nodes: NDArray[np.bool_],
    links: NDArray[np.bool_],
) -> None:
    """Make groups fail, each with a member that has failed, by the correlation."""
    rows = [
        np.flatnonzero(nodes[:, group.nodes].any(axis=1) | links[:, group.links].any(axis=1))
        for group in groups
    ]
    for group, struck in zip(groups, rows, strict=True):
        _fail(group, struck[rng.random(len(struck)) < correlation], nodes, links)


def cascade(
    intact: Intact,
    failure: Failure,
    internet: Internet | None = None,
    *,
    tolerance: float | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> Cascade:
    """The cascade that a failure starts.

    Args:
        intact: the mesh; its traffic loads the links (one unit between all pairs if it has none).
        failure: the first failure.
        internet: the gateways of the mesh; None: none is known.
        tolerance: capacity of each link beyond its intact (or the mean) load, as a share of it;
            None: the capacities of the conditions.
        max_rounds: number of rounds after which a cascade is cut short.

    Raises:
        InvalidInput: there are neither capacities nor a tolerance, or the mesh is too large for
            all its routes.
    """
    capacity = _capacity(intact, tolerance)
    topology = intact.topology
    left = failure.survivors(topology)
    living = left.node_alive[intact.destinations][:, None] & left.node_alive
    rate = np.where(living, intact.rate, 0.0)
    links = np.zeros(topology.n_links, np.bool_)
    links[failure.links] = True
    given, rounds, routes = int(links.sum()), [], intact.routes
    before = intact.partitioner.figures(FailedSets.of([failure])).pairs_before
    while True:
        progress.step("cascades")
        left = topology.without(nodes=failure.nodes, links=links)
        lost = int(_lost(intact, failure, links)[0])
        routes = routes.after(left)
        over = overloaded(routes.load(rate), capacity) & left.link_alive
        names = [topology.link_name(link) for link in np.flatnonzero(over).tolist()]
        offline = people(topology, internet.offline(left)) if internet else None
        rounds.append(CascadeRound(names, lost, offline))
        if not names or len(rounds) > max_rounds:
            return Cascade(
                rounds=rounds,
                settled=not names,
                links_failed=int(links.sum()) - given,
                pairs_lost=lost,
                share_lost=float(_share(np.array([lost]), before)[0]),
                cut_off=offline,
            )
        links |= over


def _lost(intact: Intact, failure: Failure, links: NDArray[np.bool_]) -> NDArray[np.int64]:
    now = Failure.at(failure.nodes, np.flatnonzero(links))
    return intact.partitioner.figures(FailedSets.of([now])).pairs_lost


def _capacity(intact: Intact, tolerance: float | None) -> NDArray[np.float64]:
    if intact.sampled:
        raise InvalidInput(
            "cannot follow a cascade",
            f"routes between all of {intact.topology.n_nodes} nodes are too many",
            "Give a traffic matrix with fewer destinations.",
            entry="traffic",
        )
    if tolerance is not None:
        if not 0.0 <= tolerance < np.inf:
            raise InvalidInput(
                f"a tolerance of {tolerance:g}",
                "it is a share of the load",
                "Give 0 or more.",
                entry="tolerance",
            )
        mean = float(intact.load.mean()) if len(intact.load) else 0.0
        return (1.0 + tolerance) * np.maximum(intact.load, mean)
    if intact.conditions.capacity is None:
        raise InvalidInput(
            "cannot follow a cascade",
            "no link has a capacity",
            "Give capacities, or a tolerance beyond the load of the intact mesh.",
            entry="capacity",
        )
    return intact.conditions.capacity


def random_cascades(
    intact: Intact,
    draws: Draws,
    internet: Internet | None = None,
    *,
    tolerance: float | None = None,
) -> RandomCascades:
    """The cascades that random failed sets start.

    Raises:
        InvalidInput: see `random_failures` and `cascade`; or more than `MAX_CASCADES` samples.
    """
    if draws.samples > MAX_CASCADES:
        raise InvalidInput(
            f"{draws.samples} cascades",
            "routes are computed again for every step of each",
            f"Ask for at most {MAX_CASCADES} samples.",
            entry="samples",
        )
    found: list[Cascade] = []
    offline = _Offline(intact, internet) if internet is not None else None
    for nodes, links in _drawn(intact, draws):
        some = [
            cascade(intact, _row(nodes, links, row), internet, tolerance=tolerance)
            for row in range(len(nodes))
        ]
        found += some
        if offline is not None:
            offline.take(nodes, links, [_sums(one.cut_off) for one in some])
    confidence = draws.confidence
    overload = np.array([one.links_failed for one in found])
    return RandomCascades(
        k=draws.k,
        of=draws.of,
        seed=draws.seed,
        share_lost=interval.share(np.array([one.share_lost for one in found]), confidence),
        pairs_lost=interval.mean(np.array([one.pairs_lost for one in found]), confidence),
        links_overloaded=interval.mean(overload, confidence),
        spreads=interval.probability(int((overload > 0).sum()), len(found), confidence),
        unsettled=sum(not one.settled for one in found),
        cut_off=offline.told(confidence) if offline else None,
    )


def _sums(offline: NodesAndClients | None) -> NDArray[np.int64]:
    """Some people as a column of the sums that they were, int64 [3, 1]."""
    assert offline is not None  # noqa: S101 - a gateway is known
    return np.array([[offline.nodes], [offline.clients or 0], [offline.clients_known]])
