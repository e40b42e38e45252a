"""How many requests were answered, by status, and how long each route takes to begin its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import Scope

ROUTE: Final = "x0.route"  # key of a scope: the path of the route that answers it
_UNMATCHED: Final = "(none)"  # a path that no route has; its text is not a label, as it is anything
# From half a millisecond, which a fast route takes, to a long poll.
_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)


class RequestMetrics:
    """Counts answers. One instance an application.

    Args:
        registry: the registry that the metrics are read from.
        prefix: how their names begin, such as `x0tta6bl4_gateway`.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._answers = Counter(
            f"{prefix}_requests_total",
            "Requests answered, by status",
            ["status"],
            registry=registry,
        )
        self._times = Histogram(
            f"{prefix}_request_seconds",
            "Time from the head of a request to the head of its answer",
            ["method", "route"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._by_status: dict[int, Counter] = {}
        self._by_route: dict[tuple[str, str], Histogram] = {}

    def answered(self, scope: Scope, status: int, took_s: float) -> None:
        """Count an answer that begins now.

        Args:
            scope: of the request; routing has written its route there.
            status: of the answer.
            took_s: seconds since the request came.
        """
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._answers.labels(str(status))
        counter.inc()
        route = scope.get(ROUTE) or str(getattr(scope.get("route"), "path", _UNMATCHED))
        method: str = scope["method"] if route != _UNMATCHED else ""
        times = self._by_route.get((method, route))
        if times is None:
            times = self._by_route[method, route] = self._times.labels(method, route)
        times.observe(took_s)
