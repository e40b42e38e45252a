"""`x0` as a process, on a state directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from any_ports import ANY_PORTS


def x0(state: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `x0` on a state directory of its own."""
    return subprocess.run(
        _command(arguments),
        env=_environment(state, settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def popen(state: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Start `x0` on a state directory of its own."""
    return subprocess.Popen(
        _command(arguments),
        env=_environment(state, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [str(Path(sys.executable).with_name("x0")), *arguments]


def _environment(state: Path, settings: dict[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("X0TTA", "RAY_"))}
    own = {f"X0TTA6BL4_{name}": value for name, value in settings.items()}
    return {**kept, **ANY_PORTS, "X0TTA6BL4_STATE_DIR": str(state), **own}


def answer(state: Path, *arguments: str, code: int = 0, **settings: str) -> Any:
    """The one JSON object that `x0 ... --json` prints."""
    done = x0(state, *arguments, "--json", **settings)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)  # fails if there is anything else
