"""The commands as Ray jobs, submitted to a cluster that others own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.local import LocalCluster

PROJECT = Path(__file__).parents[2]


def submit(cluster: LocalCluster, state: Path, *command: str) -> Any:
    """Submit `python -m ...` with --json and wait; the object it printed."""
    runtime = {"env_vars": {"X0TTA6BL4_STATE_DIR": str(state), "X0TTA6BL4_NAMESPACE": "job-test"}}
    submitted = subprocess.run(
        [
            str(Path(sys.executable).with_name("ray")),
            *("job", "submit", "--working-dir", ".", "--runtime-env-json", json.dumps(runtime)),
            *("--", "python", "-m", *command, "--json"),
        ],
        cwd=PROJECT,
        env={**os.environ, "RAY_ADDRESS": cluster.dashboard_url, "RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    objects = [line for line in submitted.stdout.splitlines() if line.startswith("{")]
    return json.loads(next(line for line in objects if '"level"' not in line))


def test_a_mesh_is_started_seen_and_ended_by_jobs(cluster: LocalCluster, tmp_path: Path) -> None:
    """A detached mesh outlives its job, other jobs find it, and the cluster outlives the mesh."""
    up = submit(cluster, tmp_path, "jobs.up", "--detach", "--topology", "radio:8", "--shards", "1")
    assert up["nodes"] == 8
    assert not up["own_cluster"]
    assert up["dashboard_url"] == cluster.dashboard_url
    status = submit(cluster, tmp_path, "jobs.status")
    assert status["healthy"]
    assert [shard["pid"] for shard in status["shards"]] == [up["shards"][0]["pid"]]
    asked = submit(cluster, tmp_path, "jobs.what_if", "--fail", "n0001", "--all-single")
    assert asked["mesh"]["live"]
    assert asked["impact"]["failed_nodes"] == ["n0001"]
    down = submit(cluster, tmp_path, "jobs.down")
    assert down["ended"] == {"mesh": "radio:8"}
    assert not (tmp_path / "mesh.json").exists()
    assert cluster.alive()
