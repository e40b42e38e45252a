"""What the gateway counts, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from actors.observe import condition
from serve_apps.web.request_metrics import RequestMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.gateway.observed_view import Observed

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "x0tta6bl4_gateway"


def _of_network(last: Observed | None, troubles: int, *, known: bool) -> Iterator[Metric]:
    """The observed network; nothing where none is observed, or none is known yet."""
    if last is None or not known:
        return
    told = condition.document(last.network, last.sources)
    prefix = f"{_PREFIX}_network"
    nodes = GaugeMetricFamily(f"{prefix}_nodes", "Observed nodes by state", labels=["state"])
    for state, count in told["nodes"].items():
        nodes.add_metric([state], count)
    links = GaugeMetricFamily(f"{prefix}_links", "Observed links by state", labels=["state"])
    for state, count in told["links"].items():
        links.add_metric([state], count)
    age = GaugeMetricFamily(
        f"{prefix}_source_age_seconds", "Age of what is used of a source", labels=["source"]
    )
    for source in last.sources:
        if source.age_s is not None:
            age.add_metric([source.name], source.age_s)
    yield from (nodes, links, age)
    yield GaugeMetricFamily(f"{prefix}_troubles", "What is wrong with what is known", troubles)


class GatewayMetrics(Collector):
    """All metrics of a gateway: those of requests, and its state when it is asked.

    Args:
        gateway: what is measured.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._process = psutil.Process()
        self._registry = CollectorRegistry()
        self.requests = RequestMetrics(self._registry, _PREFIX)
        self._registry.register(self)

    def exposition(self) -> bytes:
        """The metrics in the text format of Prometheus (version 0.0.4)."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The state of the gateway."""
        gateway = self._gateway
        counts, view, lag = gateway.counts, gateway.view, gateway.counts.lag.largest
        for name, text, count in (
            ("messages_accepted", "Messages accepted", counts.accepted),
            ("messages_refused", "Messages refused alone", counts.refused),
            ("acknowledged", "Messages acknowledged", counts.acknowledged),
            ("reports", "Reports about the observed network taken", counts.reports),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value=count)
        observed, troubles = gateway.how_observed()
        yield from _of_network(gateway.observed.last, len(troubles), known=observed == "ready")
        for name, text, value in (
            (
                "ready",
                "1 once the emulated mesh is ready",
                gateway.ready and not gateway.cluster_gone,
            ),
            ("requests_in_flight", "Requests under way", gateway.in_flight.taken),
            ("long_polls", "Long polls under way", gateway.long_polls.taken),
            ("event_streams", "Event streams open", gateway.streams.taken),
            ("inbox_streams", "Inbox streams open", gateway.inbox_streams.taken),
            ("uploads", "Bodies in lines under way", gateway.uploads.taken),
            ("resident_memory_bytes", "Memory of the process", self._process.memory_info().rss),
            ("loop_lag_max_seconds", "Largest delay of the loop", lag.late_s),
            ("loop_lag_max_starved_seconds", "Of it, waiting for a processor", lag.starved_s),
            ("mesh_nodes_up", "Nodes that a neighbour hears", int(view.heard.sum())),
            ("mesh_links_up", "Directed links up", int(np.count_nonzero(view.cost))),
        ):
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)
