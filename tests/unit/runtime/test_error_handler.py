"""The error handler: it counts, alerts, never raises, never swallows cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

import pytest

from actors.runtime.alerting import AlertName
from actors.runtime.error_handler import ERRORS_TOTAL, ErrorHandler
from actors.runtime.errors import Conflict
from actors.runtime.metrics import MemoryMetrics

if TYPE_CHECKING:
    from actors.runtime.alerting import Alert
    from actors.runtime.metrics import Counter, Definition


def counted(metrics: MemoryMetrics, error_type: str, severity: str = "error") -> float:
    """How many errors of that type and severity the context `test` has counted."""
    return metrics.value(ERRORS_TOTAL, error_type=error_type, context="test", severity=severity)


def test_an_error_is_logged_and_counted_by_type_and_severity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each handled error is one log line and one increment."""
    metrics = MemoryMetrics()
    handler = ErrorHandler("test", metrics)
    handler.handle(Conflict("a", "b", "C."), severity="warning", hop=3)
    handler.handle(ValueError("x"))
    handler.handle(ValueError("x"))
    assert counted(metrics, "Conflict", "warning") == 1
    assert counted(metrics, "ValueError") == 2
    assert len(caplog.records) == 3
    assert "a: b. C." in caplog.text


def test_only_a_critical_error_alerts_and_without_secrets() -> None:
    """The alert says what and where, and passes the same redaction as the log."""
    alerts: list[Alert] = []
    handler = ErrorHandler("test", MemoryMetrics(), alerts.append)
    handler.handle(ValueError("x"), severity="error")
    handler.handle(ValueError("token=Zq7secret"), severity="critical")
    [alert] = alerts
    assert alert.name is AlertName.ERROR_CRITICAL
    assert alert.summary == "test: token=[redacted]"
    assert alert.labels == {"context": "test", "error_type": "ValueError"}


def test_a_failing_alert_is_counted_and_does_not_raise(caplog: pytest.LogCaptureFixture) -> None:
    """The handler survives its own alert, and both errors are on record."""

    def broken(_alert: Alert) -> NoReturn:
        raise ConnectionError("pager is down")

    metrics = MemoryMetrics()
    ErrorHandler("test", metrics, broken).handle(ValueError("x"), severity="critical")
    assert counted(metrics, "ValueError", "critical") == 1
    assert counted(metrics, "ConnectionError") == 1
    assert "pager is down" in caplog.text


def test_failing_metrics_do_not_cost_the_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """An error that cannot be counted is logged all the same, with the reason."""

    class BrokenCounter:
        def inc(self, _value: float = 1.0, **_labels: str) -> NoReturn:
            raise OSError("exporter is gone")

    class BrokenMetrics(MemoryMetrics):
        def _new_counter(self, _definition: Definition) -> Counter:
            return BrokenCounter()

    ErrorHandler("test", BrokenMetrics()).handle(ValueError("the error"))
    assert "the error" in caplog.text
    assert "exporter is gone" in caplog.text


def test_an_error_without_text_is_handled() -> None:
    """An error whose own __str__ fails is counted like any other, and alerts."""

    class Broken(Exception):  # noqa: N818 - a test's own
        def __str__(self) -> str:
            raise RuntimeError("no text")

    alerts: list[Alert] = []
    metrics = MemoryMetrics()
    ErrorHandler("test", metrics, alerts.append).handle(Broken(), severity="critical", event="e")
    assert counted(metrics, "Broken", "critical") == 1
    assert alerts[0].summary == "test: [unprintable Broken]"


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_cancellation_and_exit_are_never_swallowed(kind: type[BaseException]) -> None:
    """What must stop the program goes on, from `handle` and out of `guard`, uncounted."""
    metrics = MemoryMetrics()
    handler = ErrorHandler("test", metrics)
    with pytest.raises(kind):
        handler.handle(kind())
    with pytest.raises(kind), handler.guard():
        raise kind
    assert counted(metrics, kind.__name__) == 0


def test_guard_ends_an_error() -> None:
    """An error in the block is handled once, and what follows the block runs."""
    metrics = MemoryMetrics()
    handler = ErrorHandler("test", metrics)
    with handler.guard(severity="warning", step="a"):
        raise ValueError("x")
    with handler.guard():
        pass
    assert counted(metrics, "ValueError", "warning") == 1
    assert counted(metrics, "ValueError") == 0


async def test_a_watched_task_is_handled_when_it_fails_and_only_then() -> None:
    """A background task cannot die in silence; success and cancellation are no errors."""
    metrics = MemoryMetrics()
    handler = ErrorHandler("test", metrics)

    async def fail() -> None:
        raise ValueError("x")

    failing = asyncio.create_task(fail())
    fine = asyncio.create_task(asyncio.sleep(0))
    endless = asyncio.create_task(asyncio.sleep(60))
    for task in (failing, fine, endless):
        handler.watch(task)
    await asyncio.sleep(0)
    endless.cancel()
    await asyncio.wait([failing, fine, endless])
    await asyncio.sleep(0)  # done callbacks run in the next turn of the loop
    assert counted(metrics, "ValueError") == 1
    assert counted(metrics, "CancelledError") == 0


def test_what_an_alert_of_its_own_tells_is_not_alerted_twice() -> None:
    """It is logged and counted like any other critical error."""
    metrics, alerts = MemoryMetrics(), []
    ErrorHandler("part", metrics, alerts.append).handle(
        RuntimeError("no"), severity="critical", alerted=True
    )
    assert alerts == []
    labels = {"error_type": "RuntimeError", "context": "part", "severity": "critical"}
    assert metrics.value("x0tta6bl4_errors_total", **labels) == 1
