"""What `x0 drill` refuses before anything is started or asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.terminal import exit_codes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "given",
    [
        "--real",
        "--within 5",
        "--expect a --real --target b",
        "--expect a --target b",
        "--expect a --mend",
        "--expect a --topology radio:12",
        "--real --target a --scenario link",
        "--real --target a --rate 100",
        "--scenario nothing",
        "--mend --target a",
    ],
)
def test_options_of_different_drills_are_refused(
    tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill is of one kind; the error says what belongs together."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path))
    done = CliRunner().invoke(app, ["drill", *given.split(), "--json"])
    assert done.exit_code == exit_codes.BAD_INPUT, done.output
    assert json.loads(done.stdout)["error"]["type"] == "InvalidInput"
