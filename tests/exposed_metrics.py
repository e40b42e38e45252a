"""Metrics under the names that Ray exports them by, over HTTP, without a cluster."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from actors.runtime.metrics import Metrics, check_increment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.metrics import Counter, Definition, Gauge, Histogram

InstrumentT = TypeVar("InstrumentT", bound=MetricWrapperBase)


class ExposedMetrics(Metrics):
    """Instruments of the Prometheus client."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = CollectorRegistry()

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Answer on a free port of loopback; its address."""
        server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry=self.registry)
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _new_counter(self, definition: Definition) -> Counter:
        return _Counter(definition, self.registry)

    def _new_gauge(self, definition: Definition) -> Gauge:
        return _Gauge(definition, self.registry)

    def _new_histogram(self, definition: Definition) -> Histogram:
        return _Histogram(definition, self.registry)


class _Counter:
    def __init__(self, definition: Definition, registry: CollectorRegistry) -> None:
        self._definition = definition
        self._exposed = prometheus_client.Counter(
            f"ray_{definition.name}", definition.description, definition.labels, registry=registry
        )

    def inc(self, value: float = 1.0, **labels: str) -> None:
        check_increment(self._definition, value)
        if value:  # as with Ray, a series begins with its first count
            _labelled(self._exposed, self._definition, labels).inc(value)


class _Gauge:
    def __init__(self, definition: Definition, registry: CollectorRegistry) -> None:
        self._definition = definition
        self._exposed = prometheus_client.Gauge(
            f"ray_{definition.name}", definition.description, definition.labels, registry=registry
        )

    def set(self, value: float, **labels: str) -> None:
        _labelled(self._exposed, self._definition, labels).set(value)


class _Histogram:
    def __init__(self, definition: Definition, registry: CollectorRegistry) -> None:
        self._definition = definition
        self._exposed = prometheus_client.Histogram(
            f"ray_{definition.name}",
            definition.description,
            definition.labels,
            registry=registry,
            buckets=definition.buckets,
        )

    def observe(self, value: float, **labels: str) -> None:
        _labelled(self._exposed, self._definition, labels).observe(value)


def _labelled(exposed: InstrumentT, definition: Definition, labels: dict[str, str]) -> InstrumentT:
    definition.series(labels)
    return exposed.labels(**labels) if labels else exposed
