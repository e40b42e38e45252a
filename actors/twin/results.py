"""What the twin answers: plain values, so that each result is JSON by `as_dict`.

Nodes are ids and links are "a--b", ends in the order of the topology. Lists are complete unless a
field says how many there are of what it shows. Shares, losses and probabilities are in [0, 1],
times in s. None means that there is no such figure, and the field says when.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it
from dataclasses import asdict, dataclass, field
from typing import Any

from actors.topology.provenance import Network


class Result:
    """Base of all results."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # all are dataclasses


@dataclass(frozen=True, slots=True)
class Interval(Result):
    """An estimate from `samples` draws and its two-sided confidence interval."""

    mean: float
    low: float
    high: float
    confidence: float
    samples: int


@dataclass(frozen=True, slots=True)
class NodesAndClients(Result):
    """Some nodes, and the people's devices that are connected to them.

    Unknown is not 0: `clients` counts those of the `clients_known` nodes of which it is known, and
    is None where there are nodes and it is known of none.
    """

    nodes: int
    clients: int | None
    clients_known: int


@dataclass(frozen=True, slots=True)
class InternetAccess(Result):
    """Who reaches the internet through a gateway while nothing has failed."""

    gateways: list[str]
    given: bool  # whether the question names them; else the map does
    reaching: NodesAndClients  # gateways included


@dataclass(frozen=True, slots=True)
class Component(Result):
    """Nodes that still reach each other."""

    size: int
    nodes: list[str]
    reaches_gateway: bool | None  # None: no gateway is known


@dataclass(frozen=True, slots=True)
class Loss(Result):
    """Mean share of messages lost, over ordered pairs of surviving nodes of which it is known.

    `before` is of the intact mesh; `during` of the time until routes have changed; `after` of the
    new routes. Pairs without a path count with 1.
    """

    before: float
    during: float
    after: float
    retries: int
    traffic_weighted: bool
    pairs: int  # number of ordered pairs in the means
    sampled: bool  # whether only some destinations, chosen by the seed, are counted


@dataclass(frozen=True, slots=True)
class PairImpact(Result):
    """One ordered pair of nodes. None: no path, or an end has failed (all of after, then).

    Losses are None also where the route leads over links that nobody measured.
    """

    source: str
    destination: str
    connected_before: bool
    connected_after: bool | None
    loss_before: float | None
    loss_during: float | None
    loss_after: float | None
    loss_unknown: bool  # whether a loss is None because nobody measured it
    hops_before: int | None
    hops_after: int | None


@dataclass(frozen=True, slots=True)
class Stretch(Result):
    """How much longer routes become, over ordered pairs connected before and after.

    To the destinations that losses are over. Ratios of after to before; None where there is no
    such pair. Costs are of pairs whose routes are measured throughout.
    """

    cost_mean: float | None
    cost_max: float | None
    hops_mean: float | None
    hops_max: float | None
    longer_pairs: int  # pairs whose cost has risen


@dataclass(frozen=True, slots=True)
class LinkLoad(Result):
    """Traffic over a link, both directions together, in the unit of the traffic matrix."""

    link: str
    before: float
    after: float
    capacity: float


@dataclass(frozen=True, slots=True)
class Recovery(Result):
    """How long routes are wrong, from the Hello interval and the router's own bound, in s.

    `mttd_s` and `mttr_s` are means when the failure is detected by missing Hellos alone; the bounds
    are those that a drill must not exceed. None where no survivor has lost a link, so that there
    is nothing to detect.
    """

    hello_s: float
    diameter_after: int  # hops
    mttd_s: float | None
    mttr_s: float | None
    detection_bound_s: float | None
    convergence_bound_s: float | None


@dataclass(frozen=True, slots=True)
class Impact(Result):
    """All consequences of one failed set."""

    nodes: int
    links: int
    failed_nodes: list[str]
    failed_links: list[str]
    links_affected: int  # distinct links that failed or have a failed end
    surviving_nodes: int
    pairs: int  # number of pairs of surviving nodes
    pairs_connected_before: int
    pairs_connected_after: int
    pairs_lost: int
    connectivity_maintained: bool
    cut_off: NodesAndClients | None  # survivors that lose every gateway; None: none is known
    failing: NodesAndClients  # what is connected to the failed nodes themselves
    parallel_links: dict[str, int]  # of failed links, how many join the pair if several: all fail
    components: list[Component]  # components of the survivors, largest first
    components_before: int
    isolated_nodes: list[str]  # survivors without a neighbour
    newly_isolated_nodes: list[str]
    spof_nodes: list[str]  # survivors whose failure would then separate pairs
    bridges: list[str]  # links whose failure would then separate pairs
    newly_overloaded: list[LinkLoad] | None  # None without traffic and capacities
    loss: Loss | None  # None: no sender and receiver survive, or it is not known of nearly all
    loss_unknown_pairs: int  # ordered pairs whose routes lead over links that nobody measured
    pair_impacts: list[PairImpact]  # results of the pairs asked for
    stretch: Stretch
    recovery: Recovery


