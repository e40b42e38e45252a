"""Ctrl-C, SIGTERM and SIGHUP as one exception, once.

Inside `guarded()` the first such signal raises `Interrupted` in the main thread; later ones are
ignored, so that the clean-up which the first one set off runs to its end. Guards nest: the
outermost one owns the handlers and restores them.

`run` runs a coroutine: there the signal cancels the coroutine alone, whose clean-up then still has
its other tasks at work, and `Interrupted` is raised when it has ended. `asyncio.run` would raise it
in whatever runs, and cancel all tasks at once.

`Interrupted` is a `KeyboardInterrupt` because event loops let only that and `SystemExit` out of a
callback, of a loop that a library runs.

An exception is lost where Python cannot hand it on (a weak reference's callback, `__del__`), and
may leave a module half imported. So a signal that comes during an import is raised after it, and
one whose exception was lost is raised again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S: Final = 0.01
_IMPORTS: Final = "<frozen importlib._bootstrap>"


class Interrupted(KeyboardInterrupt):
    """The process was asked to end.

    Attributes:
        signal: that asked.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended: 128 + its number."""
        return 128 + self.signal


class _Guard:
    """The handlers of one outermost `guarded()`."""

    def __init__(self) -> None:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self._hook_before = sys.unraisablehook
        self._imports_before = _imports(sys._getframe())  # noqa: SLF001 - there is no other way
        self._raised = False
        self._sending = False  # whether a thread sends the signal again and again
        self._senders: list[threading.Thread] = []
        self.cancel: Callable[[], object] | None = None  # ends what an event loop runs
        self.cancelled_by: int | None = None

    def arm(self) -> None:
        sys.unraisablehook = self._lost
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def disarm(self, *, last: bool) -> None:
        self._sending = False
        for sender in self._senders:
            sender.join()  # before the handlers that its last signal would reach
        sys.unraisablehook = self._hook_before
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if last and self._raised else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raised or self._is_losing(frame):
            return  # in the hook it would be lost again; it is sent again
        if self.cancel is not None:
            self._raised, self._sending = True, False
            self.cancelled_by = number
            self.cancel()
            return
        if _imports(frame) > self._imports_before:
            self._send_again(number)
            return
        self._raised, self._sending = True, False
        raise Interrupted(number)

    def _lost(self, unraisable: sys.UnraisableHookArgs, /) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            self._raised = False
            self._send_again(unraisable.exc_value.signal)
        else:
            self._hook_before(unraisable)

    def _is_losing(self, frame: FrameType | None) -> bool:
        """Whether the hook runs, from which no exception comes out either."""
        hook = _Guard._lost.__code__
        return any(each.f_code is hook for each in _frames(frame))

    def _send_again(self, number: int) -> None:
        """Send a signal until it is taken: on a busy machine one may come too early again."""
        if self._sending:
            return

        def send() -> None:
            while self._sending:
                time.sleep(_AGAIN_S)
                if self._sending:
                    os.kill(os.getpid(), number)

        self._sending = True
        sender = threading.Thread(target=send, daemon=True)
        self._senders.append(sender)
        sender.start()


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _imports(frame: FrameType | None) -> int:
    """Count the frames of running imports."""
    return sum(each.f_code.co_filename == _IMPORTS for each in _frames(frame))


_current: list[_Guard] = []  # none or one


@contextlib.contextmanager
def guarded(*, last: bool = False) -> Iterator[None]:
    """Raise `Interrupted` at the first signal in this block. Outside the main thread: nothing.

    Args:
        last: the process ends after this block; what runs at its exit is not interrupted either.
    """
    if _current or threading.current_thread() is not threading.main_thread():
        yield
        return
    guard = _Guard()
    _current.append(guard)
    guard.arm()
    try:
        yield
    finally:
        _current.clear()
        guard.disarm(last=last)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a signal cancels it, and its other tasks only when it has ended.

    Raises:
        Interrupted: a signal came, and the clean-up is done.
    """
    with asyncio.Runner() as runner:
        if not _current or threading.current_thread() is not threading.main_thread():
            return runner.run(work)
        guard, loop = _current[0], runner.get_loop()
        task = loop.create_task(work)
        guard.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            result = loop.run_until_complete(task)
        except asyncio.CancelledError:
            if guard.cancelled_by is None:
                raise
        finally:
            guard.cancel = None
    if guard.cancelled_by is not None:
        raise Interrupted(guard.cancelled_by)
    return result


@contextlib.contextmanager
def meant(tell: Callable[[str], None]) -> Iterator[None]:
    """A block that goes on until a signal: `tell` is given the signal, which is no error."""
    try:
        yield
    except Interrupted as interrupted:
        tell(f"{interrupted.signal.name}: ending")


def rearm() -> None:
    """Take the signals back after `ray.init`, which puts its own handler of SIGTERM in place."""
    if _current and threading.current_thread() is threading.main_thread():
        _current[0].arm()
