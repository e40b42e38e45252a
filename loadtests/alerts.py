"""How long raising an alert holds up who raises it, whatever becomes of the alert.

Beside it, in the same process and in turn: a bare append of the same number of bytes to a file.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.alerts.actor import AlertsActor
from actors.alerts.channels.configured import Configured
from actors.alerts.contract import AlertsOptions
from actors.runtime import remote
from actors.runtime.alert_spool import SPOOL, TAKER, AlertSpool, TakesAlerts
from actors.runtime.alerting import Alert, AlertName
from actors.runtime.lag import RunQueue
from actors.runtime.metrics import MemoryMetrics
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.synchronize import Event

    from actors.alerts.notice import Notice

ALERTS: Final = 2_000
BOUND_S: Final = 0.005  # that raising may take
HANGS, RAISES, SLOW = "hangs", "raises", "slow"
_BYTES: Final = 400
_READY_S: Final = 120.0
_SCOPE: Final = "loadtests-alerts"
_METHOD: Final = """\
{alerts} alerts of different faults, one a millisecond, raised on the event loop of a process that \
hands them to the actor of alerts in another. The actor's three channels hang for ever, raise a \
defect at once, or answer after half a second. Each call of the sink of `raise_alert` is timed, \
and after each a bare `write` of {bytes} bytes; time in which the thread had no processor, because \
of others on the machine, is left out of both."""


class _Channel:
    """A channel that does people no good."""

    most = 1
    pause_s = 0.0
    deadline_s = 30.0

    def __init__(self, name: str) -> None:
        self.name = name

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        if self.name == HANGS:
            await asyncio.Event().wait()
        if self.name == RAISES:
            raise ZeroDivisionError
        await asyncio.sleep(0.5)
        return [""] * len(notices)

    async def check(self) -> None:
        """It cannot be asked."""

    async def close(self) -> None:
        """It has nothing open."""


@benchmark("alerts", "Raising alerts", ("sqlalchemy",))
def measure(
    progress: Progress,
    *,
    alerts: Annotated[int, typer.Option(min=10, max=100_000, help="Alerts to raise.")] = ALERTS,
) -> Findings:
    """Measure how long raising an alert takes while all channels hang, fail or are slow."""
    scope = f"{_SCOPE}-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="x0-alerts-") as name, remote.by_sockets(scope, "x0"):
        directory = Path(name)
        progress("starting the actor")
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        actor = context.Process(target=_act, args=(scope, directory, ready), daemon=True)
        actor.start()
        try:
            if not ready.wait(_READY_S):
                raise defect("the actor of alerts did not start")
            progress(f"raising {alerts} alerts")
            raised, bare, lost = asyncio.run(_measured(directory, alerts))
        finally:
            actor.kill()
            actor.join()
    columns = ["µs", "median", "99 %", "largest"]
    rows = [_row("raise an alert", raised), _row("bare append", bare)]
    late = sum(each > BOUND_S for each in raised)
    shortcomings = [f"{lost} alerts were lost"] if lost else []
    if late:
        shortcomings.append(f"{late} of {alerts} took longer than {1e3 * BOUND_S:g} ms")
    ratio = _quantile(raised, 0.5) / _quantile(bare, 0.5)
    return Findings(
        method=_METHOD.format(alerts=alerts, bytes=_BYTES),
        tables=[Table(columns, rows)],
        findings=[f"Raising takes {ratio:.1f} times as long as the bare append, at the median."],
        shortcomings=shortcomings,
        kept=f"Kept: no caller is held up by more than {1e3 * BOUND_S:g} ms.",
        values={"alerts": alerts, "lost": lost, "raise": _values(raised), "bare": _values(bare)},
    )


def _act(scope: str, directory: Path, ready: Event) -> None:
    """Be the process of the actor until it is killed."""
    channels = tuple(map(_Channel, (HANGS, RAISES, SLOW)))

    async def act() -> None:
        actor = AlertsActor(
            AlertsOptions(directory, log_level="CRITICAL"),
            metrics=MemoryMetrics(),
            channels=lambda _options: Configured(None, channels),
        )
        await actor.active()
        ready.set()
        await asyncio.Event().wait()

    with remote.by_sockets(scope, "x0"):
        asyncio.run(act())


async def _measured(directory: Path, alerts: int) -> tuple[list[float], list[float], int]:
    spool = AlertSpool(directory / SPOOL, "x0")
    work = asyncio.create_task(spool.forward(remote.proxy(TakesAlerts, TAKER)))
    queue = RunQueue()
    raised: list[float] = []
    bare: list[float] = []
    with (directory / "bare").open("ab", buffering=0) as file:
        for number in range(alerts):
            alert = Alert(AlertName.NODE_OFFLINE, str(number), f"node {number} is gone", 1.0)
            raised.append(_timed(partial(spool.append, alert), queue))
            bare.append(_timed(partial(file.write, b"x" * _BYTES), queue))
            await asyncio.sleep(0.001)
    work.cancel()
    queue.close()
    return raised, bare, spool.lost


def _timed(call: Callable[[], object], queue: RunQueue) -> float:
    """Seconds that a call takes, without those in which the thread had no processor."""
    waited, began = queue.waited_s(), time.perf_counter()
    call()
    taken = time.perf_counter() - began
    return max(0.0, taken - (queue.waited_s() - waited))


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def _row(name: str, values: Sequence[float]) -> list[str]:
    return [name, *(f"{1e6 * _quantile(values, share):.0f}" for share in (0.5, 0.99, 1.0))]


def _values(values: Sequence[float]) -> dict[str, float]:
    return {
        name: round(1e6 * _quantile(values, share), 1)
        for name, share in (("median_us", 0.5), ("p99_us", 0.99), ("largest_us", 1.0))
    }


if __name__ == "__main__":
    measure.main()
