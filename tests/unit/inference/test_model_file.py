"""Models as files."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import numpy as safetensors

from serve_apps.inference.errors import ModelFileCorrupt, ModelSchemaMismatch
from serve_apps.inference.graphsage import mean_operator
from serve_apps.inference.model_file import Purpose, load, save
from tests.unit.inference.drawn import FEATURES, drawn_model, drawn_trees

if TYPE_CHECKING:
    from pathlib import Path

    from serve_apps.inference.model_file import Model


@pytest.fixture(name="path")
def saved(tmp_path: Path) -> Path:
    """Of the card of a model that was saved."""
    save(drawn_model(), tmp_path / "condition")
    return tmp_path / "condition.json"


def _edit(path: Path, **values: object) -> None:
    card = json.loads(path.read_bytes())
    path.write_text(json.dumps(card | values))


def _scores(model: Model) -> np.ndarray:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(30, len(FEATURES)))
    values[rng.random(values.shape) < 0.2] = np.nan
    operator = mean_operator(30, rng.integers(30, size=60), rng.integers(30, size=60))
    return model.network(model.normalisation(values), [operator])


def test_what_is_loaded_answers_as_what_was_saved(tmp_path: Path) -> None:
    """To the last bit, with all that the card says."""
    trees = drawn_trees(np.random.default_rng(0), 4 * len(FEATURES))
    model = dataclasses.replace(drawn_model(), trees=trees)
    card = save(model, tmp_path / "m")
    again = load(
        tmp_path / "m", purpose=Purpose.CONDITION, features=FEATURES, relations=["neighbour"]
    )
    assert again.card == card
    np.testing.assert_array_equal(_scores(again), _scores(model))
    assert again.trees is not None
    assert again.card.trees == len(trees.first)
    for name, array in trees.arrays().items():
        np.testing.assert_array_equal(again.trees.arrays()[name], array)
    assert again.probability("anomalous", np.array([-9.0, 2.0])) == pytest.approx([0.02, 0.74])


def test_saving_again_makes_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(drawn_model(3), tmp_path / name)
    for suffix in (".json", ".safetensors"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("harm", ["removed", "cut", "empty", "noise"])
def test_a_harmed_file_is_refused(path: Path, suffix: str, harm: str) -> None:
    file = path.with_suffix(suffix)
    content = file.read_bytes()
    if harm == "removed":
        file.unlink()
    else:
        made = {"cut": content[: len(content) // 2], "empty": b"", "noise": content[::-1]}
        file.write_bytes(made[harm])
    with pytest.raises(ModelFileCorrupt, match="condition"):
        load(path)


def test_weights_of_another_model_are_refused(path: Path) -> None:
    """Such as after a copy of one of the two files."""
    save(drawn_model(1), path.with_name("other"))
    path.with_name("other.safetensors").replace(path.with_suffix(".safetensors"))
    with pytest.raises(ModelFileCorrupt, match="is not the file"):
        load(path)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"schema_version": 99, "colour": "blue"}, "schema 99"),
        ({"schema_version": 1}, "schema 1, here 2"),
        ({"trees": 3}, "trees.first"),
        ({"purpose": "weather"}, "purpose"),
        ({"features": FEATURES[:-1]}, "normalisation.centre"),
        ({"features": [*FEATURES[:-1], "rssi"]}, "named twice"),
        ({"relations": []}, "does not know"),
        ({"sizes": [16, 16, 1]}, "layer.1.own"),
        ({"outputs": ["a", "b"]}, "one output"),
        ({"colour": "blue"}, "colour"),
        ({"calibration": {"anomalous": [[1.0, 0.5], [0.0, 0.7]]}}, "ascend"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(
    path: Path, values: dict[str, object], why: str
) -> None:
    _edit(path, **values)
    with pytest.raises(ModelSchemaMismatch, match=why):
        load(path)


def test_a_model_for_something_else_is_refused(path: Path) -> None:
    with pytest.raises(ModelSchemaMismatch, match="for condition, not for root-cause"):
        load(path, purpose=Purpose.ROOT_CAUSE)
    with pytest.raises(ModelSchemaMismatch, match="feature memory"):
        load(path, features=FEATURES[:-1])
    with pytest.raises(ModelSchemaMismatch, match="relation neighbour"):
        load(path, relations=["opposite"])


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("above", 0, 0),  # to itself: for ever
        ("below", 3, 10**6),
        ("column", 0, 4 * len(FEATURES)),
        ("column", 0, -2),
        ("first", 0, -1),
        ("chance", 0, 1.5),
        ("limit", 0, np.nan),
    ],
)
def test_trees_that_lead_nowhere_are_refused(
    tmp_path: Path, name: str, at: int, value: float
) -> None:
    """So that no file can make a replica wait for ever."""
    trees = drawn_trees(np.random.default_rng(0), 4 * len(FEATURES))
    trees.arrays()[name][at] = value
    with pytest.raises(ModelSchemaMismatch, match=r"lead nowhere|finite"):
        save(dataclasses.replace(drawn_model(), trees=trees), tmp_path / "m")


def test_a_weight_that_is_no_number_is_refused(path: Path) -> None:
    """Neither written nor, if something else wrote it, read."""
    model = drawn_model()
    model.network.layers[0].own[0, 0] = np.nan
    with pytest.raises(ModelSchemaMismatch, match="finite"):
        save(model, path)
    file = path.with_suffix(".safetensors")
    tensors = safetensors.load_file(file)
    tensors["layer.0.bias"][0] = np.inf
    safetensors.save_file(tensors, file)
    import hashlib

    _edit(path, weights_sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(ModelSchemaMismatch, match="finite"):
        load(path)
