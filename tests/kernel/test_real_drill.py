"""`x0 drill --real` on a session that watches a laboratory, as its users run it."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest
from commands import answer, popen, x0

from jobs.terminal import exit_codes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 180.0


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Path]:
    """The state directory of a laboratory, and of a session that watches it."""
    made = answer(tmp_path, "lab", "up", "--nodes", "6", "--hello", "0.5")
    try:
        answer(tmp_path, "watch", made["source"], "--poll", "0.5", "--detach")
        yield tmp_path
    finally:
        assert x0(tmp_path, "down", "--purge").returncode == exit_codes.OK
        assert x0(tmp_path, "lab", "down").returncode == exit_codes.OK


def test_it_breaks_mends_and_compares(watching: Path) -> None:
    """Both turns are as predicted; a Ctrl-C while something is broken mends it."""
    a, b = answer(watching, "lab", "status")["links"][0]
    told = answer(watching, "drill", "--real", "--target", a)
    assert told["verdict"] == "as_predicted"
    assert told["predicted"]["silent"] == [a]
    for turn in ("fault", "return"):
        assert 0 < told[turn]["seen_s"] <= told[turn]["agreed_s"]
        assert told[turn]["timeline"]

    process = popen(watching, "drill", "--real", "--target", f"{a},{b}", "--json")
    deadline = time.monotonic() + PATIENCE_S
    while not (losses := answer(watching, "lab", "status")["loss"]):
        assert time.monotonic() < deadline
    assert list(losses.values()) == [1.0]
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGINT
    assert json.loads(stdout)["error"]["type"] == "Interrupted"
    assert answer(watching, "lab", "status")["loss"] == {}
