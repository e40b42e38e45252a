"""The Locust scenarios, run for a while without a browser, and what they counted.

Locust replaces parts of the standard library when it is imported, so it has a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.runtime.errors import Unavailable
from loadtests.http_connection import TOKEN
from loadtests.open_loop import percentiles_ms

if TYPE_CHECKING:
    from loadtests.http_connection import Server

USERS: Final = 20
_SCENARIOS: Final = Path(__file__).with_name("locustfile.py")
_GRACE_S: Final = 60.0
_FAILED: Final = 1  # exit code: some request failed, which its figures tell


@dataclass(frozen=True, slots=True)
class LocustScenario:
    """One kind of request.

    Attributes:
        requests: number of requests.
        failures: number of requests that failed.
        per_s: requests per second.
        p95_ms: 95th percentile of their latencies; NaN when there was none.
    """

    requests: int
    failures: int
    per_s: float
    p95_ms: float


def parse(text: str) -> dict[str, LocustScenario]:
    """Figures by name, from the JSON that Locust prints at its end.

    Raises:
        ValueError: it printed none.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(text)
        return {entry["name"]: _scenario(entry) for entry in entries}
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"Locust printed no figures, but {text[:200]!r}") from error


def _scenario(entry: dict[str, Any]) -> LocustScenario:
    times: dict[str, int] = entry["response_times"]
    latency = np.repeat([float(ms) / 1000 for ms in times], list(times.values()))
    seconds = max(1.0, entry["last_request_timestamp"] - entry["start_time"])
    count = entry["num_requests"]
    return LocustScenario(
        count, entry["num_failures"], count / seconds, percentiles_ms(latency, (95,))[0]
    )


def run(server: Server, seconds: float, users: int = USERS) -> dict[str, LocustScenario]:
    """Run all scenarios; Locust gets the server's token by its environment.

    Raises:
        Unavailable: Locust did not work.
    """
    options = {
        "--host": f"http://{server.host}:{server.port}",
        "--users": str(users),
        "--spawn-rate": str(users),
        "--run-time": f"{max(1, round(seconds))}s",
        "--loglevel": "ERROR",
        "--exit-code-on-error": str(_FAILED),
    }
    command = [sys.executable, "-m", "locust", "-f", str(_SCENARIOS), "--headless", "--json"]
    said = ""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and our own arguments
            [*command, *(text for option in options.items() for text in option)],
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE_S,
            env={**os.environ, TOKEN: server.token},
            check=False,
        )
        said = done.stderr.strip()[-200:]
        if done.returncode not in {0, _FAILED}:
            raise ValueError(f"it ended with code {done.returncode}")  # noqa: TRY301 - one remedy
        return parse(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            "Locust did not work", f"{error}; {said}", "Run it again.", retry_after_s=1.0
        ) from error
