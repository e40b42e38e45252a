"""Models as files: `NAME.safetensors`, the numbers, and `NAME.json`, the card that describes them.

Invariants: the card names the hash of the numbers, so that files of two models are never taken for
one; what is loaded has the shapes that the card says, and every number of it is finite. Neither
file can hold code. The format of the numbers: https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from actors.runtime.state_files import write_atomic
from serve_apps.inference.errors import ModelFileCorrupt, ModelSchemaMismatch
from serve_apps.inference.graphsage import GraphSage, Layer
from serve_apps.inference.normalisation import Normalisation
from serve_apps.inference.trees import INPUTS, Trees

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

SCHEMA_VERSION: Final = 2  # 1 knew no trees
WEIGHTS: Final = ".safetensors"
CARD: Final = ".json"
_MOST_BYTES: Final = 64 * 2**20  # of either file
_LIST: Final = 256  # features, relations, outputs
_CENTRE: Final = "normalisation.centre"
_SCALE: Final = "normalisation.scale"
_CLIP: Final = "normalisation.clip"

_Number = TypeVar("_Number", bound=np.generic)
Name = Annotated[str, Field(min_length=1, max_length=128)]
Probability = Annotated[float, Field(ge=0, le=1)]
# Points of a curve, by ascending score: it is straight between them, and level beyond its ends.
Curve = Annotated[tuple[tuple[FiniteFloat, Probability], ...], Field(min_length=1, max_length=4096)]


class Purpose(StrEnum):
    """What a model is for."""

    CONDITION = "condition"  # whether a node is anomalous, by its own features and its neighbours'
    ROOT_CAUSE = "root-cause"  # at which node of a running mesh an incident began
    DATA_SET_ROOT_CAUSE = "data-set-root-cause"  # the same of a data set, with all that it measures


class _AnyCard(BaseModel):
    """What cards of all versions have; the rest may be otherwise."""

    schema_version: int = SCHEMA_VERSION


class Card(BaseModel):
    """What is to be known of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(SCHEMA_VERSION, description="of these two files")
    purpose: Purpose
    features: tuple[Name, ...] = Field(
        min_length=1, max_length=_LIST, description="raw features in the order of the inputs"
    )
    relations: tuple[Name, ...] = Field(
        max_length=_LIST, description="kinds of edges in the order of the weights"
    )
    sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        min_length=2, max_length=32, description="number of inputs, then of outputs of each layer"
    )
    outputs: tuple[Name, ...] = Field(
        min_length=1, max_length=_LIST, description="what each output of the last layer says"
    )
    trees: int = Field(
        default=0, ge=0, le=10_000, description="that name the root; 0: the network names it"
    )
    thresholds: dict[Name, FiniteFloat] = Field(
        default={}, description="scores from which on something is said, by what is said"
    )
    calibration: dict[Name, Curve] = Field(
        default={}, description="the probability that belongs to a score, by what has the score"
    )
    trained_on: str = Field(max_length=4096, description="the data it was trained on")
    seed: int = Field(0, description="of all that was drawn in its training")
    trained_at: AwareDatetime
    metrics: dict[Name, FiniteFloat] = Field(default={}, description="how good it was, by measure")
    versions: dict[Name, str] = Field(default={}, description="of the packages that made it")
    weights_sha256: str = Field("", description="hash of the file of numbers; set when it is saved")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained model.

    Attributes:
        card: what it is.
        normalisation: of its raw features.
        network: its weights.
        trees: that name the root of an incident in place of the network, if any.
    """

    card: Card
    normalisation: Normalisation
    network: GraphSage
    trees: Trees | None = None

    def probability(self, what: str, score: NDArray[np.floating]) -> NDArray[np.float64]:
        """The calibrated probabilities of scores.

        Args:
            what: what has the score, a key of the card's `calibration`.
            score: of any shape.

        Raises:
            KeyError: the model is not calibrated for that.
        """
        scores, probabilities = zip(*self.card.calibration[what], strict=True)
        return np.asarray(np.interp(score, scores, probabilities), np.float64)


def save(model: Model, path: Path) -> Card:
    """Write a model.

    Args:
        model: its card is completed: sizes, number of trees and hash are those of the weights.
        path: of either file, or of both without a suffix.

    Returns:
        The card as it was written.

    Raises:
        ModelSchemaMismatch: the parts of the model do not fit each other.
        OSError: it cannot be written.
    """
    weights = safetensors.save(_tensors(model))
    made = {
        "sizes": model.network.sizes,
        "trees": 0 if model.trees is None else len(model.trees.first),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    card = model.card.model_copy(update=made)
    _check(path.stem, Model(card, model.normalisation, model.network, model.trees))
    write_atomic(path.with_suffix(WEIGHTS), weights)
    write_atomic(path.with_suffix(CARD), card.model_dump_json(indent=2).encode() + b"\n")
    return card


def load(
    path: Path,
    *,
    purpose: Purpose | None = None,
    features: Collection[str] | None = None,
    relations: Collection[str] | None = None,
) -> Model:
    """Read a model.

    Args:
        path: of either file, or of both without a suffix.
        purpose: what it must be for; None: anything.
        features: those that can be computed; the model must need no other. None: any.
        relations: the same, of kinds of edges.

    Raises:
        ModelFileCorrupt: a file is missing, or is not what was saved.
        ModelSchemaMismatch: it is for something else, or needs what there is not.
    """
    name = path.stem
    card = _card(name, _read(name, path.with_suffix(CARD)))
    if purpose not in {None, card.purpose}:
        raise ModelSchemaMismatch(name, f"it is for {card.purpose}, not for {purpose}")
    _check_known(name, "feature", card.features, features)
    _check_known(name, "relation", card.relations, relations)
    weights = _read(name, path.with_suffix(WEIGHTS))
    if hashlib.sha256(weights).hexdigest() != card.weights_sha256:
        raise ModelFileCorrupt(name, f"{name}{WEIGHTS} is not the file that {name}{CARD} describes")
    try:
        tensors = safetensors.load(weights)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelFileCorrupt(name, f"{name}{WEIGHTS} cannot be read ({error})") from error
    model = _model(name, card, tensors)
    _check(name, model)
    return model


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ModelFileCorrupt(
            name, f"{path.name} cannot be read ({error.strerror or error})"
        ) from error
    if len(content) > _MOST_BYTES:
        raise ModelFileCorrupt(name, f"{path.name} is larger than {_MOST_BYTES >> 20} MiB")
    return content


def _card(name: str, text: bytes) -> Card:
    try:
        version = _AnyCard.model_validate_json(text).schema_version
        if version != SCHEMA_VERSION:
            raise ModelSchemaMismatch(
                name, f"its files have schema {version}, here {SCHEMA_VERSION} is known"
            )
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        entry = ".".join(map(str, first["loc"]))
        if entry == "" or first["type"] == "json_invalid":
            raise ModelFileCorrupt(name, f"{name}{CARD} cannot be read ({first['msg']})") from None
        raise ModelSchemaMismatch(name, f"{entry} of its card: {first['msg']}") from None


def _check_known(name: str, what: str, of: tuple[str, ...], known: Collection[str] | None) -> None:
    for each in of:
        if known is not None and each not in known:
            raise ModelSchemaMismatch(name, f"it needs {what} {each}, which is not known here")


def _tensors(model: Model) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {
        _CENTRE: model.normalisation.centre,
        _SCALE: model.normalisation.scale,
        _CLIP: np.array([model.normalisation.clip]),
    }
    for number, layer in enumerate(model.network.layers):
        found[f"layer.{number}.own"] = layer.own
        found[f"layer.{number}.bias"] = layer.bias
        for which, weights in enumerate(layer.of_relation):
            found[f"layer.{number}.relation.{which}"] = weights
    if model.trees is not None:
        found |= {f"trees.{part}": value for part, value in model.trees.arrays().items()}
    return {key: np.ascontiguousarray(value) for key, value in found.items()}


def _model(name: str, card: Card, tensors: dict[str, NDArray[np.generic]]) -> Model:
    def part(key: str, dtype: type[np.generic], *shape: int) -> NDArray[np.generic]:
        found = tensors.pop(key, None)
        if found is None or found.shape != shape or found.dtype != dtype:
            raise ModelSchemaMismatch(name, f"tensor {key} is missing, or not {shape} {dtype}")
        return found

    def weights(key: str, *shape: int) -> NDArray[np.float32]:
        return part(key, np.float32, *shape).astype(np.float32, copy=False)

    def scales(key: str, *shape: int) -> NDArray[np.float64]:
        return part(key, np.float64, *shape).astype(np.float64, copy=False)

    layers = tuple(
        Layer(
            weights(f"layer.{number}.own", f_in, f_out),
            tuple(
                weights(f"layer.{number}.relation.{which}", f_in, f_out)
                for which in range(len(card.relations))
            ),
            weights(f"layer.{number}.bias", f_out),
        )
        for number, (f_in, f_out) in enumerate(zip(card.sizes, card.sizes[1:], strict=False))
    )
    features = len(card.features)
    normalisation = Normalisation(
        scales(_CENTRE, features), scales(_SCALE, features), float(scales(_CLIP, 1)[0])
    )
    trees = _trees(name, tensors) if card.trees else None
    if tensors:
        raise ModelSchemaMismatch(name, "it has tensors that this release does not know")
    return Model(card, normalisation, GraphSage(layers), trees)


def _trees(name: str, tensors: dict[str, NDArray[np.generic]]) -> Trees:
    def part(key: str, dtype: type[_Number]) -> NDArray[_Number]:
        value = tensors.pop(f"trees.{key}", None)
        if value is None or value.ndim != 1 or value.dtype != dtype:
            raise ModelSchemaMismatch(name, f"tensor trees.{key} is missing, or not {dtype}")
        return value.astype(dtype, copy=False)

    return Trees(
        part("first", np.int32),
        part("column", np.int16),
        part("limit", np.float32),
        part("below", np.int32),
        part("above", np.int32),
        part("chance", np.float32),
    )


def _check(name: str, model: Model) -> None:
    """Refuse a model whose parts do not fit each other.

    Raises:
        ModelSchemaMismatch: with the reason.
    """
    for why in _faults(model):
        raise ModelSchemaMismatch(name, why)


def _faults(model: Model) -> list[str]:
    card, sizes, scaling = model.card, model.network.sizes, model.normalisation
    numbers = [value for value in _tensors(model).values() if value.dtype.kind == "f"]
    rules = {
        "a feature, relation or output is named twice": all(
            len(set(names)) == len(names) for names in (card.features, card.relations, card.outputs)
        ),
        "its layers are not those of its card": card.sizes == sizes
        and all(len(layer.of_relation) == len(card.relations) for layer in model.network.layers),
        "it has not two inputs for each feature": sizes[0] == 2 * len(card.features),
        "its trees are not those of its card, or lead nowhere": model.trees is None
        or (
            card.trees == len(model.trees.first)
            and model.trees.lead_to_leaves(len(INPUTS) * len(card.features))
        ),
        "it has not one output for each name": sizes[-1] == len(card.outputs),
        "a number of it is not finite": all(bool(np.isfinite(each).all()) for each in numbers),
        "a scale of it is not above 0": bool((scaling.scale > 0).all()) and scaling.clip > 0,
        "a curve of its calibration does not ascend": all(
            all(a < b for (a, _), (b, _) in itertools.pairwise(curve))
            for curve in card.calibration.values()
        ),
    }
    return [why for why, holds in rules.items() if not holds]
