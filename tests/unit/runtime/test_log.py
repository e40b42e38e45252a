"""Log lines: JSON, complete, without secrets."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import stamina
import structlog
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "Zq7canaryCANARY0123456789"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Configured logging, and what it has written since the last look."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    log.configure("INFO")
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_json_with_time_level_and_logger(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    """Each call writes one JSON object with its fields and the bound context."""
    with structlog.contextvars.bound_contextvars(shard="mesh-shard-01"):
        log.get("actors.mesh").info("node lost", hops=3)
    (line,) = lines()
    assert line["event"] == "node lost"
    assert line["level"] == "info"
    assert line["logger"] == "actors.mesh"
    assert line["hops"] == 3
    assert line["shard"] == "mesh-shard-01"
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """The level is obeyed, and a second configure changes it without doubling lines."""
    log.get("a").debug("quiet")
    assert lines() == []
    log.configure("DEBUG")
    log.get("a").debug("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_an_unknown_level_is_refused() -> None:
    """A misspelt level does not silence the log."""
    with pytest.raises(ValueError, match="LOUD"):
        log.configure("LOUD")


def test_exception_text_is_redacted(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """A secret in the text of an exception or of its cause is not in the traceback."""
    try:
        try:
            raise ValueError(f"token={CANARY}")  # noqa: TRY301 - the cause of the next one
        except ValueError as error:
            raise RuntimeError(f"https://user:{CANARY}@host/") from error
    except RuntimeError:
        log.get("a").exception("failed")
    (line,) = lines()
    assert "RuntimeError" in line["exception"]
    assert "ValueError" in line["exception"]
    assert CANARY not in json.dumps(line)


def test_libraries_are_redacted_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """What goes through the standard logging module has the same form and passes the same nets."""
    logging.getLogger("lib").warning(
        "GET %s", f"https://x/?token={CANARY}", extra={"password": "p"}
    )
    (line,) = lines()
    assert line["logger"] == "lib"
    assert line["level"] == "warning"
    assert CANARY not in json.dumps(line)


def test_nothing_leaks_before_configure(caplog: pytest.LogCaptureFixture) -> None:
    """Redaction belongs to the logger, not to the set-up that a program might forget."""
    log.get("early").warning("hello", token=CANARY, text=f"Bearer {CANARY}")
    assert "hello" in caplog.text
    assert CANARY not in caplog.text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name not in {"event", "self"}),
        st.none() | st.floats() | st.text() | st.binary() | st.sets(st.integers()),
        max_size=5,
    )
)
@example({"_record": 0.0})
def test_whatever_is_logged_the_line_is_valid_json(
    lines: Callable[[], list[dict[str, Any]]], fields: dict[str, Any]
) -> None:
    """Values of any type and text give one line of strict JSON."""
    reserved = {"exc_info", "stack_info", "stacklevel", "extra"}
    log.get("a").info("x", **{k: v for k, v in fields.items() if k not in reserved})
    (line,) = lines()
    assert "event" in line
    json.dumps(line, allow_nan=False)  # raises if a NaN was read back


def test_a_retry_is_a_line_like_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    """What stamina repeats is told as JSON on stderr, without the text of the error."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    log.configure("INFO")
    try:
        for attempt in stamina.retry_context(on=OSError, attempts=2, wait_initial=0.001):
            with attempt:
                if attempt.num == 1:
                    raise OSError(f"GET https://host.example/?key={CANARY}")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    written = capsys.readouterr()
    line = json.loads(written.err)
    assert (line["event"], line["attempt"], line["cause"]) == ("tried again", 1, "OSError")
    assert written.out == ""
    assert CANARY not in written.err


def test_libraries_that_say_everything_are_quiet(lines: Callable[[], list[dict[str, Any]]]) -> None:
    """What httpx says of each request, and Alembic of each plugin, is no line; a warning is."""
    for name in ("httpx", "alembic.runtime.plugins"):
        logging.getLogger(name).info("setup plugin")
        logging.getLogger(name).warning("trouble")
    assert [(line["logger"], line["event"]) for line in lines()] == [
        ("httpx", "trouble"),
        ("alembic.runtime.plugins", "trouble"),
    ]
