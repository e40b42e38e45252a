"""How every command speaks: results on stdout, everything else on stderr, errors in one form.

Invariants: with `--json`, stdout gets exactly one JSON object, also when the command fails; an
error is "error: what: why. remedy" on stderr, with one of `exit_codes`. Colours, boxes and moving
lines only on a terminal, and no colours under NO_COLOR.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
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
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, ParamSpec, TextIO

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actors.runtime.errors import InvalidInput, X0Error
from jobs.launch import interruption
from jobs.terminal import exit_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import RenderableType
    from rich.status import Status

P = ParamSpec("P")

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")
]

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
HELP: Final = {"help_option_names": ["-h", "--help"]}  # context settings of every command
_MAKE_ROOM: Final = "Make room where X0TTA6BL4_STATE_DIR and /tmp are; what was accepted is kept."
_MAKE_ROOM_THERE: Final = "Write to a place that has room."
PROGRESS_S: Final = 1.0  # between two lines of progress that stay
_READER_LEFT: Final = 128 + signal.SIGPIPE  # exit code, as of a program that SIGPIPE ends
PLAIN_WIDTH: Final = 10_000  # columns of text that is not for a terminal: no cell is ever folded

_json_before_the_command: ContextVar[bool] = ContextVar("_json_before_the_command", default=False)
_results: ContextVar[TextIO | None] = ContextVar("_results", default=None)


class NotWritten(Exception):  # noqa: N818 - named by its condition
    """Stdout takes no more; the cause is the `OSError` that it gave."""


@contextlib.contextmanager
def stdout_for_results() -> Iterator[None]:
    """What libraries print goes to stderr meanwhile; Ray prints there that a worker has died."""
    held = _results.set(_stdout())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _results.reset(held)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Write results to their end, and tell what keeps stdout from taking them."""
    try:
        yield
        _stdout().flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NotWritten(error) from error


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
        with contextlib.suppress(OSError):  # nobody is left to be told
            self._err.print(Text(text), soft_wrap=True)

    def result(self, values: Mapping[str, object], *readable: RenderableType | str) -> None:
        """Give the result: `values` with `--json`, else what is readable.

        Raises:
            NotWritten: stdout takes no more.
            BrokenPipeError: whoever read it has left.
        """
        self.settle()
        with _writing():
            if self.as_json:
                print(json.dumps(values, allow_nan=False), file=_stdout())
                return
            for part in readable:
                if isinstance(part, str):
                    self._out.print(Text(part), soft_wrap=True)  # the terminal wraps it
                else:
                    self._out.print(part)  # a table wraps its cells

    def document(self, text: str) -> None:
        """Give a document as the result: exactly this text.

        Raises:
            NotWritten: stdout takes no more.
            BrokenPipeError: whoever read it has left.
        """
        self.settle()
        with _writing():
            _stdout().write(text)

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
        kwargs["as_json"] = bool(kwargs.get("as_json")) or _json_before_the_command.get()
        report = Report(bool(kwargs["as_json"]))
        try:
            _check_encoding(sys.argv)
            with interruption.guarded(last=True), stdout_for_results():
                code = function(*args, **kwargs)
        except (Exception, interruption.Interrupted) as error:  # noqa: BLE001 - each is said and has a code
            code = _said(error, report)
        raise typer.Exit(code)

    command.__doc__ = unwrapped(function.__doc__ or "")
    return command


def json_for_any(wanted: bool) -> None:
    """Have the command that follows print JSON: `x0 --json NAME`."""
    _json_before_the_command.set(wanted)


def _said(error: BaseException, report: Report) -> int:
    """Tell what ended a command; its exit code."""
    if isinstance(error, BrokenPipeError):
        _drop_stdout()
        return _READER_LEFT
    if isinstance(error, NotWritten):
        _drop_stdout()
        Report(as_json=False).error(
            "NotWritten", "the result cannot be written", str(error), _MAKE_ROOM_THERE
        )
        return exit_codes.NOT_WRITTEN
    kind, what, why, remedy, code = _told(error)
    if code == exit_codes.DEFECT and not isinstance(error, X0Error):
        report.note("".join(traceback.format_exception(error)).rstrip())
    try:
        report.error(kind, what, why, remedy)
    except (BrokenPipeError, NotWritten):  # the error has been said on stderr
        _drop_stdout()
    return code


def _told(error: BaseException) -> tuple[str, str, str, str, int]:
    """Kind of an error, what failed, why, what to do, and the exit code."""
    if isinstance(error, X0Error):
        return _kind(error), error.what, error.why, error.remedy, exit_codes.of(error)
    if isinstance(error, interruption.Interrupted):
        remedy = "What was started has been ended."
        return "Interrupted", "interrupted", error.signal.name, remedy, error.exit_code
    if isinstance(error, OSError) and error.errno in _FULL:
        what = "nothing more can be written"
        return "DiskFull", what, str(error), _MAKE_ROOM, exit_codes.NOT_WRITTEN
    text = str(error).partition("\n")[0] or type(error).__name__
    remedy = "This is a defect: please report it with the traceback above."
    return type(error).__name__, "unexpected failure", text, remedy, exit_codes.DEFECT


def _drop_stdout() -> None:
    """Have what is still buffered for stdout go nowhere, or Python would complain at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), _stdout().fileno())


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
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, context_settings=dict(HELP)
    )
    app.command()(command)
    start(app)


def start(app: typer.Typer) -> NoReturn:
    """Run commands as a program; also a help text that cannot be written ends in order."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
            # Python looks through all objects for garbage when it ends: with Ray loaded, for longer
            # than many a command takes. All of it goes with the process anyway.
            gc.freeze()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            sys.exit(_READER_LEFT)
        raise
    except OSError as error:
        lost = error if isinstance(error, BrokenPipeError) else NotWritten(error)
        sys.exit(_said(lost, Report(as_json=False)))
    sys.exit(exit_codes.OK)


def _kind(error: X0Error) -> str:
    # Ray derives a class of its own from the class of an error that crossed processes.
    names = (cls.__name__ for cls in type(error).__mro__ if cls.__module__.startswith("actors."))
    return next(names)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich itself would exit with code 1


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else _stdout()
    width = None if stream.isatty() else PLAIN_WIDTH
    return _Console(file=stream, width=width, highlight=False, emoji=False, markup=False)
