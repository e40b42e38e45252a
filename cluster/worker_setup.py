"""The program by which the raylet starts a worker: what Ray's own `setup_worker` does, sooner.

Ray's prepares the runtime environment that a job has asked for, and becomes the worker by exec(3).
It imports all of Ray for it, which the worker then does again: a second of a core for each worker,
mostly for no environment at all. Here Ray's own program is run only where there is something to
prepare.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_SETUP = ("_private", "workers", "setup_worker.py")  # in the package `ray`


def command(arguments: list[str]) -> list[str]:
    """What this process is to become.

    Args:
        arguments: those of Ray's `setup_worker`: its two options, and the command of the worker.
    """
    options = argparse.ArgumentParser(allow_abbrev=False)
    options.add_argument("--serialized-runtime-env-context", default="{}")
    options.add_argument("--language", default="PYTHON")
    found, worker = options.parse_known_args(arguments)
    asked = json.loads(found.serialized_runtime_env_context or "{}")
    same = asked.pop("py_executable", None) in {None, sys.executable}
    if found.language == "PYTHON" and same and not any(asked.values()):
        return [sys.executable, *worker]
    spec = PathFinder.find_spec("ray")  # which does not import it
    assert spec is not None  # noqa: S101 - a raylet has started this
    assert spec.origin is not None  # noqa: S101 - the same
    return [sys.executable, str(Path(spec.origin).parent.joinpath(*_SETUP)), *arguments]


if __name__ == "__main__":
    become = command(sys.argv[1:])
    os.execv(become[0], become)  # noqa: S606 - no shell is wanted
