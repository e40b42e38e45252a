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
def addressed(address: str | None) -> Iterator[None]:
    """RAY_ADDRESS for the length of a block; None is none, so that a mesh starts its own."""
    before = os.environ.pop("RAY_ADDRESS", None)
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    try:
        yield
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        if before is not None:
            os.environ["RAY_ADDRESS"] = before


@contextlib.contextmanager
def started(progress: Progress) -> Iterator[LocalCluster]:
    """A cluster that all meshes of a run share, named by RAY_ADDRESS; no dashboard, which costs."""
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        progress("starting Ray")
        cluster = LocalCluster.start(Path(directory), dashboard=False)
        try:
            with addressed(cluster.address):
                yield cluster
        finally:
            cluster.stop()
