"""The actor of alerts, and whoever raises them, as processes that can be killed, without a cluster.

    python -m tests.alert_process actor SCOPE OPTIONS    (a pickle of `AlertsOptions`)
    python -m tests.alert_process raiser SCOPE FIRST LAST    (then lines: `fired KEY`, `over KEY`)

They find each other by their sockets, as processes of a session on one machine do.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from actors.alerts.actor import AlertsActor
from actors.runtime import alert_forwarding, remote
from actors.runtime.alerting import Alert, AlertName, AlertSeverity, raise_alert
from actors.runtime.flags import PREFIX
from actors.runtime.metrics import MemoryMetrics

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from actors.alerts.contract import AlertsOptions

ROOT = Path(__file__).parents[1]
NAMESPACE = "x0"


def raised(key: str, *, over: bool = False) -> Alert:
    """A fault that begins now, or one that is over now."""
    now = time.time()
    what = f"Node {key} is offline"
    severity = AlertSeverity.CRITICAL
    return Alert(AlertName.NODE_OFFLINE, key, what, now, now if over else None, severity)


@contextlib.contextmanager
def process(
    environment: Mapping[str, str], *arguments: str | os.PathLike[str]
) -> Iterator[subprocess.Popen[str]]:
    """One of the processes, which has said that it is there; killed at the end."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.alert_process", *map(str, arguments)],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "there\n"
        yield started
    finally:
        started.send_signal(signal.SIGKILL)
        started.communicate()


def environment_of(state_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Variables with which processes spool below a directory."""
    return {**given, f"{PREFIX}STATE_DIR": str(state_dir)}


def options_file(path: Path, options: AlertsOptions) -> Path:
    """A file of the options of the actor."""
    path.write_bytes(pickle.dumps(options))
    return path


async def _act(options: AlertsOptions) -> None:
    actor = AlertsActor(options, metrics=MemoryMetrics())
    await actor.active()  # it is ready
    sys.stdout.write("there\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def _raise(first: int, last: int) -> None:
    work = asyncio.create_task(alert_forwarding.forwarding(NAMESPACE))
    await asyncio.sleep(0)
    for number in range(first, last):
        raise_alert(raised(f"n{number:03}"))
        raise_alert(raised(f"n{number:03}", over=True))
        await asyncio.sleep(0)
    sys.stdout.write("there\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        change, key = line.split()
        raise_alert(raised(key, over=change == "over"))
    await work


def tell(raiser: subprocess.Popen[str], change: str, key: str) -> None:
    """Have a raiser raise a fault, or say that it is over."""
    assert raiser.stdin is not None
    raiser.stdin.write(f"{change} {key}\n")
    raiser.stdin.flush()


def main() -> None:
    """Run one of the processes until it is killed."""
    kind, scope, *rest = sys.argv[1:]
    with remote.by_sockets(scope, NAMESPACE):
        if kind == "actor":
            options = pickle.loads(Path(rest[0]).read_bytes())  # noqa: S301 - of the test
            asyncio.run(_act(options))
        else:
            asyncio.run(_raise(int(rest[0]), int(rest[1])))


if __name__ == "__main__":
    main()
