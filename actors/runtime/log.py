"""Structured logs: one JSON object a line on stderr, without secrets.

Invariants: every line passes `redaction`, ours and those of libraries alike, before and after
`configure`; a line is valid JSON whatever was logged. Context bound with
`structlog.contextvars.bound_contextvars(...)` is in every line of that task.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from typing import TYPE_CHECKING, Final

import structlog
from stamina import instrumentation

from actors.runtime import redaction

if TYPE_CHECKING:
    from stamina.instrumentation import RetryDetails
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

# The first log every request with its URL or content; the last logs all its plugins.
_TALKATIVE: Final = ("httpx", "httpcore", "httpx2", "httpcore2", "telegram", "alembic")
_OURS: Final = "x0tta6bl4"  # name of the one handler on the root logger


def get(name: str) -> FilteringBoundLogger:
    """Return the logger `name`, for `_log = log.get(__name__)` and `_log.info("what", n=1)`."""
    logger: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def configure(level: str = "INFO") -> None:
    """Write lines of at least `level` to stderr; a second call changes the level.

    Raises:
        ValueError: there is no such level.
    """
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_common(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _json],
    )
    handler = _StderrHandler()
    handler.set_name(_OURS)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.setLevel(level)
    for old in [old for old in root.handlers if old.get_name() == _OURS]:
        root.removeHandler(old)
    root.addHandler(handler)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its own hook would print to stdout, in another form and unredacted.
    instrumentation.set_on_retry_hooks([_note_retry])


def _note_retry(details: RetryDetails) -> None:
    get("stamina").info(
        "tried again",
        attempt=details.retry_num,
        wait_s=round(details.wait_for, 2),
        cause=type(details.caused_by).__name__,  # its text may repeat a URL
    )


class _StderrHandler(logging.Handler):
    """Writes to the present `sys.stderr`, which notebooks and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - logging's own rule: a broken log ends nothing
            self.handleError(record)


def _common() -> list[Processor]:
    return [
        _free_reserved,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # before redaction, which then sees the text
        _redact,
    ]


# What structlog passes to its own formatter; it is removed before the line is written.
_PRIVATE: Final = ("_record", "_from_structlog")


def _free_reserved(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Rename a field that has the name under which structlog passes foreign records."""
    if "_record" in event and not isinstance(event["_record"], logging.LogRecord):
        event["record"] = event.pop("_record")
    return event


def _redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    kept = {name: event.pop(name) for name in _PRIVATE if name in event}
    safe = redaction.redacted(event)
    return {**safe, **kept} if isinstance(safe, dict) else kept


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    finite = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in event.items()
    }
    return json.dumps(finite, default=redaction.safe_text)
