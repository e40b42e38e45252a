"""`python -m loadtests.mesh`, end to end on a small mesh of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from jobs.terminal import exit_codes
from loadtests.benchmark import RESULTS


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *options],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_small_load() -> None:
    """Everything offered at a small rate arrives once, unaltered, over at least 3 hops."""
    before = RESULTS.read_bytes()
    done = run(
        "loadtests.mesh", "--topology", "radio:24", "--rate", "500", "--seconds", "2", "--json"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sent"] == found["accepted"] + found["refused"] == 2000
    assert found["delivered"] == found["accepted"] == 2000
    zero = ("lost_accepted", "duplicates", "corrupt", "returned", "fewer_hops_than_asked")
    assert {name: found[name] for name in zero} == dict.fromkeys(zero, 0)
    assert found["hops_mean"] >= 3
    assert found["processes"] == 2
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert 0 < found["cpu_cores"] < 64
    assert 0 <= found["cpu_stolen"] < 64
    assert RESULTS.read_bytes() == before


def test_a_rate_that_is_none() -> None:
    """A rate that cannot be understood is refused before anything starts, and says what is."""
    done = run("loadtests.mesh", "--rate", "fast", "--json")
    assert done.returncode == exit_codes.BAD_INPUT
    assert json.loads(done.stdout)["error"]["remedy"] == "Give --rate 6800 or --rate max."
