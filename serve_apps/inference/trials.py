"""Trials of root-cause models: train on some windows, judge others, beside the baselines.

Training sees the windows that it is given and nothing else; the latest fifth of them is what it is
stopped, calibrated and given its thresholds by.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from serve_apps.inference import baselines
from serve_apps.inference.evaluation import Answer, Scores, scores
from serve_apps.inference.learning import Truth
from serve_apps.inference.model_file import Purpose
from serve_apps.inference.root_cause import NODE_IS_ROOT, judge, operators
from serve_apps.inference.training import ALARM, Described, train_root_cause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serve_apps.inference.labelled_windows import LabelledWindow, LabelledWindows
    from serve_apps.inference.learning import Example, TrainingOptions
    from serve_apps.inference.model_file import Model

TREES: Final = 200  # that name the root where a model is learnt from a data set
VALIDATION: Final = 0.2  # share of the windows, the latest
FOLDS: Final = 5
_LAST: Final = 2 / 7  # of the time: two days of a week
_HALF: Final = 0.5  # probability from which on an incident is said to come from outside
_PLACEBO_S: Final = 600.0  # longest time from a window before an incident to that incident


@dataclass(frozen=True, slots=True)
class Trial:
    """A model and how good it was.

    Attributes:
        model: that was trained.
        scores: its.
        baselines: scores of what it has to beat, by name.
        placebo_top1: share of the located incidents whose root the model names first from the last
            window before the incident, in which there is none: at chance, unless labels leak.
        train_s: time that training took, features not counted.
        score_ms: median time to judge one window.
    """

    model: Model
    scores: Scores
    baselines: dict[str, Scores]
    placebo_top1: float | None
    train_s: float
    score_ms: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.scores.as_dict(),
            "placebo_top1": self.placebo_top1,
            "train_s": round(self.train_s, 3),
            "score_ms": round(self.score_ms, 4),
            "baselines": {
                name: {
                    "top1": each.top1,
                    "top3": each.top3,
                    "visible_top1": each.visible_top1,
                    "endpoint_top1": each.endpoint_top1,
                    "exact_link": each.exact_link,
                }
                for name, each in self.baselines.items()
            },
        }


def train(
    windows: LabelledWindows,
    trained_on: str,
    options: TrainingOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> Model:
    """Train a root-cause model on labelled windows.

    Args:
        windows: with at least one incident that began in the network.
        trained_on: the data, in words.
        options: how.
        progress: told what is being done.
    """
    earlier, later = _in_time(windows)
    described = Described(windows.features, trained_on, root_cause=Purpose.DATA_SET_ROOT_CAUSE)
    return train_root_cause(earlier, later, described, options, progress)


def trial(
    training: LabelledWindows,
    asked: LabelledWindows,
    trained_on: str,
    options: TrainingOptions,
    *,
    beside: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Trial:
    """Train on windows and score others, once.

    Args:
        training: as of `train`.
        asked: with the same features.
        trained_on: the data, in words.
        options: how.
        beside: whether the baselines are trained and scored too.
        progress: told what is being done.
    """
    began = time.perf_counter()
    model = train(training, trained_on, options, progress)
    train_s = time.perf_counter() - began
    progress("judging")
    answers, took = _timed(model, asked.incidents)
    quiet, took_quiet = _timed(model, asked.quiet)
    found = scores(asked, answers, quiet)
    others = _baselines(training, asked, model, options, progress) if beside else {}
    median_s = float(np.median(took + took_quiet)) if took or took_quiet else float("nan")
    return Trial(model, found, others, placebo(asked, quiet), train_s, 1e3 * median_s)


def answer(model: Model, example: Example, using: Sequence[Any] | None = None) -> Answer:
    """What a model says of a window."""
    said = judge(model, example.graph, example.x, using)
    confidence = float(model.probability(NODE_IS_ROOT, said.nodes.max()))
    return Answer(
        said.nodes,
        said.vertices[example.graph.n_nodes :],
        confidence,
        said.incident >= model.card.thresholds[ALARM],
        said.incident * said.outside >= _HALF,
    )


def placebo(windows: LabelledWindows, quiet: Sequence[Answer]) -> float | None:
    """How often the root of an incident is named from the last window before it."""
    starts = np.array([one.start for one in windows.quiet])
    right = []
    for one in windows.incidents:
        at = int(np.searchsorted(starts, one.start)) - 1
        if one.example.truth is Truth.INSIDE and at >= 0 and one.start - starts[at] <= _PLACEBO_S:
            root = int(one.example.graph.owner[one.example.roots][0])
            right.append(int(quiet[at].nodes.argmax()) == root)
    return float(np.mean(right)) if right else None


def last_days(start: float, end: float) -> tuple[float, float]:
    """Start and end of the part of a time that is scored after training on the rest."""
    return end - _LAST * (end - start), end


def blocks(start: float, end: float) -> list[tuple[float, float]]:
    """Start and end of `FOLDS` equal parts of a time."""
    edges = np.linspace(start, end, FOLDS + 1).tolist()
    return list(itertools.pairwise(edges))


def _in_time(windows: LabelledWindows) -> tuple[list[Example], list[Example]]:
    every = sorted((*windows.incidents, *windows.quiet), key=lambda each: each.start)
    examples = [each.example for each in every]
    at = min(max(int(len(examples) * (1 - VALIDATION)), 1), len(examples) - 1)
    return examples[:at], examples[at:]


def _timed(model: Model, asked: Sequence[LabelledWindow]) -> tuple[list[Answer], list[float]]:
    found, took = [], []
    using = {id(one.example.graph): operators(one.example.graph) for one in asked}
    for one in asked:
        began = time.perf_counter()
        found.append(answer(model, one.example, using[id(one.example.graph)]))
        took.append(time.perf_counter() - began)
    return found, took


def _baselines(
    training: LabelledWindows,
    asked: LabelledWindows,
    model: Model,
    options: TrainingOptions,
    progress: Callable[[str], None],
) -> dict[str, Scores]:
    before, now = training.incidents, asked.incidents
    progress("baseline: extremely randomised trees")
    trees = baselines.extra_trees(before, now, options.seed)
    progress("baseline: gradient boosting")
    boosted = baselines.boosting(before, now, options.seed)
    earlier, later = (baselines.without_edges(part) for part in _in_time(training))
    bare = train_root_cause(
        earlier,
        later,
        Described(training.features, "the same, without edges", ()),
        replace(options, trees=0),
        lambda text: progress(f"baseline without edges, {text}"),
    )
    alone = [answer(bare, each) for each in baselines.without_edges([one.example for one in now])]
    named = {
        "majority": baselines.majority(before, now),
        "max_robust_z": baselines.farthest(asked.features, now),
        "extra_trees": trees,
        "boosting": boosted,
        "without_trees": _timed(replace(model, trees=None), now)[0],
        "without_edges": alone,
    }
    only = type(asked)(asked.features, asked.incidents, ())
    return {name: scores(only, answers, []) for name, answers in named.items()}