@dataclass(frozen=True, slots=True)
class RankedNode(Result):
    """A node and what its failure alone costs others."""

    node: str
    pairs_lost: int
    share: float  # share lost of the connected pairs of other nodes
    degree: int
    cut_off: NodesAndClients | None  # who loses every gateway; None: no gateway is known


@dataclass(frozen=True, slots=True)
class RankedLink(Result):
    """A link and what its failure alone costs."""

    link: str
    pairs_lost: int
    share: float  # share lost of the connected pairs
    cut_off: NodesAndClients | None  # who loses every gateway; None: no gateway is known


@dataclass(frozen=True, slots=True)
class RankedPair(Result):
    """Two nodes and what their failure together costs."""

    a: str
    b: str
    pairs_lost: int
    pairs_lost_alone: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SingleFailures(Result):
    """Every single failure of a mesh."""

    nodes: int
    links: int
    pairs_connected: int
    components: int
    node_connectivity: int | None  # least nodes whose failure splits it; None: beyond the limit
    ranked_by: str  # "clients", "nodes" or "pairs"; the others decide between equals
    spof_nodes: list[RankedNode]  # costliest first
    bridges: list[RankedLink]  # costliest first


@dataclass(frozen=True, slots=True)
class WorstPairs(Result):
    """The costliest pairs of nodes to fail together."""

    pairs: list[RankedPair]  # costliest first
    exhaustive: bool  # False: only pairs with one of the `partners` costliest nodes were tried
    partners: int


@dataclass(frozen=True, slots=True)
class RankedDouble(Result):
    """Two nodes or links, and what both together cost beyond what each of them does alone.

    A link that stands beside itself is one of two that join a pair: both of them fail.
    """

    a: str
    b: str
    pairs_lost: int  # that neither alone would part
    cut_off: NodesAndClients | None  # that neither alone would cut off; None: no gateway is known


@dataclass(frozen=True, slots=True)
class DoubleFailures(Result):
    """All failures of two at once that cost more than the two do one by one.

    Each list has the costliest, as many as were asked for, and the counts tell how many there are.
    """

    ranked_by: str  # as in `SingleFailures`
    nodes: list[RankedDouble]  # two nodes
    links: list[RankedDouble]  # two links
    nodes_with_links: list[RankedDouble]  # `a` is the node, `b` the link
    node_pairs: int
    link_pairs: int
    node_and_link_pairs: int


@dataclass(frozen=True, slots=True)
class RandomCutOff(Result):
    """How many survivors lose every gateway by random failed sets."""

    nodes: Interval
    clients: Interval | None  # their clients, where known; None: of nobody who has a gateway
    nobody: Interval  # chance that nobody does
    most: NodesAndClients  # by the set that cuts most off: most clients, then most nodes
    most_failed: list[str]  # nodes and links of that set


@dataclass(frozen=True, slots=True)
class RandomFailures(Result):
    """The consequences of random failed sets."""

    k: int
    of: str  # what was drawn: "nodes", "links", "elements" or "groups"
    seed: int
    share_lost: Interval  # share lost of the connected pairs of survivors
    pairs_lost: Interval
    connectivity_maintained: Interval
    isolated_nodes: Interval
    failed_nodes: Interval
    worst_pairs_lost: int
    worst_failed: list[str]  # nodes and links of the costliest set drawn
    cut_off: RandomCutOff | None  # None: no gateway is known


@dataclass(frozen=True, slots=True)
class RandomCascades(Result):
    """The consequences of random failed sets when overload makes more links fail."""

    k: int
    of: str  # kind of what was drawn, as in `RandomFailures`
    seed: int
    share_lost: Interval
    pairs_lost: Interval
    links_overloaded: Interval
    spreads: Interval  # chance that any link is overloaded
    unsettled: int  # cascades cut short by the limit of rounds
    cut_off: RandomCutOff | None  # in the end; None: no gateway is known


@dataclass(frozen=True, slots=True)
class CascadeRound(Result):
    """One step of a cascade."""

    overloaded: list[str]  # links that fail next
    pairs_lost: int
    cut_off: NodesAndClients | None  # survivors without a gateway by then; None: none is known


@dataclass(frozen=True, slots=True)
class Cascade(Result):
    """What follows when links that carry more than they can fail in turn."""

    rounds: list[CascadeRound]  # the first is the failure itself
    settled: bool  # False: cut short by the limit of rounds
    links_failed: int  # number of links failed by overload
    pairs_lost: int
    share_lost: float
    cut_off: NodesAndClients | None  # survivors that lose every gateway; None: none is known


@dataclass(frozen=True, slots=True)
class InternetAvailability(Result):
    """How likely people have the internet at a random moment.

    Of the nodes that reach a gateway while nothing has failed. Who is down himself has none.
    """

    nodes: Interval  # mean share of these nodes that are up and reach a gateway
    clients: Interval | None  # of their clients, where known; None: of none, or there are none
    everybody: Interval  # chance that all of them do
    clients_known: int  # nodes of which it is known how many clients they have


