"""Counters, gauges and histograms, independent of the collector.

Code that counts is given a `Metrics` and does not know whether Ray exports the numbers
(`spawn.ray_metrics()`) or memory holds them (`MemoryMetrics`, for tests and processes without Ray).

Invariants: one instrument a name, made at the first request and returned at every later one;
asking again with other labels, kind or buckets is an error. Names follow the Prometheus rules
(https://prometheus.io/docs/practices/naming/) and start with `x0tta6bl4_`. A mesh node's id is
never a label: ten thousand nodes would be ten thousand time series an instrument.
"""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAME: Final = re.compile(r"x0tta6bl4_[a-z0-9]+(_[a-z0-9]+)*")
_LABEL: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NODE_LABELS: Final = frozenset({"node", "node_id", "mesh_node"})
LATENCY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

InstrumentT = TypeVar("InstrumentT")
Kind = Literal["counter", "gauge", "histogram"]


class Counter(Protocol):
    """A sum that only grows."""

    def inc(self, value: float = 1.0, **labels: str) -> None:
        """Add `value` >= 0 to the series with exactly the declared labels."""
        ...


class Gauge(Protocol):
    """A value that goes up and down."""

    def set(self, value: float, **labels: str) -> None:
        """Set the series with exactly the declared labels to `value`."""
        ...


class Histogram(Protocol):
    """A distribution, counted in buckets."""

    def observe(self, value: float, **labels: str) -> None:
        """Count `value` into the series with exactly the declared labels."""
        ...


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of an instrument; all requests for one name must agree on it.

    Raises:
        ValueError: the name, a label or the buckets break the rules of this module.
    """

    kind: Kind
    name: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()  # ascending upper bounds of a histogram
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"metric name {self.name!r} is not of the form x0tta6bl4_words_unit")
        if (self.kind == "counter") != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: the names of counters, and only they, end in _total")
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                raise ValueError(f"{self.name}: {label!r} is not a label name")
            if label in _NODE_LABELS:
                raise ValueError(f"{self.name}: label {label!r} would make a series a mesh node")
        if (self.kind == "histogram") != bool(self.buckets):
            raise ValueError(f"{self.name}: a histogram, and nothing else, needs buckets")
        if list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"{self.name}: buckets must ascend")

    def series(self, labels: dict[str, str]) -> tuple[str, ...]:
        """Label values in declared order.

        Raises:
            ValueError: the names given are not exactly the declared ones.
        """
        if labels.keys() != set(self.labels):
            raise ValueError(f"{self.name} has labels {self.labels}, was given {tuple(labels)}")
        return tuple(labels[name] for name in self.labels)


class Metrics(ABC):
    """A registry of instruments. Safe to use from several threads."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._lock = threading.Lock()

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter `name`; its name ends in `_total`.

        Raises:
            ValueError: the name breaks the rules, or exists with another definition.
        """
        definition = Definition("counter", name, tuple(labels), description=description)
        return self._once(definition, self._counters, self._new_counter)

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
        """Return the gauge `name`.

        Raises:
            ValueError: the name breaks the rules, or exists with another definition.
        """
        definition = Definition("gauge", name, tuple(labels), description=description)
        return self._once(definition, self._gauges, self._new_gauge)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = LATENCY_BUCKETS_S,
    ) -> Histogram:
        """Return the histogram `name`; `buckets` are ascending upper bounds above 0.

        Raises:
            ValueError: the name breaks the rules, or exists with another definition.
        """
        definition = Definition("histogram", name, tuple(labels), tuple(buckets), description)
        return self._once(definition, self._histograms, self._new_histogram)

    @abstractmethod
    def _new_counter(self, definition: Definition) -> Counter: ...

    @abstractmethod
    def _new_gauge(self, definition: Definition) -> Gauge: ...

    @abstractmethod
    def _new_histogram(self, definition: Definition) -> Histogram: ...

    def _once(
        self,
        definition: Definition,
        made: dict[str, InstrumentT],
        make: Callable[[Definition], InstrumentT],
    ) -> InstrumentT:
        name = definition.name
        with self._lock:
            existing = self._definitions.get(name)
            if existing is None:
                made[name] = make(definition)
                self._definitions[name] = definition
            elif existing != definition:
                raise ValueError(f"{name} exists as {existing}, was asked for as {definition}")
            return made[name]


class MemoryMetrics(Metrics):
    """Counters and gauges that can be read back in the same process; histograms keep nothing."""

    def value(self, name: str, /, **labels: str) -> float:
        """Value of a counter or gauge series; 0 if nothing was counted yet.

        Raises:
            KeyError: there is no counter or gauge of that name.
            ValueError: the labels are not the declared ones.
        """
        instrument = {**self._counters, **self._gauges}[name]
        assert isinstance(instrument, _MemoryNumber)  # noqa: S101 - made by this class only
        return instrument.read(labels)

    def _new_counter(self, definition: Definition) -> Counter:
        return _MemoryCounter(definition)

    def _new_gauge(self, definition: Definition) -> Gauge:
        return _MemoryGauge(definition)

    def _new_histogram(self, definition: Definition) -> Histogram:
        return _MemoryHistogram(definition)


class _MemoryNumber:
    __slots__ = ("_definition", "_lock", "_values")

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._values: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def read(self, labels: dict[str, str]) -> float:
        return self._values.get(self._definition.series(labels), 0.0)


class _MemoryCounter(_MemoryNumber):
    __slots__ = ()

    def inc(self, value: float = 1.0, **labels: str) -> None:
        series = self._definition.series(labels)
        check_increment(self._definition, value)
        with self._lock:
            self._values[series] = self._values.get(series, 0.0) + value


class _MemoryGauge(_MemoryNumber):
    __slots__ = ()

    def set(self, value: float, **labels: str) -> None:
        self._values[self._definition.series(labels)] = float(value)


class _MemoryHistogram:
    __slots__ = ("_definition",)

    def __init__(self, definition: Definition) -> None:
        self._definition = definition

    def observe(self, value: float, **labels: str) -> None:
        del value
        self._definition.series(labels)


def check_increment(definition: Definition, value: float) -> None:
    """Refuse a value that would make a counter fall.

    Raises:
        ValueError: `value` is negative or not a number.
    """
    if not value >= 0:
        raise ValueError(f"{definition.name} counts upwards only, was given {value}")
