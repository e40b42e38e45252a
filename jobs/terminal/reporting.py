"""How every command speaks: results on stdout, everything else on stderr, errors in one form.

Invariants: with `--json`, stdout gets exactly one JSON object, also when the command fails; an
error is "error: what: why. remedy" on stderr and exit code 1; wrong usage is exit code 2 (typer's);
a signal is 128 + its number. Colours, boxes and moving lines only on a terminal, and no colours
under NO_COLOR.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import inspect
import json
import math
import os
import re
import signal
import sys
import time
import traceback
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, ParamSpec, TextIO

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.runtime.errors import InvalidInput, X0Error
from jobs.launch import interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import RenderableType
    from rich.status import Status

P = ParamSpec("P")

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")
]

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_MAKE_ROOM: Final = "Make room where X0TTA6BL4_STATE_DIR and /tmp are; what was accepted is kept."
PROGRESS_S: Final = 1.0  # between two lines of progress that stay
_READER_LEFT: Final = 128 + signal.SIGPIPE  # exit code, as of a program that SIGPIPE ends
PLAIN_WIDTH: Final = 10_000  # columns of text that is not for a terminal: no cell is ever folded

_results: ContextVar[TextIO | None] = ContextVar("_results", default=None)


@contextlib.contextmanager
def stdout_for_results() -> Iterator[None]:
    """What libraries print goes to stderr meanwhile; Ray prints there that a worker has died."""
    held = _results.set(_stdout())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _results.reset(held)


def _stdout() -> TextIO:
    return _results.get() or sys.stdout


@dataclass(slots=True)
class Report:
    """The two streams of one command."""

    as_json: bool
    _out: Console = field(init=False)
    _err: Console = field(init=False)
    _moving: Status | None = field(init=False, default=None)
    _noted_at: float = field(init=False, default=-math.inf)  # s, monotonic clock

    def __post_init__(self) -> None:
        self._out = _console(stderr=False)
        self._err = _console(stderr=True)

    @property
    def live(self) -> bool:
        """Whether stdout is a terminal for tables that change."""
        return self._out.is_terminal and not self.as_json

    @property
    def console(self) -> Console:
        """For what a person reads on stdout."""
        return self._out

    def progress(self, text: str) -> None:
        """Say what is being done: one moving line on a terminal, else a line now and then."""
        if not self._err.is_terminal:
            if time.monotonic() - self._noted_at >= PROGRESS_S:
                self._noted_at = time.monotonic()
                self.note(text)
        elif self._moving is None:
            self._moving = self._err.status(Text(text))
            self._moving.start()
        else:
            self._moving.update(Text(text))

    def settle(self) -> None:
        """Take the moving line away."""
        if self._moving is not None:
            self._moving.stop()
            self._moving = None

    def note(self, text: str) -> None:
        """Say something beside the result."""
        self._err.print(Text(text), soft_wrap=True)

    def result(self, values: Mapping[str, object], *readable: RenderableType | str) -> None:
        """Give the result: `values` with `--json`, else what is readable."""
        self.settle()
        if self.as_json:
            print(json.dumps(values, allow_nan=False), file=_stdout(), flush=True)
            return
        for part in readable:
            self._out.print(Text(part) if isinstance(part, str) else part, soft_wrap=True)
        _stdout().flush()

    def error(self, kind: str, what: str, why: str, remedy: str) -> None:
        """Say an error on stderr, and with `--json` on stdout too."""
        self.settle()
        self.note(f"error: {what}: {why.removesuffix('.')}. {remedy}")
        if self.as_json:
            values = {"type": kind, "what": what, "why": why, "remedy": remedy}
            self.result({"error": values})


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table of plain cells; on what is not a terminal, aligned text without lines."""
    plain = not _stdout().isatty()
    grid = Table(title=title, title_justify="left", box=None if plain else box.SIMPLE_HEAD)
    numeric = [
        bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        for at in range(len(columns))
    ]
    for name, right in zip(columns, numeric, strict=True):
        grid.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    return grid


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """Two columns: what, and its value."""
    grid = Table(title=title, title_justify="left", box=None, show_header=False)
    grid.add_column()
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(Text(name), Text(str(value)))
    return grid


def reported(function: Callable[P, int]) -> Callable[P, None]:
    """Make a command of a function that takes `as_json` and returns an exit code."""

    @functools.wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        report = Report(bool(kwargs.get("as_json")))
        try:
            _check_encoding(sys.argv)
            with interruption.guarded(last=True), stdout_for_results():
                code = function(*args, **kwargs)
        except X0Error as error:
            report.error(_kind(error), error.what, error.why, error.remedy)
            code = 1
        except interruption.Interrupted as error:
            report.error(
                "Interrupted", "interrupted", error.signal.name, "What was started has been ended."
            )
            code = error.exit_code
        except BrokenPipeError:
            # Whoever read has left, as `head` does. What is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = _READER_LEFT
        except Exception as error:  # noqa: BLE001 - the last resort: a defect, said as one
            if isinstance(error, OSError) and error.errno in _FULL:
                report.error("DiskFull", "nothing more can be written", str(error), _MAKE_ROOM)
                raise typer.Exit(1) from None
            report.note(traceback.format_exc().rstrip())
            text = str(error).partition("\n")[0] or type(error).__name__
            remedy = "This is a defect: please report it with the traceback above."
            report.error(type(error).__name__, "unexpected failure", text, remedy)
            code = 1
        raise typer.Exit(code)

    command.__doc__ = unwrapped(function.__doc__ or "")
    return command


def unwrapped(text: str) -> str:
    """A docstring with each paragraph on one line, which the terminal then wraps at its width."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _check_encoding(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text, of which Python makes lone surrogates.

    Raises:
        InvalidInput: an argument has some. Ray, which is told the arguments, cannot take them.
    """
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="backslashreplace").decode()
            raise InvalidInput(
                f"the argument {shown[:60]} is refused",
                "it is not UTF-8",
                "Give it in UTF-8; see `locale`.",
            ) from None


def run(command: Callable[..., None]) -> None:
    """Run one command as a program, for `python -m jobs.NAME`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


def _kind(error: X0Error) -> str:
    # Ray derives a class of its own from the class of an error that crossed processes.
    names = (cls.__name__ for cls in type(error).__mro__ if cls.__module__.startswith("actors."))
    return next(names)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else _stdout()
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False, markup=False)
