"""A Ray cluster for one benchmark, which its meshes find as a user's would be found."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.local import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str], None]


@contextlib.contextmanager
def started(progress: Progress) -> Iterator[LocalCluster]:
    """A cluster that all meshes of a run share, named by RAY_ADDRESS; no dashboard, which costs."""
    before = os.environ.get("RAY_ADDRESS")
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        progress("starting Ray")
        cluster = LocalCluster.start(Path(directory), dashboard=False)
        try:
            os.environ["RAY_ADDRESS"] = cluster.address
            yield cluster
        finally:
            if before is None:
                os.environ.pop("RAY_ADDRESS", None)
            else:
                os.environ["RAY_ADDRESS"] = before
            cluster.stop()
