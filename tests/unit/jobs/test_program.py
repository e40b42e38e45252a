"""A command as a process: how it ends, whatever happens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.runtime.errors import (
    ActorUnavailable,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotRunning,
    X0Error,
)
from jobs.terminal import exit_codes

X0 = str(Path(sys.executable).with_name("x0"))


def environment(state: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}
    return {**kept, "X0TTA6BL4_STATE_DIR": str(state)}


# Starts a command as `x0` and as `-m` do, and says so when its first module is there: before that,
# Python itself takes the signal.
_AS_X0 = "from jobs.cli import main; main()"
_AS_MODULE = "import runpy; runpy.run_module('jobs.send', run_name='__main__', alter_sys=True)"
_BEGUN = "import os, sys; del sys.argv[0]; import jobs; os.write(1, b'begun\\n'); "


@pytest.mark.parametrize(
    ("start", "arguments"),
    [
        (_AS_X0, ["x0", "status"]),
        (_AS_MODULE, ["-m", "a", "b", "text"]),
        (_AS_X0, ["x0", "what-if", "--all-single", "--topology", "radio:300"]),
    ],
)
@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.3, 0.6])
def test_ctrl_c_at_any_time_is_one_line_and_130(
    tmp_path: Path, start: str, arguments: list[str], delay_s: float
) -> None:
    """While it imports, works or prints: no traceback, at most one line of an error."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BEGUN + start, *arguments],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert sum(line.startswith("error:") for line in said.splitlines()) <= 1
    ended_before = "what-if" not in arguments and process.returncode == exit_codes.NO_MESH
    assert ended_before or process.returncode == exit_codes.SIGNAL + signal.SIGINT, said


@pytest.mark.parametrize("arguments", [("--help",), ("status", "-h"), ("pay", "sandbox", "kinds")])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_device_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], *, as_json: bool
) -> None:
    """What cannot be written is said on stderr, once, and is no success."""
    more = ["--json"] if as_json and "kinds" in arguments else []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [X0, *arguments, *more],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == exit_codes.NOT_WRITTEN
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: the result cannot be written: ")


def test_an_error_that_cannot_be_printed_is_still_said(tmp_path: Path) -> None:
    """With --json the error goes to stdout too; where that is full, stderr has it, once."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [X0, "status", "--json"],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == exit_codes.NO_MESH
    assert done.stderr.count("\n") == 1
    assert "has no session on record" in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("pay", "sandbox", "kinds")])
def test_a_reader_that_has_left_is_no_error(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """As after `| head -0`: nothing is said, and the code is that of SIGPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [X0, *arguments],
        env=environment(tmp_path),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (exit_codes.SIGNAL + signal.SIGPIPE, "")


def test_json_is_understood_before_the_command_too(tmp_path: Path) -> None:
    """`x0 --json status` and `x0 status --json` are the same."""

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [X0, *arguments],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    assert run("--json", "status") == run("status", "--json")
    code, out = run("--json", "pay", "sandbox", "kinds")
    assert (code, bool(json.loads(out)["kinds"])) == (0, True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotRunning("mesh", why="none"), exit_codes.NO_MESH),
        (InvalidInput("a", "b", "c"), exit_codes.BAD_INPUT),
        (ConfigurationError("a", "b", "c", variable="X"), exit_codes.BAD_INPUT),
        (ActorUnavailable("twin"), exit_codes.UNAVAILABLE),
        (Conflict("a", "b", "c"), exit_codes.CONFLICT),
        (X0Error("a", "b", "c"), exit_codes.DEFECT),
    ],
)
def test_each_kind_of_failure_has_its_own_code(error: X0Error, code: int) -> None:
    """A script tells them apart by number; `x0 --help` and the README list all of them."""
    assert exit_codes.of(error) == code
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for each in exit_codes.MEANINGS:
        assert f"| {each}" in readme
