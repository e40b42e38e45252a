"""`python -m loadtests.calls`, end to end on a cluster of its own, and what its figures mean."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from loadtests.call_actors import Called
from loadtests.calls import RAY, SOCKET, CallCosts


def test_ratios_are_of_both_sides_medians() -> None:
    """The cost of a call is what both processes spend on it, whatever the rate."""
    costs = CallCosts()
    costs.turns[RAY][:] = [Called(100, 1.0, 0.060, 0.040)] * 3
    costs.turns[SOCKET][:] = [Called(n, 2.0, n * 30e-6, n * 20e-6) for n in (400, 800, 4000)]
    assert costs.rate_ratio == pytest.approx(4.0)
    assert costs.cost_ratio == pytest.approx(0.05)
    assert costs.caller_us(SOCKET).median == pytest.approx(30.0)


def test_a_small_run() -> None:
    """Both ways answer, one caller and several, and what they cost is told."""
    options = ("--seconds", "0.2", "--rounds", "2", "--callers", "8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtests.calls", *options),
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for kind in ("serial", "concurrent"):
        for way in ("ray", "socket"):
            figures = found[kind][way]
            assert len(figures["calls_per_s"]["values"]) == 2
            assert all(figures[name]["min"] > 0 for name in ("calls_per_s", "caller_us"))
        assert found[kind]["socket_vs_ray_calls_per_s"] > 0
