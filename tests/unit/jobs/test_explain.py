"""`x0 explain`, of a session whose gateway and inference answer on loopback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.terminal import exit_codes
from serve_apps.inference.http.application import build
from serve_apps.inference.inference_state import Inference
from serve_apps.inference.model_file import save
from serve_apps.inference.node_graph import NodeGraph
from serve_apps.inference.received_figures import ReceivedFigure
from serve_apps.inference.settings import InferenceOptions
from serve_apps.web.auth import ensure_token
from tests.unit.inference.drawn import FEATURES, drawn_model
from tests.unit.jobs.test_by_gateway import WORLD, Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.topology.provenance import Network


class Measured:
    """Of the mesh of the tests nothing is measured but that node a loses frames."""

    received: tuple[ReceivedFigure, ...] = ()

    def __init__(self) -> None:
        self.asked: list[Network | None] = []

    async def newest(self, network: Network | None) -> NodeGraph:
        self.asked.append(network)
        deviations = np.full((len(WORLD.ids), len(FEATURES)), np.nan)
        values, normal = deviations.copy(), deviations.copy()
        place = WORLD.ids.index("a"), FEATURES.index("loss_rate")
        deviations[place], values[place], normal[place] = 6.0, 0.33, 0.02
        return NodeGraph(
            tuple(WORLD.ids), WORLD.ends, deviations, values, normal, 1000.0, self.received
        )


@pytest.fixture(name="session")
def running(tmp_path: Path) -> Iterator[Running]:
    save(drawn_model(), tmp_path / "condition")
    options = InferenceOptions(tmp_path)
    inference = Inference(ensure_token(tmp_path), options)
    inference.running = Measured()
    found = Running(tmp_path, {"/inference": build(inference)})
    yield found
    found.stop()


def _said(session: Running, *arguments: str, code: int = 0) -> str:
    env = {"X0TTA6BL4_STATE_DIR": str(session.state), "COLUMNS": "80"}
    done = CliRunner().invoke(app, ["explain", *arguments], env=env)
    assert done.exit_code == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def test_a_node_is_explained_in_words_and_in_json(session: Running) -> None:
    """In reading order; what is not measured anywhere is named once more."""
    said = _said(session, "a").splitlines()
    assert said[0].startswith("a is ")
    assert "probability" in said[0]
    assert any("loss_rate 0.31 above its normal, " in line for line in said)
    assert said[-1].startswith("not measured in this network: rssi, snr, link_age")
    found: dict[str, Any] = json.loads(_said(session, "a", "--json"))
    assert found["about"]["network"] == "emulated"
    assert [f"  {sentence}" for sentence in found["sentences"]] == said[1:-1]
    total = found["base"] + sum(part["contribution"] for part in found["features"])
    assert found["score"] == pytest.approx(total)


def test_what_hosts_count_of_its_links_is_told_below(
    session: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By direction, with units, within 80 columns; and in JSON."""
    figures = (
        ReceivedFigure("xdp_throughput", "bytes/s", "a", "b", 120.0, 200.0, -3.5),
        ReceivedFigure("xdp_gap_p95", "s", "a", "b", 0.25, None, None),
        ReceivedFigure("xdp_missing", "share", "b", "a", 0.0, 0.0, 0.0),
    )
    monkeypatch.setattr(Measured, "received", figures)
    said = _said(session, "a").splitlines()
    at = said.index("a receives of b:")
    assert said[at + 1 : at + 5] == [
        "  xdp_throughput 120 bytes/s, 80 below its normal",
        "  xdp_gap_p95 0.25 s, its normal is not known yet",
        "b receives of a:",
        "  xdp_missing 0, as normal",
    ]
    assert said[-1].startswith("not measured in this network")
    found = json.loads(_said(session, "a", "--json"))
    assert [one["unit"] for one in found["received"]] == ["bytes/s", "s", "share"]


def test_what_cannot_be_explained_says_why(session: Running) -> None:
    """An unknown node, another network, a harmed model: each with what to do."""
    assert "no mesh node zz" in _said(session, "zz", code=exit_codes.BAD_INPUT)
    _said(session, "a", "--network", "observed", code=exit_codes.CONFLICT)
    (session.state / "condition.json").write_text("{}")
    said = _said(session, "a", code=exit_codes.UNAVAILABLE)
    assert "model condition cannot be used" in said
    assert "x0 train" in said


def test_a_session_without_inference_says_so(tmp_path: Path) -> None:
    """And so does one that does not run."""
    env = {"X0TTA6BL4_STATE_DIR": str(tmp_path)}
    done = CliRunner().invoke(app, ["explain", "a"], env=env)
    assert done.exit_code == exit_codes.NO_MESH
    bare = Running(tmp_path)
    try:
        said = _said(bare, "a", code=exit_codes.UNAVAILABLE)
        assert "X0TTA6BL4_INFERENCE" in said
    finally:
        bare.stop()
