"""`python -m loadtests.mesh`, end to end on a small mesh of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def run(module: str, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *options, "--json", "--results", str(tmp_path / "R.md")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_small_load(tmp_path: Path) -> None:
    """Everything offered at a small rate arrives once, unaltered, over at least 3 hops."""
    done = run(
        "loadtests.mesh", tmp_path, "--topology", "radio:24", "--rate", "500", "--seconds", "2"
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
    written = (tmp_path / "R.md").read_text()
    assert "a second" in written
    assert "µs in the shards" in written


def test_a_rate_that_is_none(tmp_path: Path) -> None:
    """A rate that cannot be understood is refused before anything starts, and says what is."""
    done = run("loadtests.mesh", tmp_path, "--rate", "fast")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["remedy"] == "Give --rate 6800 or --rate max."
    assert not (tmp_path / "R.md").exists()
