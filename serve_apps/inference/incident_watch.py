"""From samples of a running network to events about its incidents, an interval at a time.

Pure: it is given samples and times, and gives events; see `live_loop` for who calls it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from serve_apps.inference import incident_events
from serve_apps.inference.arrivals import Arrivals
from serve_apps.inference.disturbances import Usual
from serve_apps.inference.incidents import Change, ChangeKind, Incidents, Phase
from serve_apps.inference.live_telemetry import LiveTelemetry
from serve_apps.inference.received_figures import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from actors.topology.events import NetworkEvent
    from actors.topology.samples import NetworkSample
    from serve_apps.inference.arrivals import Arrival
    from serve_apps.inference.disturbances import Disturbances
    from serve_apps.inference.incidents import HalfLink, Incident
    from serve_apps.inference.live_root_cause import RootCauseRanker
    from serve_apps.inference.neighbour_traffic import HalfTraffic
    from serve_apps.inference.telemetry import NetworkGraph, Telemetry


class Outcome(NamedTuple):
    """What an interval has brought.

    Attributes:
        disturbances: the network in it; None: nobody has looked at it.
        changes: what has become of incidents.
        events: these, as the history has them.
    """

    disturbances: Disturbances | None
    changes: Sequence[Change] = ()
    events: Sequence[NetworkEvent] = ()


class IncidentWatch:
    """Follows the incidents of one network. Not thread-safe.

    Args:
        ranker: says what they come from.
    """

    def __init__(self, ranker: RootCauseRanker) -> None:
        self.incidents = Incidents(ranker)
        self._telemetry = LiveTelemetry()
        self._usual = Usual()
        self._arrivals = Arrivals()
        self._recalled = True
        self._number = 0

    def go_on(self, before: Sequence[Incident]) -> None:
        """Take over incidents that were open in an earlier process."""
        self.incidents.open = [*before, *self.incidents.open]
        self._recalled = not before

    def look(self, sample: NetworkSample) -> None:
        """Take in what is known at a moment."""
        self._telemetry.look(sample)

    def close(self, at: float, traffic: Mapping[HalfLink, HalfTraffic] | None = None) -> Outcome:
        """End the interval.

        Args:
            at: Unix time, s.
            traffic: what hosts have received in it; None: none counts.
        """
        traffic = traffic or {}
        arrived = self._arrivals.judge(traffic)
        closed = self._telemetry.close(at, columns(traffic, arrived))
        if closed is None:
            return Outcome(None)
        graph, row = closed
        self._recall(graph)
        now = self._usual.step(graph, row, self._received(arrived))
        self._learn(traffic, now)
        # Made once for all incidents of the interval, if one of them needs it.
        changes = self.incidents.step(now, functools.cache(self._telemetry.telemetry))
        return Outcome(now, changes, self._events(changes, at))

    def _received(self, arrived: Mapping[HalfLink, Arrival]) -> NDArray[np.float64] | None:
        """How disturbed what arrives is, at each half-link."""
        if not arrived:
            return None
        strength = {half: one.strength for half, one in arrived.items()}
        return self._telemetry.of_halves(strength, 0.0)

    def _learn(self, traffic: Mapping[HalfLink, HalfTraffic], now: Disturbances) -> None:
        """Have what arrived become usual, where nothing of the link is disturbed."""
        if not traffic:
            return
        calm = {
            link
            for link, pair in zip(now.graph.links, now.strength.reshape(-1, 2), strict=True)
            if not pair.any()
        }
        self._arrivals.learn(traffic, lambda half: half.link in calm)

    @property
    def names(self) -> Mapping[str, str]:
        """Host names of nodes by id, as far as they are known."""
        return self._telemetry.names

    def telemetry(self) -> Telemetry | None:
        """What was measured in the intervals that are kept; None before the first has ended."""
        try:
            return self._telemetry.telemetry()
        except ValueError:
            return None

    def end(self, incidents: Sequence[Incident], why: str, at: float) -> Sequence[NetworkEvent]:
        """Close incidents for another reason than that all is well.

        Args:
            incidents: those to close; they need not be among the open ones.
            why: the reason.
            at: Unix time, s.
        """
        for incident in incidents:
            incident.phase, incident.why_closed = Phase.CLOSED, why
        return self._events([Change(ChangeKind.CLOSED, one) for one in incidents], at)

    def _events(self, changes: Sequence[Change], at: float) -> Sequence[NetworkEvent]:
        first = self._number + 1
        self._number += len(changes)
        return tuple(
            incident_events.event(change, number, at, self._telemetry.names)
            for number, change in enumerate(changes, first)
        )

    def _recall(self, graph: NetworkGraph) -> None:
        """Take what was disturbed in an earlier process for unusual, not for usual."""
        if self._recalled:
            return
        self._recalled = True
        links: dict[str, list[float | None]] = {}
        dark: set[str] = set()
        for incident in self.incidents.open:
            dark |= incident.dark.keys()
            for half, trace in incident.halves.items():
                links.setdefault(half.link, [None, None])[half.end] = trace.usual
        usual = {link: (first, second) for link, (first, second) in links.items()}
        self._usual.recall(graph, usual, frozenset(dark))
