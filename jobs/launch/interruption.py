"""Ctrl-C, SIGTERM and SIGHUP as one exception, once.

Inside `guarded()` the first such signal raises `Interrupted` in the main thread; later ones are
ignored, so that the clean-up which the first one set off runs to its end. Guards nest: the
outermost one owns the handlers and restores them.

`Interrupted` is a `KeyboardInterrupt` because event loops let only that and `SystemExit` out of a
callback.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
        self._raised = False

    def arm(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def disarm(self, *, last: bool) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if last and self._raised else handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self._raised:
            self._raised = True
            raise Interrupted(number)


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
