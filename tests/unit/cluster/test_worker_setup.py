"""A worker starts at once where there is no environment to prepare, else by Ray's own program."""

from __future__ import annotations

import json
import sys

import pytest

from cluster import worker_setup

WORKER = ["default_worker.py", "--node-ip-address=127.0.0.1", "--temp-dir=a b"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--language=PYTHON", "--serialized-runtime-env-context={}"],
        ["--serialized-runtime-env-context", ""],
        [
            "--serialized-runtime-env-context="
            + json.dumps({"env_vars": {}, "command_prefix": [], "py_executable": sys.executable})
        ],
    ],
)
def test_without_an_environment_it_becomes_the_worker(options: list[str]) -> None:
    """Its own options go, those of the worker stay as they are."""
    assert worker_setup.command([*WORKER, *options]) == [sys.executable, *WORKER]


@pytest.mark.parametrize(
    "options",
    [
        ["--language=JAVA"],
        ["--serialized-runtime-env-context=" + json.dumps({"env_vars": {"A": "1"}})],
        ["--serialized-runtime-env-context=" + json.dumps({"py_executable": "/usr/bin/other"})],
        ["--serialized-runtime-env-context=" + json.dumps({"command_prefix": ["cd", "there"]})],
    ],
)
def test_an_environment_is_prepared_by_ray(options: list[str]) -> None:
    """With the same arguments."""
    program, setup, *arguments = worker_setup.command([*WORKER, *options])
    assert program == sys.executable
    assert setup.endswith("ray/_private/workers/setup_worker.py")
    assert arguments == [*WORKER, *options]
