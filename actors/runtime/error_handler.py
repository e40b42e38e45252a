"""The last handler of an error: it is logged, counted, and alerted when critical.

Invariants: handling an `Exception` never raises, whatever the alert, the metrics or the error's own
text do; cancellation and the wish to exit (`CancelledError`, `KeyboardInterrupt`, `SystemExit`, any
other `BaseException`) are never swallowed. Where an error can be treated, treat it there instead.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, Literal

from actors.runtime import log, redaction
from actors.runtime.alerting import Alert, AlertName, raise_alert

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from actors.runtime.metrics import Counter, Metrics

Severity = Literal["warning", "error", "critical"]

ERRORS_TOTAL: Final = "x0tta6bl4_errors_total"
_log = log.get(__name__)


class ErrorHandler:
    """Handles the errors of one `context`, such as an actor or a loop of it.

    Args:
        context: a name out of a small fixed set; it is a metric label.
        metrics: where errors are counted.
        alert: called with each critical error; it must not block. By default people are told.
    """

    def __init__(
        self, context: str, metrics: Metrics, alert: Callable[[Alert], None] = raise_alert
    ) -> None:
        self._context = context
        self._alert = alert
        self._errors: Counter = metrics.counter(
            ERRORS_TOTAL,
            "Errors that ended in an error handler",
            ("error_type", "context", "severity"),
        )

    def handle(
        self,
        error: BaseException,
        *,
        severity: Severity = "error",
        alerted: bool = False,
        **fields: object,
    ) -> None:
        """Log, count and perhaps alert `error`; `fields` go into the log line.

        Args:
            error: what was caught.
            severity: a critical one is alerted.
            alerted: an alert of its own name tells of it.
            **fields: for the log line.

        Raises:
            BaseException: `error` itself, if it is not an `Exception`.
        """
        if not isinstance(error, Exception):
            raise error
        self._record(error, severity, fields)
        if severity == "critical" and not alerted:
            self.alert(self._told(type(error).__name__, str(redaction.redacted(error))))

    def alert(self, alert: Alert) -> None:
        """Raise an alert; this never raises an error."""
        try:
            self._alert(alert)
        except Exception as failure:  # noqa: BLE001 - a broken alert must not hide an error
            self._record(failure, "error", {"during": "alert"})

    def _told(self, kind: str, message: str) -> Alert:
        return Alert(
            AlertName.ERROR_CRITICAL,
            f"{self._context}:{kind}",
            f"{self._context}: {message}",
            time.time(),
            labels={"context": self._context, "error_type": kind},
            momentary=True,
        )

    @contextlib.contextmanager
    def guard(self, *, severity: Severity = "error", **fields: object) -> Iterator[None]:
        """Handle what the block raises; execution goes on after the block."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - handled
            self.handle(error, severity=severity, alerted=False, **fields)

    def watch(
        self, task: asyncio.Task[Any], *, severity: Severity = "error", **fields: object
    ) -> None:
        """Handle the error that `task` may end with; cancellation is no error."""

        def ended(task: asyncio.Task[Any]) -> None:
            if task.cancelled():
                return
            error = task.exception()
            # asyncio itself lets KeyboardInterrupt and SystemExit out of the loop.
            if isinstance(error, Exception):
                self.handle(error, severity=severity, alerted=False, task=task.get_name(), **fields)

        task.add_done_callback(ended)

    def _record(self, error: Exception, severity: Severity, fields: dict[str, object]) -> None:
        kind = type(error).__name__
        try:
            self._errors.inc(error_type=kind, context=self._context, severity=severity)
        except Exception as failure:  # noqa: BLE001 - an error that is not counted is still logged
            fields = {**fields, "not_counted": redaction.safe_text(failure)}
        write = _log.warning if severity == "warning" else _log.error
        # A field must not collide with structlog's own parameter.
        safe = {("event_" if name == "event" else name): value for name, value in fields.items()}
        safe |= {
            "context": self._context,
            "error_type": kind,
            "severity": severity,
            "error": redaction.safe_text(error),
        }
        write("error handled", **safe, exc_info=error)
