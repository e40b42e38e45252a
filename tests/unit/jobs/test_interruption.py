"""Signals as one exception."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from jobs.launch import interruption
from jobs.launch.interruption import Interrupted, guarded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_a_signal_raises_once_and_handlers_come_back(number: signal.Signals) -> None:
    """The first signal raises, later ones do not disturb the clean-up, handlers are restored."""
    before = [signal.getsignal(one) for one in interruption.SIGNALS]
    cleaned: list[bool] = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGTERM)
            cleaned.append(True)

    with pytest.raises(Interrupted) as caught, guarded():
        work()
    assert cleaned
    assert caught.value.exit_code == 128 + number
    assert [signal.getsignal(one) for one in interruption.SIGNALS] == before


def test_an_inner_guard_changes_nothing() -> None:
    """Guards nest: leaving the inner one keeps the outer one's promise."""

    def work() -> None:
        with guarded():
            pass
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), guarded():
        work()


def test_handlers_that_another_put_in_place_are_taken_back() -> None:
    """`rearm` wins over a handler that a library has installed meanwhile."""

    def work() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interruption.rearm()
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), guarded():
        work()


def test_a_running_event_loop_is_left_in_order() -> None:
    """A signal during `asyncio.run` cancels the task, whose clean-up runs, and goes on."""
    left = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(30)
        finally:
            left.append("in order")

    with pytest.raises(Interrupted), guarded():
        asyncio.run(work())
    assert left == ["in order"]


def test_a_signal_during_an_import_is_raised_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module is imported whole, also where it would swallow the exception."""
    (tmp_path / "swallows_signals.py").write_text(
        "import signal, time\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\n    time.sleep(0.05)\n"
        "except BaseException:\n    pass\nwhole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def work() -> None:
        importlib.import_module("swallows_signals")
        time.sleep(10)

    with pytest.raises(Interrupted), guarded():
        work()
    assert sys.modules.pop("swallows_signals").whole


@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_an_exception_that_python_cannot_hand_on_is_raised_again(number: signal.Signals) -> None:
    """In the callback of a weak reference the exception is lost, but not the signal."""

    def work() -> None:
        kept = {1}
        _reference = weakref.ref(kept, lambda _: signal.raise_signal(number))
        del kept
        time.sleep(10)

    with pytest.raises(Interrupted) as caught, guarded():
        work()
    assert caught.value.signal == number


def test_another_thread_is_not_guarded() -> None:
    """In a thread, where Python takes no signals, the block just runs."""
    seen = []

    def work() -> None:
        with guarded():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
