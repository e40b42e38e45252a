"""`x0 down` where nothing runs: what it removes, and what stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def test_a_purge_removes_what_sessions_keep_but_the_history(tmp_path: Path) -> None:
    """Once: the second time there is nothing left."""
    for name in ("mesh", "observed", "alerts", "history"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    known = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}

    def purged() -> bool:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.down", "--purge", "--json"],
            env={**known, "X0TTA6BL4_STATE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return bool(json.loads(done.stdout)["purged"])

    assert purged()
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"history"}
    assert not purged()
