"""wrk (Debian package), a load generator in C: the ceiling of a server, with a client next to free.

Closed loop. `wrk.lua` beside this makes the requests and says in JSON what came of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests import load_program
from loadtests.http_messages import PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.http_connection import Server

PORT: Final = 40_003  # of its messages, which nobody counts
_SCRIPT: Final = Path(__file__).with_suffix(".lua")
_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What wrk found.

    Attributes:
        per_s: answers per second.
        p95_ms: of their latencies.
        failed: answers of 400 and above, and connections that broke or timed out.
    """

    per_s: float
    p95_ms: float
    failed: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"rps": round(self.per_s, 1), "p95_ms": round(self.p95_ms, 3), "failed": self.failed}


def parse(text: str) -> Ceiling:
    """What `wrk.lua` printed last.

    Raises:
        ValueError: it printed no figures.
    """
    line = text.strip().rpartition("\n")[2]
    try:
        found: dict[str, Any] = json.loads(line)
        seconds = found["duration_us"] / 1e6
        return Ceiling(
            per_s=found["requests"] / seconds,
            p95_ms=found["p95_us"] / 1000,
            failed=found["status"] + found["socket"],
        )
    except (ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"wrk printed no figures, but {line[:200]!r}") from error


def installed() -> bool:
    """Whether wrk is there."""
    return shutil.which("wrk") is not None


def version() -> str:
    """Of the wrk that is installed, as it says itself: `wrk debian/4.1.0 [epoll] ...`."""
    done = subprocess.run(  # noqa: S603 - no shell, and our own arguments
        [shutil.which("wrk") or "wrk", "-v"], capture_output=True, text=True, check=False
    )
    return done.stdout.removeprefix("wrk").partition("[")[0].strip()


def get(server: Server, path: str, connections: int, seconds: int) -> Ceiling:
    """Get a path again and again.

    Raises:
        Unavailable: wrk did not work.
    """
    return _run(server, path, connections, seconds, [])


def send(
    server: Server,
    prefix: str,
    pairs: Sequence[tuple[str, str]],
    connections: int,
    seconds: int,
) -> Ceiling:
    """Send single messages between nodes, taken in turn.

    Args:
        server: gets them.
        prefix: of the path.
        pairs: sources and destinations.
        connections: at once.
        seconds: measured.

    Raises:
        Unavailable: wrk did not work.
    """
    ends = [name for pair in pairs for name in pair]
    path = prefix + PATH
    return _run(server, path, connections, seconds, ["single", path, str(PORT), *ends])


def _run(
    server: Server, path: str, connections: int, seconds: int, arguments: Sequence[str]
) -> Ceiling:
    url = f"http://{server.host}:{server.port}{path}"
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", f"-s{_SCRIPT}", url]
    command = [shutil.which("wrk") or "wrk", *options, "--", *arguments]
    return load_program.run(command, server, seconds + _GRACE_S, parse)
