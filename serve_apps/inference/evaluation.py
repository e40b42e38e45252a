"""How good answers about labelled windows are.

All measures are of one pass over the windows; nothing is chosen by them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from serve_apps.inference.calibration import calibration_error
from serve_apps.inference.learning import Truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.labelled_windows import LabelledWindow, LabelledWindows

_DAY_S: Final = 86_400.0
_Z: Final = 1.96  # of a 95 % interval
_TOP: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What is said of a window.

    Attributes:
        nodes: float64 [n_nodes], the higher the sooner a node is named.
        half_links: float64 [2 * n_links], the same of ends of links.
        confidence: probability that the node named first is the root, if it is in the network.
        alarm: whether there is said to be an incident.
        outside: whether it is said to come from outside.
    """

    nodes: NDArray[np.float64]
    half_links: NDArray[np.float64]
    confidence: float = math.nan
    alarm: bool = True
    outside: bool = False


@dataclass(frozen=True, slots=True)
class KindScores:
    """Of the incidents of one kind: how many, with the root named first, said to be outside."""

    incidents: int
    top1: float | None
    outside: float


@dataclass(frozen=True, slots=True)
class Scores:
    """How good answers were. Shares of nothing are None.

    Attributes:
        incidents: how many there were.
        located: of those, how many began at a node of the network.
        top1, top3: share of the located whose root is named first, or among the first three.
        top1_interval: 95 % interval of `top1` (Wilson).
        visible: located incidents that can be seen in what was measured.
        visible_top1: `top1` of those.
        endpoint_top1: share of the located where the node named first is the root, or the other end
            of the link at fault.
        exact_link: share of the visible faults of known links whose link is named first of all.
        calibration_error: expected distance of confidence and `top1`.
        detected: share of the incidents of which it is said that there is one.
        outside_precision: share of those said to come from outside, with incidents or without,
            that did.
        outside_recall: share of those that did which are said to.
        quiet: windows without an incident.
        false_alarms: share of those in which one is said to be.
        false_alarms_per_day: of time without incidents.
        per_kind: by kind of incident.
    """

    incidents: int
    located: int
    top1: float | None
    top3: float | None
    top1_interval: tuple[float, float] | None
    visible: int
    visible_top1: float | None
    endpoint_top1: float | None
    exact_link: float | None
    calibration_error: float | None
    detected: float | None
    outside_precision: float | None
    outside_recall: float | None
    quiet: int
    false_alarms: float | None
    false_alarms_per_day: float | None
    per_kind: dict[str, KindScores]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def scores(windows: LabelledWindows, answers: Sequence[Answer], quiet: Sequence[Answer]) -> Scores:
    """Compare answers with labels.

    Args:
        windows: labelled.
        answers: to `windows.incidents`, in order.
        quiet: to `windows.quiet`, in order.
    """
    every = list(zip(windows.incidents, answers, strict=True))
    return Scores(
        incidents=len(every),
        detected=_share([said.alarm for _, said in every]),
        per_kind=_per_kind(every),
        **_of_located([each for each in every if each[0].example.truth is Truth.INSIDE]),
        **_of_outside(every, sum(said.outside for said in quiet)),
        **_of_quiet(windows.quiet, [said.alarm for said in quiet]),
    )


def _of_located(located: Sequence[tuple[LabelledWindow, Answer]]) -> dict[str, Any]:
    visible = [each for each in located if each[0].visible]
    places = [_place(*each) for each in located]
    right = np.array([place == 1 for place in places], np.bool_)
    confidence = np.array([said.confidence for _, said in located])
    error = calibration_error(confidence, right) if np.isfinite(confidence).all() else math.nan
    return {
        "located": len(located),
        "top1": _share(right),
        "top3": _share([place <= _TOP for place in places]),
        "top1_interval": wilson(int(right.sum()), len(right)),
        "visible": len(visible),
        "visible_top1": _share([_place(*each) == 1 for each in visible]),
        "endpoint_top1": _share([_at_an_end(*each) for each in located]),
        "exact_link": _share(
            [_link(said) == one.half_link // 2 for one, said in visible if one.half_link >= 0]
        ),
        "calibration_error": error if math.isfinite(error) else None,
    }


def _of_outside(
    every: Sequence[tuple[LabelledWindow, Answer]], said_of_nothing: int
) -> dict[str, Any]:
    said = [one.example.truth is Truth.OUTSIDE for one, said in every if said.outside]
    came = [said.outside for one, said in every if one.example.truth is Truth.OUTSIDE]
    return {
        "outside_precision": _ratio(sum(said), len(said) + said_of_nothing),
        "outside_recall": _share(came),
    }


def _of_quiet(windows: Sequence[LabelledWindow], alarms: Sequence[bool]) -> dict[str, Any]:
    return {
        "quiet": len(windows),
        "false_alarms": _share(alarms),
        "false_alarms_per_day": _ratio(sum(alarms) * _DAY_S, sum(_length_s(windows))),
    }


def wilson(right: int, n: int) -> tuple[float, float] | None:
    """95 % interval of a share, by Wilson's score; None of nothing."""
    if n == 0:
        return None
    share, z2 = right / n, _Z**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _length_s(windows: Sequence[LabelledWindow]) -> list[float]:
    """Time that each window without an incident stands for, s."""
    starts = np.array([one.start for one in windows])
    if len(starts) < 2:
        return []
    step = float(np.median(np.diff(starts)))
    return [min(step, each) for each in np.diff(starts).tolist()]


def _root(one: LabelledWindow) -> int:
    owners = one.example.graph.owner[one.example.roots]
    return int(owners[0])


def _place(one: LabelledWindow, said: Answer) -> int:
    """Of the root, from 1; those that are named no later than it count before it."""
    root = _root(one)
    return 1 + int((np.delete(said.nodes, root) >= said.nodes[root]).sum())


def _at_an_end(one: LabelledWindow, said: Answer) -> bool:
    best = {int(said.nodes.argmax())}
    graph = one.example.graph
    ends = {_root(one)}
    if one.half_link >= 0:
        ends.add(int(graph.owner[graph.n_nodes + (one.half_link ^ 1)]))
    return bool(best & ends)


def _link(said: Answer) -> int:
    return int(said.half_links.reshape(-1, 2).sum(axis=1).argmax())


def _per_kind(every: Iterable[tuple[LabelledWindow, Answer]]) -> dict[str, KindScores]:
    by_kind: dict[str, list[tuple[LabelledWindow, Answer]]] = defaultdict(list)
    for one, said in every:
        if one.incident is not None:
            by_kind[one.incident.kind].append((one, said))
    return {
        kind: KindScores(
            len(each),
            _share(
                [_place(one, said) == 1 for one, said in each if one.example.truth is Truth.INSIDE]
            ),
            sum(said.outside for _, said in each) / len(each),
        )
        for kind, each in sorted(by_kind.items())
    }


def _share(holds: Sequence[bool] | NDArray[np.bool_]) -> float | None:
    return float(np.mean(holds)) if len(holds) else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
