"""`x0 evaluate`: how good root-cause models are that are trained on a data set of incidents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs import train as training
from jobs.terminal import reporting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serve_apps.inference.labelled_windows import LabelledWindows
    from serve_apps.inference.trials import Trial

_MEASURES: Final = (
    "top1",
    "top3",
    "visible_top1",
    "endpoint_top1",
    "exact_link",
    "calibration_error",
    "detected",
    "outside_precision",
    "outside_recall",
    "false_alarms",
    "placebo_top1",
)
_OF_BASELINES: Final = ("top1", "top3", "visible_top1", "endpoint_top1", "exact_link")


@reporting.reported
def command(
    train: training.Folder,
    other: Annotated[
        Path | None,
        typer.Option(
            "--eval",
            metavar="DIR",
            help="Score this data set, once, after training on all of the other. Without it: the "
            "last two sevenths of the one data set after training on the rest, and each of five "
            "blocks after training on the other four.",
        ),
    ] = None,
    seed: training.Seed = 0,
    no_baselines: Annotated[
        bool, typer.Option("--no-baselines", help="Leave out what the model has to beat.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Train root-cause models on labelled incidents, and score them on others.

    top1 is the share of the incidents that began at a node of the network whose node is named
    first; visible_top1 leaves out delays on links that normally carry less than one packet a
    second, which nothing measured shows; endpoint_top1 also takes the other end of the faulty link;
    exact_link is the share of the visible faults of links whose link is named first. placebo_top1
    asks for the same nodes from minutes before the incidents: anything above chance would be a leak
    of labels.

    Beside the model stand what it has to beat: the commonest root, the largest robust z-score,
    extra trees and gradient boosting on the same features, its own network without its trees, and a
    network without edges.

    Needs torch: `make setup-train`. Writes nothing; `x0 train` makes a model to keep.
    """
    from serve_apps.inference.training_needs import require_training

    require_training()
    report = reporting.Report(as_json)
    task = _Evaluation(train, seed, not no_baselines, report)
    if other is not None:
        found = task.of(other)
        report.result({"seed": seed, **found.as_dict()}, *_readable(found, f"{train} on {other}"))
        return 0
    later, blocks = task.within()
    values: dict[str, Any] = {
        "seed": seed,
        **later.as_dict(),
        "blocks": [each.as_dict() for each in blocks],
        "over_blocks": _spread(blocks),
    }
    report.result(
        values, *_readable(later, f"{train}, its last two sevenths"), _blocks_table(blocks)
    )
    return 0


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What is asked for."""

    folder: Path
    seed: int
    beside: bool
    report: reporting.Report

    def of(self, other: Path) -> Trial:
        """Train on all of one data set, and score another."""
        windows = self._windows(self.folder)
        asked = self._windows(other, windows.features)
        return self._trial(windows, asked, "")

    def within(self) -> tuple[Trial, list[Trial]]:
        """Score the last part of a data set after the rest, and each block after the others."""
        from serve_apps.inference import trials

        windows = self._windows(self.folder)
        start, end = windows.span()
        first, last = trials.last_days(start, end)
        later = self._trial(windows.outside(first, last), windows.between(first, last), "last days")
        blocks = []
        for number, (begin, stop) in enumerate(trials.blocks(start, end), 1):
            rest, asked = windows.outside(begin, stop), windows.between(begin, stop)
            what = f"block {number} of {trials.FOLDS}"
            blocks.append(self._trial(rest, asked, what, beside=False))
        return later, blocks

    def _windows(self, folder: Path, features: tuple[str, ...] | None = None) -> LabelledWindows:
        return training.windows_of(folder, self.report.progress, self.report.note, features)

    def _trial(
        self, windows: LabelledWindows, asked: LabelledWindows, what: str, *, beside: bool = True
    ) -> Trial:
        from serve_apps.inference.learning import TrainingOptions
        from serve_apps.inference.trials import TREES, trial

        prefix = f"{what}: " if what else ""
        return trial(
            windows,
            asked,
            training.in_words(self.folder, windows),
            TrainingOptions(seed=self.seed, trees=TREES),
            beside=beside and self.beside,
            progress=lambda text: self.report.progress(prefix + text),
        )


def _spread(blocks: list[Trial]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of each measure over the blocks that have it."""
    import numpy as np

    found = {}
    for name in _MEASURES:
        known = [each.as_dict()[name] for each in blocks if each.as_dict()[name] is not None]
        if known:
            found[name] = {"mean": float(np.mean(known)), "deviation": float(np.std(known))}
    return found


def _readable(found: Trial, of: str) -> list[RenderableType | str]:
    told = found.as_dict()
    interval = told["top1_interval"]
    within = f" (95 % within {interval[0]:.3f} and {interval[1]:.3f})" if interval else ""
    head = (
        f"{told['incidents']} incidents, {told['located']} of them in the network, "
        f"{told['visible']} of those visible; {told['quiet']} windows without one. "
        f"top1 {_shown(told['top1'])}{within}. "
        f"Trained in {told['train_s']:.1f} s, {told['score_ms']:.2f} ms a window, "
        f"{_shown(told['false_alarms_per_day'])} false alarms a day."
    )
    rows = [["model", *(_shown(told[name]) for name in _OF_BASELINES)]]
    rows += [
        [name, *(_shown(each[measure]) for measure in _OF_BASELINES)]
        for name, each in told["baselines"].items()
    ]
    kinds = [
        [kind, each["incidents"], _shown(each["top1"]), _shown(each["outside"])]
        for kind, each in told["per_kind"].items()
    ]
    rest = {name: _shown(told[name]) for name in _MEASURES if name not in _OF_BASELINES}
    return [
        head,
        reporting.table(of, ["", *_OF_BASELINES], rows),
        reporting.pairs("", rest),
        reporting.table("by kind", ["kind", "incidents", "top1", "said outside"], kinds),
    ]


def _blocks_table(blocks: list[Trial]) -> RenderableType:
    rows = [
        [name, *(_shown(each.as_dict()[name]) for each in blocks), _shown(one["mean"]),
         _shown(one["deviation"])]
        for name, one in _spread(blocks).items()
    ]  # fmt: skip
    names = ["", *(str(number) for number in range(1, len(blocks) + 1)), "mean", "deviation"]
    return reporting.table("each block after the others", names, rows)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    reporting.run(command)
