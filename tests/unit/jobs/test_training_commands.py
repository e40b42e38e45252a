"""`x0 train` and `x0 evaluate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.terminal import exit_codes
from serve_apps.inference import training_needs
from serve_apps.inference.data_set import write
from serve_apps.inference.errors import ModelSchemaMismatch
from serve_apps.inference.model_file import Purpose, load
from tests.unit.inference.made_data_set import made_data_set

if TYPE_CHECKING:
    from pathlib import Path


def x0(*arguments: object, code: int = 0) -> tuple[str, str]:
    """Stdout and stderr of `x0` with these arguments."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    assert done.exit_code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set on disk; no session runs."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path / "state"))
    write(made_data_set(0), tmp_path / "week")
    return tmp_path / "week"


def test_a_model_is_made_and_scored_on_another_week(week: Path, tmp_path: Path) -> None:
    """The file can be loaded; every measure is there; what cannot be used of the other is told."""
    pytest.importorskip("torch", reason="training's torch is not installed")
    out, _ = x0("train", "--train", week, "--out", tmp_path / "models", "--json")
    told = json.loads(out)
    path = tmp_path / "models" / "data-set-root-cause"
    model = load(path, purpose=Purpose.DATA_SET_ROOT_CAUSE)
    assert told["model"] == str(path)
    with pytest.raises(ModelSchemaMismatch, match="not for root-cause"):
        load(path, purpose=Purpose.ROOT_CAUSE)  # as a session does
    assert model.card.trees == len(model.trees.first if model.trees else ()) > 0
    assert model.card.trained_on == told["trained_on"] == "week: 24 incidents, 120 quiet windows"

    other = tmp_path / "other"
    write(made_data_set(1), other)
    (other / "metrics" / "prefixes.csv.gz").unlink()
    out, err = x0("evaluate", "--train", week, "--eval", other, "--json")
    told = json.loads(out)
    assert (told["incidents"], told["located"], told["visible"]) == (24, 18, 12)
    assert told["visible_top1"] > told["baselines"]["majority"]["visible_top1"]
    assert set(told["baselines"]) == {
        "majority", "max_robust_z", "extra_trees", "boosting", "without_edges", "without_trees",
    }  # fmt: skip
    assert set(told["per_kind"]) == {"link-loss", "node-down", "bgp-hijack", "link-delay"}
    for name in ("top1", "top3", "endpoint_top1", "outside_recall", "false_alarms_per_day"):
        assert told[name] >= 0
    assert told["top1_interval"][0] <= told["top1"] <= told["top1_interval"][1]
    assert told["train_s"] > 0 < told["score_ms"]
    assert "prefixes.mean" in err


@pytest.mark.parametrize("arguments", [("train",), ("evaluate",)])
def test_without_torch_it_says_how_to_get_it_and_how_large_it_is(
    week: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it reads anything."""
    monkeypatch.setattr(training_needs, "PACKAGES", ("no_such_package",))
    _, err = x0(*arguments, "--train", week, code=exit_codes.UNAVAILABLE)
    assert "make setup-train" in err
    assert "860 MiB" in err


def test_a_folder_that_is_no_data_set_is_an_error_of_input(week: Path) -> None:
    """Of which nothing can be learnt, too."""
    pytest.importorskip("torch", reason="training's torch is not installed")
    _, err = x0("train", "--train", week / "nowhere", code=exit_codes.BAD_INPUT)
    assert "Give a folder with" in err
    (week / "incidents.csv").write_text("incident,start,end,kind,node,interface,minutes\n")
    _, err = x0("evaluate", "--train", week, code=exit_codes.BAD_INPUT)
    assert "no incident that can be used" in err


def test_what_to_learn_from_is_either_a_data_set_or_simulated(week: Path) -> None:
    for arguments in ((), ("--train", week, "--simulated")):
        _, err = x0("train", *arguments, code=exit_codes.BAD_INPUT)
        assert "--train" in err
        assert "--simulated" in err
