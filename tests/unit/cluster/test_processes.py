"""Processes of a cluster, some of which end while they are looked at."""

from __future__ import annotations

import subprocess
import sys

import psutil

from cluster import processes


def test_names_are_those_of_processes_that_are_still_there() -> None:
    """A process that has ended since it was found is left out, and is no error."""
    idle = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(idle, stdin=subprocess.PIPE) as gone,
        subprocess.Popen(idle, stdin=subprocess.PIPE) as there,
    ):
        found = [psutil.Process(gone.pid), psutil.Process(there.pid)]
        name = found[1].name()
        gone.kill()
        gone.wait()
        assert processes.names(found[:1]) == set()
        assert processes.names(found) == {name}
        there.kill()
