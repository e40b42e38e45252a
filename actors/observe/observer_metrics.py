"""What the observer counts for Prometheus. No node is a label; the few sources are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actors.observe.contract import LinkCondition, NodeState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.observe.moment import Moment
    from actors.observe.observation import Observation
    from actors.runtime.metrics import Metrics
    from actors.topology.events import NetworkEvent


class ObserverMetrics:
    """The observer's instruments.

    Args:
        metrics: where they are made.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._nodes = metrics.gauge(
            "x0tta6bl4_observe_nodes", "Members of the network by state", ("state",)
        )
        self._links = metrics.gauge("x0tta6bl4_observe_links", "Links by state", ("state",))
        self._parts = metrics.gauge(
            "x0tta6bl4_observe_parts", "Parts of the network that no path joins"
        )
        self._no_gateway = metrics.gauge(
            "x0tta6bl4_observe_nodes_without_gateway", "Nodes that lost their last gateway"
        )
        self._clients = metrics.gauge(
            "x0tta6bl4_observe_clients", "Clients of the nodes that are up, as far as it is told"
        )
        self._events = metrics.counter(
            "x0tta6bl4_observe_events_total", "Events by kind and severity", ("kind", "severity")
        )
        self._polls = metrics.counter(
            "x0tta6bl4_observe_polls_total", "Polls by outcome", ("source", "outcome")
        )
        self._poll_s = metrics.histogram(
            "x0tta6bl4_observe_poll_seconds", "Duration of a poll, parsing included", ("source",)
        )
        self._age_s = metrics.gauge(
            "x0tta6bl4_observe_source_age_seconds", "Age of what is used of a source", ("source",)
        )
        self._fine = metrics.gauge(
            "x0tta6bl4_observe_source_ok", "1: neither failed, held nor stale", ("source",)
        )
        self._left_out = metrics.gauge(
            "x0tta6bl4_observe_left_out_records",
            "Records of the last answer that were left out",
            ("source",),
        )

    def polled(self, source: str, outcome: str, took_s: float) -> None:
        """Count a poll."""
        self._polls.inc(source=source, outcome=outcome)
        self._poll_s.observe(took_s, source=source)

    def happened(self, events: Iterable[NetworkEvent]) -> None:
        """Count events."""
        for event in events:
            self._events.inc(kind=event.kind.value, severity=event.severity.value)

    def stands(self, world: Observation) -> None:
        """Show how the network stands."""
        states = Counter(member.state for member in world.members.values())
        for state in NodeState:
            self._nodes.set(states[state], state=state.value)
        conditions = Counter(link.condition for link in world.links.values())
        for condition in (LinkCondition.UP, LinkCondition.DEGRADED, LinkCondition.DOWN):
            self._links.set(conditions[condition], state=condition.value)
        self._parts.set(len(set(world.parts.of.values())))
        self._no_gateway.set(sum(member.lost_gateway for member in world.members.values()))
        self._clients.set(
            sum(
                member.facts.clients or 0
                for member in world.members.values()
                if member.state is NodeState.UP
            )
        )

    def says(self, world: Observation, now: Moment) -> None:
        """Show how the sources are."""
        for name, record in world.records.items():
            if record.content_at is not None:
                self._age_s.set(record.age(now), source=name)
            fine = record.good_at is not None and not (record.failed or record.held or record.stale)
            self._fine.set(float(fine), source=name)
            self._left_out.set(sum(record.account.left_out.values()), source=name)