@dataclass(frozen=True, slots=True)
class PairAvailability(Result):
    """How likely two nodes reach each other at a random moment."""

    a: str
    b: str
    availability: Interval  # both up, and connected
    given_ends_up: Interval | None  # connected when both are up; None if they never were


@dataclass(frozen=True, slots=True)
class Availability(Result):
    """How likely the mesh works at a random moment.

    By enumeration all intervals are exact: low = mean = high.
    """

    method: str  # "enumeration" or "monte-carlo"
    seed: int
    samples: int  # draws, or states enumerated
    elements: int  # nodes, links and groups that can fail
    all_up: float  # chance that all nodes are up, and a link of every pair; exact
    whole: Interval  # every node is up and all pairs that the intact mesh connects are connected
    survivors_connected: Interval  # the nodes that are up have lost no pair among them
    pair_share: Interval  # mean share of the intact mesh's connected pairs that are up, connected
    pairs: list[PairAvailability]
    internet: InternetAvailability | None  # None: no gateway is known


@dataclass(frozen=True, slots=True)
class AddedLink(Result):
    """A link worth adding, and what it does on top of those before it.

    `km` is None where the place of an end is not known.

    `offline` are those without a gateway then, as in `Advice`. The last two are None in advice for
    one failure.
    """

    a: str
    b: str
    km: float | None  # great circle between its ends
    hops: int | None  # hops between its ends now; None: not connected
    removes: int  # number of separated pairs that it connects
    remaining: int
    alternatives: int  # pairs of ends at this place that remove as many
    offline: NodesAndClients | None
    spof_nodes_after: int | None
    bridges_after: int | None


@dataclass(frozen=True, slots=True)
class Advice(Result):
    """Links to add, best first, each chosen on top of the previous.

    `offline` are survivors: over all single failures those without a gateway, summed like the
    pairs; over one failure those that lose every gateway by it. None: no gateway is known.
    """

    for_failure: bool  # over the one failure asked about; else over all single failures
    separated_pairs: int  # number now, summed over the cases of the advice
    offline: NodesAndClients | None  # those without a gateway now
    links: list[AddedLink]
    reason: str  # why there are fewer links than asked for; empty otherwise
    max_km: float | None  # length of the longest link proposed; None: any
    placed: int  # number of nodes whose place is known
    unplaced: int  # nodes left out because theirs is not known
    tunnel_ends: int  # nodes left out because only tunnels lead to them


@dataclass(frozen=True, slots=True)
class Compared(Result):
    """One figure, predicted and observed."""

    name: str
    predicted: float | None
    observed: float | None
    agrees: bool | None  # None: not judged, or one of the two is missing
    rule: str  # "equal", "at most the prediction", "within 0.02" or "not judged"


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """A prediction beside an observation."""

    figures: list[Compared]
    agrees: bool  # whether every figure that could be judged agrees


@dataclass(frozen=True, slots=True)
class ScenarioAnswer(Result):
    """The answers to a scenario; None for questions that it did not ask."""

    name: str
    nodes: int
    links: int
    internet: InternetAccess | None  # None: no gateway is known
    impact: Impact | None
    single_failures: SingleFailures | None
    double_failures: DoubleFailures | None
    worst_pairs: WorstPairs | None
    random_failures: RandomFailures | None
    cascade: Cascade | None
    random_cascades: RandomCascades | None
    availability: Availability | None
    advice: Advice | None


@dataclass(frozen=True, slots=True)
class About:
    """The network that a reply is about.

    Attributes:
        live: True for a network that is followed: the emulated mesh as its nodes know it, or the
            observed network as its sources tell it; False for a map.
        source: source of its map, without credentials.
        nodes, links: number of nodes and links; of the live mesh, only links that are up.
        links_down: number of links of the map that are not up in the live mesh.
        hello_s: interval between Hellos, s; a scenario may name another.
        revision: version of the live mesh's membership; None for a map.
        age_s: time since the live mesh was last polled, s; None for a map.
        network: `observed`, `emulated` or `map`.
        left_out: number of records of its sources that were left out, by reason.
        warnings: sentences on what is lacking, old or odd.
        source_age_s: age of the oldest thing that its sources say, s; None: not known.
    """

    live: bool
    source: str
    nodes: int
    links: int
    links_down: int
    hello_s: float
    revision: int | None = None
    age_s: float | None = None
    network: str = Network.MAP
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    source_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its mesh.

    Attributes:
        about: the mesh.
        answer: the answers to all questions of the scenario.
        names: names by id of the nodes that the answers speak of, where they have one.
        picture: the picture as PNG, if it was asked for.
        pictured: what fails in the picture.
    """

    about: About
    answer: ScenarioAnswer
    names: Mapping[str, str] = field(default_factory=dict)
    picture: bytes | None = None
    pictured: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without the picture."""
        shown = {name: getattr(self.about, name) for name in About.__slots__}
        return {"mesh": shown, "names": dict(self.names), **self.answer.as_dict()}
