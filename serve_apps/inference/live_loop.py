"""Follows the incidents of a running network for as long as it runs: the shell of the live path.

It looks at the network, judges it at the end of each interval, and tells what has become of
incidents: to the history, as metrics and in the log. It is free of Ray; whoever runs it ends its
process when `run` ends, so that it is started again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import numpy as np

from actors.history.errors import NoHistory
from actors.history.event_store import EventQuery
from actors.runtime import ids, log
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import Unavailable, X0Error
from actors.topology.events import EventPage
from actors.topology.provenance import Network
from serve_apps.inference import incident_events, scoring
from serve_apps.inference.condition import node_graph
from serve_apps.inference.incident_watch import IncidentWatch
from serve_apps.inference.incidents import ChangeKind
from serve_apps.inference.model_drift import ModelDrift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actors.history.archive import Archive
    from actors.runtime.metrics import Metrics
    from actors.topology.events import NetworkEvent
    from serve_apps.inference.hosts_traffic import Counted, HostsTraffic
    from serve_apps.inference.incident_watch import Outcome
    from serve_apps.inference.incidents import HalfLink, Incident
    from serve_apps.inference.kept_model import KeptModel
    from serve_apps.inference.live_root_cause import RootCauseRanker
    from serve_apps.inference.looking import NetworkLooks
    from serve_apps.inference.neighbour_traffic import HalfTraffic
    from serve_apps.inference.node_graph import NodeGraph

LOOK_S: Final = 0.5  # longest time between two looks
LOOKS: Final = 5  # least number of looks in an interval
HELLOS: Final = 5  # in an interval of an emulated mesh
SHORTEST_S: Final = 1.0  # interval of one
BABEL_HELLOS: Final = 10  # in an interval of a laboratory; babeld judges a link by 16 of them
OBSERVED_S: Final = 5.0  # shortest interval of a network that is observed
SOURCE: Final = "inference"  # of its events; of the observed network's, `inference:observed`
REMEMBER_TRIES: Final = 20  # before it begins without knowing what was open
MOST_REMEMBERED: Final = 10_000  # newest events of incidents that are read
UNTOLD: Final = 1_000  # most events that wait for a history that does not answer
TRAFFIC: Final = "received traffic"
CONTEXT: Final = "inference"  # of its errors


class History(Protocol):
    """Who stores events, as `actors.history.client.report` does."""

    async def __call__(self, source: str, network: Network, page: EventPage) -> int:
        """Store events; how many are new.

        Raises:
            X0Error: they are not stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a live loop is started with.

    Attributes:
        network: the network that is followed.
        interval_s: time between two judgements, s.
        look_s: time between two looks, s.
        began_at: Unix time at which this network began, s; incidents of before are of another one.
            0: it has always been the same.
    """

    network: Network
    interval_s: float
    look_s: float = LOOK_S
    began_at: float = 0.0

    @classmethod
    def emulated(cls, hello_s: float, began_at: float = 0.0) -> Self:
        """Those for a mesh with so many seconds between Hellos, which misses three to notice."""
        interval_s = max(SHORTEST_S, HELLOS * hello_s)
        return cls(Network.EMULATED, interval_s, min(LOOK_S, interval_s / LOOKS), began_at)

    @classmethod
    def observed(cls, poll_s: float) -> Self:
        """Those for a network whose sources are asked every so many seconds."""
        return cls(Network.OBSERVED, max(OBSERVED_S, poll_s))

    @classmethod
    def laboratory(cls, hello_s: float) -> Self:
        """Those for a network of babeld, whose Hellos it judges loss by, with a shorter poll."""
        interval_s = max(SHORTEST_S, BABEL_HELLOS * hello_s)
        return cls(Network.OBSERVED, interval_s, min(LOOK_S, interval_s / LOOKS))


class LiveLoop:
    """Follows one network.

    Args:
        options: which, and how often it is judged.
        looks: looks at it.
        ranker: says what incidents come from.
        history: stores events.
        metrics: where it counts.
        remembered: reads the events of incidents of earlier processes, see `remembered`.
        model: scores every node in each interval; None: they are not scored.
        traffic: reads what hosts receive of neighbours; None: it is not asked for.

    Attributes:
        judged: number of intervals that have ended, and in which the network was seen.
    """

    def __init__(
        self,
        options: LiveOptions,
        looks: NetworkLooks,
        ranker: RootCauseRanker,
        history: History,
        metrics: Metrics,
        remembered: Callable[[], Sequence[NetworkEvent]] = tuple,
        model: KeptModel | None = None,
        traffic: HostsTraffic | None = None,
    ) -> None:
        self._options = options
        self._traffic = traffic
        self._model = model
        self._remembered = remembered
        self.judged = 0
        self._looks = looks
        self._history = history
        self._watch = IncidentWatch(ranker)
        self._closing = asyncio.Lock()  # held while an interval ends, or what is kept is read
        self._graph: NodeGraph | None = None  # of the last interval, once somebody needed it
        self._incarnation = ids.random_id()
        self._log = log.get(__name__).bind(network=options.network.value)
        self._errors = ErrorHandler(CONTEXT, metrics)
        self._failing: dict[str, str] = {}
        self._untold: deque[NetworkEvent] = deque(maxlen=UNTOLD)
        self._counts = LiveMetrics(metrics, options.network)
        self._drift = ModelDrift(options.network)

    @property
    def open(self) -> Sequence[Incident]:
        """The incidents that are open."""
        return tuple(self._watch.incidents.open)

    @property
    def failing(self) -> str:
        """What fails now, and why; "" if nothing does."""
        return "; ".join(f"{what}: {why}" for what, why in self._failing.items())

    async def condition(self) -> NodeGraph:
        """The nodes, with their features in the last interval.

        Raises:
            Unavailable: none has ended yet in which the network was seen.
        """
        async with self._closing:
            graph = self._graph = self._graph or await asyncio.to_thread(self._measured)
        if graph is None:
            raise Unavailable(
                f"nothing has been measured of the {self._options.network} network yet",
                self.failing or "the first interval has not ended",
                f"Retry after {self._options.interval_s:g} s.",
                retry_after_s=self._options.interval_s,
            )
        return graph

    def _measured(self) -> NodeGraph | None:
        telemetry = self._watch.telemetry()
        return None if telemetry is None else node_graph(telemetry)

    def told(self) -> list[dict[str, Any]]:
        """The open incidents, the oldest first, for JSON."""
        names = self._watch.names
        return [incident_events.told(incident, names) for incident in self.open]

    async def run(self) -> None:
        """Follow the network until cancelled."""
        await self._remember()
        deadline = time.monotonic() + self._options.interval_s
        while True:
            await self._look()
            rest = deadline - time.monotonic()
            if rest <= 0:
                await self.judge()
                deadline = max(deadline + self._options.interval_s, time.monotonic())
                continue
            await asyncio.sleep(min(rest, self._options.look_s))

    async def _remember(self) -> None:
        """Go on with the incidents that were open when an earlier process ended."""
        for _ in range(REMEMBER_TRIES):
            try:
                events = await asyncio.to_thread(self._remembered)
            except X0Error as error:
                self._fails("remembering", error)
                await asyncio.sleep(self._options.look_s)
                continue
            self._works("remembering")
            found = incident_events.still_open(events)
            began_at = self._options.began_at
            self._watch.go_on([one for one in found if one.opened_at >= began_at])
            over = [one for one in found if one.opened_at < began_at]
            self._untold.extend(self._watch.end(over, "its network has ended", time.time()))
            return

    async def _look(self) -> None:
        try:
            self._watch.look(await self._looks.look())
        except X0Error as error:
            self._fails("looks", error)
        else:
            self._works("looks")

    async def judge(self) -> Outcome:
        """End the interval, and tell what it has brought."""
        traffic = await self._received()
        began = time.monotonic()
        async with self._closing:
            outcome = await asyncio.to_thread(self._watch.close, time.time(), traffic)
            self._graph = None
        self.judged += outcome.disturbances is not None
        scored = await self._scored() if outcome.disturbances is not None else {}
        events = [_with_scores(event, scored) for event in outcome.events]
        self._counts.judged(outcome, self.open, time.monotonic() - began)
        for change, event in zip(outcome.changes, events, strict=True):
            self._log.info(event.what, kind=event.kind.value, incident=change.incident.id)
        self._untold.extend(events)
        await self._tell()
        return outcome

    async def _received(self) -> Mapping[HalfLink, HalfTraffic]:
        """What hosts have received of neighbours in the interval; empty: that is not known."""
        if self._traffic is None:
            return {}
        try:
            counted = await self._traffic.read()
        except X0Error as error:
            self._fails(TRAFFIC, error)
            return {}
        self._counts.counted(counted)
        for why in counted.silent.values():
            self._fails(TRAFFIC, why)
        if not counted.silent:
            self._works(TRAFFIC)
        return counted.traffic

    async def _scored(self) -> Mapping[str, float]:
        """Score every node of which something is measured: the probability that it is anomalous.

        Without a model that can be used there are no scores, and that is told.
        """
        if self._model is None:
            return {}
        try:
            model, why = await asyncio.to_thread(self._model.look)
            self._follows_model(why)
            graph = await self.condition()
            (found,) = await asyncio.to_thread(scoring.scores, model, [graph])
        except X0Error as error:
            self._fails("scores", error)
            self._counts.unscored()
            return {}
        self._works("scores")
        measured = found.known > 0
        self._counts.scored(int(measured.sum()), int((found.anomalous & measured).sum()))
        touched = set().union(*(incident.nodes for incident in self.open))
        calm = measured & np.array([node not in touched for node in graph.nodes], bool)
        self._drift.note(int(calm.sum()), int((found.anomalous & calm).sum()), time.time())
        if found.probability is None:
            return {}
        return {graph.nodes[row]: float(found.probability[row]) for row in np.flatnonzero(measured)}

    def _follows_model(self, why: str) -> None:
        """Tell that an older model scores than the one whose files are there, if that is so."""
        if why:
            self._failing["model"] = why
            self._counts.failing(len(self._failing))
        else:
            self._works("model")

    async def _tell(self) -> None:
        """Have the history store what it has not stored yet."""
        if not self._untold:
            return
        page = EventPage(self._incarnation, 0, tuple(self._untold))
        network = self._options.network
        try:
            await self._history(f"{SOURCE}:{network.value}", network, page)
        except X0Error as error:
            self._fails("history", error)
        else:
            self._works("history")
            self._untold.clear()

    # -- what fails for a while ------------------------------------------------------------------

    def _fails(self, what: str, error: X0Error) -> None:
        """Log a failure when it begins, not as long as it lasts."""
        if what not in self._failing:
            self._errors.handle(error, severity="warning", during=what)
        self._failing[what] = str(error)
        self._counts.failing(len(self._failing))

    def _works(self, what: str) -> None:
        if self._failing.pop(what, None) is not None:
            self._log.info("works again", what=what)
            self._counts.failing(len(self._failing))


def _with_scores(event: NetworkEvent, scored: Mapping[str, float]) -> NetworkEvent:
    """An event with the scores of the nodes that it names, as far as there are any."""
    scores = {node: round(scored[node], 4) for node in event.nodes if node in scored}
    return replace(event, data={**event.data, "anomalous": scores})


def remembered(archive: Archive, network: Network) -> Sequence[NetworkEvent]:
    """The newest events of a network's incidents in the history, in their order.

    Raises:
        Unavailable: the history cannot be read now.
    """
    query = EventQuery(
        kinds=tuple(incident_events.KINDS.values()),
        network=network,
        limit=MOST_REMEMBERED,
        newest=True,
    )
    try:
        archive.check_events()
        return [stored.event for stored in archive.events.find(query)]
    except NoHistory:
        return ()


class LiveMetrics:
    """What a live loop counts.

    Args:
        metrics: where it counts.
        network: label of its series.
    """

    def __init__(self, metrics: Metrics, network: Network) -> None:
        self._network = network.value
        prefix = "x0tta6bl4_inference"
        self._incidents = metrics.counter(
            f"{prefix}_incidents_total", "Incidents that were opened", ("network", "cause")
        )
        self._open = metrics.gauge(f"{prefix}_incidents_open", "Open incidents", ("network",))
        self._disturbed = metrics.gauge(
            f"{prefix}_nodes_disturbed", "Nodes with a disturbed link, or silent", ("network",)
        )
        self._scored = metrics.gauge(
            f"{prefix}_nodes_scored",
            "Nodes of which anything is measured",
            ("network",),
        )
        self._anomalous = metrics.gauge(
            f"{prefix}_nodes_anomalous", "Nodes whose score reaches the threshold", ("network",)
        )
        self._judging = metrics.histogram(
            f"{prefix}_judging_seconds", "Time to judge an interval", ("network",)
        )
        self._unseen = metrics.counter(
            f"{prefix}_unseen_intervals_total",
            "Intervals in which the network could not be seen",
            ("network",),
        )
        self._failing = metrics.gauge(
            f"{prefix}_failing",
            "What fails now: looks, scores, model, history, traffic",
            ("network",),
        )
        self._half_links = metrics.gauge(
            f"{prefix}_half_links_counted",
            "Half-links of which a host counts what is received",
            ("network",),
        )
        self._heard = metrics.gauge(
            f"{prefix}_xdp_addresses",
            "Addresses that hosts have received from, or whose owner is ambiguous",
            ("network", "owner"),
        )

    def judged(self, outcome: Outcome, opened: Sequence[Incident], took_s: float) -> None:
        """Count an interval."""
        now = outcome.disturbances
        self._judging.observe(took_s, network=self._network)
        self._open.set(len(opened), network=self._network)
        if now is None:
            self._unseen.inc(network=self._network)
        else:
            self._disturbed.set(now.n_disturbed_nodes, network=self._network)
        for change in outcome.changes:
            root = change.incident.root
            if change.kind is ChangeKind.OPENED and root is not None:
                self._incidents.inc(network=self._network, cause=root.cause.value)

    def counted(self, found: Counted) -> None:
        """Count what hosts have received of."""
        self._half_links.set(len(found.traffic), network=self._network)
        for owner, number in (
            ("neighbour", found.neighbours),
            ("other", found.others),
            ("ambiguous", found.ambiguous),
        ):
            self._heard.set(number, network=self._network, owner=owner)

    def scored(self, nodes: int, anomalous: float) -> None:
        """Count nodes that were scored in an interval, and those that are anomalous."""
        self._scored.set(nodes, network=self._network)
        self._anomalous.set(anomalous, network=self._network)

    def unscored(self) -> None:
        """Tell that no node was scored: how many are anomalous is not known."""
        self.scored(0, math.nan)

    def failing(self, count: int) -> None:
        """Tell how much fails."""
        self._failing.set(count, network=self._network)
