"""Series over time of one node or link, in steps wide enough to be looked at.

Pure. Figures are means over the known samples of a step; where none is known there is None, never
zero.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.history.metric_store import KEYS
from actors.runtime.clock import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

STEPS_S: Final = (60, 300, 900, 3_600, 10_800, 21_600, 86_400)  # steps that people think in
MOST_STEPS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Series:
    """One node or link over time.

    Attributes:
        of: values of `KEYS`: id of the node, or ends and kind of the link.
        begin: Unix time of the first step, s.
        step_s: width of a step, s.
        samples: number of samples in each step; 0: nothing was recorded then.
        states: state in most samples of each step; None without any.
        figures: mean of each figure in each step, by name; None where not known.
    """

    of: Mapping[str, str]
    begin: float
    step_s: int
    samples: tuple[int, ...]
    states: tuple[str | None, ...]
    figures: Mapping[str, tuple[float | None, ...]]

    @property
    def times(self) -> tuple[float, ...]:
        """Unix time of the begin of each step, s."""
        return tuple(self.begin + self.step_s * place for place in range(len(self.samples)))

    def as_dict(self) -> dict[str, Any]:
        """The series as JSON tells it."""
        return {
            **self.of,
            "step_s": self.step_s,
            "at": [iso(at) for at in self.times],
            "samples": list(self.samples),
            "state": list(self.states),
            "figures": {name: list(values) for name, values in self.figures.items()},
        }


def step_for(span_s: float, most: int = MOST_STEPS) -> int:
    """The finest step by which a span has at most `most` of them, s."""
    for step in STEPS_S:
        if span_s / step <= most:
            return step
    days = math.ceil(span_s / most / STEPS_S[-1])
    return days * STEPS_S[-1]


def series(
    table: pa.Table, what: str, since: float, until: float, step_s: int
) -> tuple[Series, ...]:
    """The series of each node or link of a table, in the order of their keys.

    Args:
        table: rows of `metric_store.Rows`.
        what: `NODES` or `LINKS`.
        since: begin, Unix time, s.
        until: end, Unix time, s.
        step_s: width of a step, a multiple of 60 s.
    """
    begin = math.floor(since / step_s) * step_s
    n_steps = max(1, math.ceil((until - begin) / step_s))
    keys = KEYS[what]
    texts = {name: table[name].to_pylist() for name in (*keys, "state")}
    at = table["at"].cast("int64").to_numpy() / 1000
    step = np.clip(((at - begin) // step_s).astype(np.int64), 0, n_steps - 1)
    figures = {
        name: table[name].to_numpy().astype(np.float64)
        for name in table.column_names
        if name not in {"at", "name", "state", *keys}
    }
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(zip(*(texts[name] for name in keys), strict=True)):
        rows.setdefault(key, []).append(row)
    return tuple(
        Series(
            of=dict(zip(keys, key, strict=True)),
            begin=begin,
            step_s=step_s,
            samples=tuple(np.bincount(step[mine], minlength=n_steps).tolist()),
            states=_states([texts["state"][row] for row in mine], step[mine], n_steps),
            figures={
                name: _means(values[mine], step[mine], n_steps)
                for name, values in figures.items()
                if np.isfinite(values[mine]).any()
            },
        )
        for key, mine in sorted(rows.items())
    )


def _means(
    values: NDArray[np.float64], step: NDArray[np.int64], n_steps: int
) -> tuple[float | None, ...]:
    known = np.isfinite(values)
    count = np.bincount(step[known], minlength=n_steps)
    total = np.bincount(step[known], weights=values[known], minlength=n_steps)
    return tuple(
        sum_ / n if n else None for sum_, n in zip(total.tolist(), count.tolist(), strict=True)
    )


def _states(states: Sequence[str], step: NDArray[np.int64], n_steps: int) -> tuple[str | None, ...]:
    counts: list[Counter[str]] = [Counter() for _ in range(n_steps)]
    for state, place in zip(states, step.tolist(), strict=True):
        counts[place][state] += 1
    return tuple(one.most_common(1)[0][0] if one else None for one in counts)
