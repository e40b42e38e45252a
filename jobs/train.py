"""`x0 train`: make a root-cause model of a data set of labelled incidents, or those shipped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.spawn import Errand
    from jobs.launch.session import Session
    from serve_apps.inference.labelled_windows import LabelledWindows
    from serve_apps.settings import Settings

NAME: Final = "data-set-root-cause"  # not that of the model which a session uses
_NICEST: Final = 19
_LOOK_S: Final = 2.0  # between two looks at whether the session still runs

_FOLDER = typer.Option(
    "--train",
    metavar="DIR",
    help="Learn from this data set: a folder with topology.json, metrics/*.csv.gz and "
    "incidents.csv.",
)
Folder = Annotated[Path, _FOLDER]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]


@reporting.reported
def command(
    train: Annotated[Path | None, _FOLDER] = None,
    simulated: Annotated[
        bool,
        typer.Option(
            "--simulated",
            help="Make both models that are shipped, from simulated meshes, in place of --train.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the model there, a .safetensors and a .json file. "
            "Default: models/ in the state directory.",
        ),
    ] = None,
    seed: Seed = 0,
    as_json: reporting.AsJson = False,
) -> int:
    """Learn from labelled incidents which node causes what, by nodes and ends of links.

    GraphSAGE says whether there is an incident and whether it comes from outside, trees name its
    root: the one file that is written holds both.

    With --train DIR it makes `data-set-root-cause`, a model for incidents of networks that are
    measured as that one is. It has their features, so that no session can use it; `x0 evaluate`
    says how good such a model is. Takes half a minute for a week of five routers. While a session
    runs on this machine, a process of its cluster trains at the lowest priority and reserves no
    core; it ends with the session, or by Ctrl-C here. The last fifth of the incidents
    is what training is stopped and calibrated by.

    With --simulated it learns from some 3,000 incidents in simulated meshes instead, which takes
    minutes, and makes the two models that sessions use, scored on meshes that they have not seen:
    `condition`, by which nodes count as anomalous, and `root-cause`, which orders the nodes of an
    incident. Those with --seed 1 are shipped; X0TTA6BL4_INFERENCE_MODELS names a directory of
    others.

    Needs torch: `make setup-train`.
    """
    from actors.runtime.errors import InvalidInput
    from serve_apps.inference.model_file import load
    from serve_apps.inference.training_needs import require_training
    from serve_apps.settings import Settings

    require_training()
    report = reporting.Report(as_json)
    settings = Settings.load()
    to = (out or settings.state_dir / "models").resolve()
    if (train is None) != simulated:
        raise InvalidInput(
            "what to learn from",
            "it is either a data set or simulated meshes",
            "Give either --train DIR or --simulated.",
        )
    if train is None:
        return _simulated(to, seed, report)
    folder = train.resolve()
    if not _in_background(settings, folder, to, seed, report):
        train_folder(folder, to, seed, report.progress, report.note)
    card = load(to / NAME).card
    values = {
        "model": str(to / NAME),
        "trained_on": card.trained_on,
        "seed": card.seed,
        "features": list(card.features),
        "thresholds": card.thresholds,
    }
    report.result(
        values,
        f"{to / NAME}.safetensors and .json: trained on {card.trained_on}.",
        f"How good such a model is: x0 evaluate --train {train}",
    )
    return 0


def _simulated(to: Path, seed: int, report: reporting.Report) -> int:
    """Make the models that are shipped; on all cores, at the lowest priority."""
    from serve_apps.inference.model_file import load
    from serve_apps.inference.simulation.default_models import (
        CONDITION,
        ROOT_CAUSE,
        train_default_models,
    )

    os.nice(_NICEST)
    to.mkdir(parents=True, exist_ok=True)
    train_default_models(to, seed, os.cpu_count() or 1, report.progress)
    cards = {name: load(to / name).card for name in (CONDITION, ROOT_CAUSE)}
    report.result(
        {
            name: {"trained_on": card.trained_on, "seed": card.seed, "metrics": card.metrics}
            for name, card in cards.items()
        },
        *(
            f"{to / name}.safetensors and .json: "
            + ", ".join(f"{measure} {value}" for measure, value in card.metrics.items())
            for name, card in cards.items()
        ),
    )
    return 0


def train_folder(
    folder: Path,
    to: Path,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """Train on a data set and write the model.

    Raises:
        DataSetUnusable: nothing can be learnt from it.
        OSError: the model cannot be written.
    """
    from serve_apps.inference.learning import TrainingOptions
    from serve_apps.inference.model_file import save
    from serve_apps.inference.trials import TREES, train

    windows = windows_of(folder, progress, note)
    model = train(
        windows, in_words(folder, windows), TrainingOptions(seed=seed, trees=TREES), progress
    )
    to.mkdir(parents=True, exist_ok=True)
    save(model, to / NAME)


def windows_of(
    folder: Path,
    progress: Callable[[str], None],
    note: Callable[[str], None],
    features: tuple[str, ...] | None = None,
) -> LabelledWindows:
    """The windows of a data set, of which something can be learnt, or scored.

    Args:
        folder: of the data set.
        progress: told what is being done.
        note: told what of the data set could not be used.
        features: of the model, which the data set may give in part; None: all that it gives.

    Raises:
        DataSetUnusable: it is no data set, or has no incident with a cause in the network.
    """
    from serve_apps.inference import data_set, labelled_windows
    from serve_apps.inference.errors import DataSetUnusable
    from serve_apps.inference.learning import Truth

    found = data_set.read(folder, progress)
    for line in found.notes:
        note(f"note: {folder.name}: {line}")
    progress("comparing everything with its normal")
    windows = labelled_windows.labelled_windows(found, features)
    if lacking := windows.lacking():
        note(f"note: {folder.name} has not, and the model does without: {', '.join(lacking)}")
    if not any(one.example.truth is Truth.INSIDE for one in windows.incidents):
        why = "no incident that can be used began at a node of the network"
        raise DataSetUnusable(str(folder), data_set.INCIDENTS, why)
    return windows


def in_words(folder: Path, windows: LabelledWindows) -> str:
    """What a model was trained on."""
    return f"{folder.name}: {len(windows.incidents)} incidents, {len(windows.quiet)} quiet windows"


def _in_background(
    settings: Settings, folder: Path, to: Path, seed: int, report: reporting.Report
) -> bool:
    """Have a process of the running session's own cluster train; False if none runs."""
    from actors.runtime.errors import NotRunning
    from jobs.launch.record import SessionRecord

    record = SessionRecord.load(settings.state_dir)
    if record is None or not record.own_cluster:
        return False
    from actors.runtime import spawn
    from jobs.launch import interruption, session

    try:
        running = session.running(settings)
    except NotRunning:
        return False
    try:
        report.progress("training in the background of the running session")
        errand = spawn.run_once(_train_nicely, folder, to, seed)
        try:
            interruption.run(_trained(errand, running))
        except interruption.Interrupted:
            errand.end()
            raise
    finally:
        running.close()
    return True


async def _trained(errand: Errand, running: Session) -> None:
    """Wait until a model has been trained.

    Raises:
        TrainingFailed: it has not been, or the session has ended before.
    """
    from serve_apps.inference.errors import TrainingFailed

    # In a thread: where Ray waits, it makes another exception of a signal.
    while (why := await asyncio.to_thread(errand.wait, _LOOK_S)) is None:
        # Ray itself notices that its cluster is gone after a minute, and then ends this process.
        if running.cluster is not None and (gone := running.cluster.dead()):
            raise TrainingFailed(f"the session has ended: {gone}")
    if why:
        raise TrainingFailed(why)


def _train_nicely(folder: Path, to: Path, seed: int) -> None:
    os.nice(_NICEST)
    train_folder(folder, to, seed)


if __name__ == "__main__":
    reporting.run(command)
