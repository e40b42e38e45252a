"""The errors of inference.

InvalidInput
└── DataSetUnusable          422  a folder is no incident data set
Unavailable
├── TrainingNotInstalled     503  what training needs besides is not installed
├── TrainingFailed           503  training in the background has ended without a model
└── ModelUnusable            503  there is no model that can be used
    ├── ModelFileCorrupt     503  a file of it is missing, cut short, or not what was saved
    └── ModelSchemaMismatch  503  it was made for another release, purpose, features or relations
"""

from __future__ import annotations

from actors.runtime.errors import InvalidInput, Unavailable

_RETRY_S = 30.0  # somebody has to put another file in place


class ModelUnusable(Unavailable):
    """There is no model that can be used. `model` is its name, without the path."""

    model: str

    def __init__(self, model: str, why: str, remedy: str) -> None:
        super().__init__(
            f"model {model} cannot be used", why, remedy, retry_after_s=_RETRY_S, model=model
        )


class ModelFileCorrupt(ModelUnusable):
    """A file of the model is missing, cut short, too large, or not what was saved."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(
            model, why, "Put both of its files back from where they came, or run `x0 train`."
        )


class ModelSchemaMismatch(ModelUnusable):
    """The model was made for another release, purpose, list of features or list of relations."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(model, why, "Use a model that this release made: run `x0 train`.")


class DataSetUnusable(InvalidInput):
    """A folder is no incident data set, or nothing of it can be used."""

    def __init__(self, folder: str, entry: str, why: str) -> None:
        super().__init__(
            f"data set {folder} cannot be used" + (f", {entry}" if entry else ""),
            why,
            "Give a folder with topology.json, metrics/*.csv.gz and incidents.csv.",
            source=folder,
            entry=entry,
        )


class TrainingNotInstalled(Unavailable):
    """What training needs besides is not installed. `missing` names the packages."""

    missing: list[str]

    def __init__(self, missing: list[str]) -> None:
        super().__init__(
            "no model can be trained here",
            f"{', '.join(missing)} is not installed",
            "Run `make setup-train`, which installs it: 860 MiB.",
            retry_after_s=_RETRY_S,
            missing=missing,
        )


class TrainingFailed(Unavailable):
    """Training in the background has ended without a model."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "training in the background has failed",
            why,
            "`x0 status` names the directory of the logs; or train while no session runs.",
            retry_after_s=_RETRY_S,
        )
