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


@pytest.mark.parametrize("again_s", [0.0, 0.01])
@pytest.mark.parametrize("number", interruption.SIGNALS)
def test_an_exception_that_python_cannot_hand_on_is_raised_again(
    number: signal.Signals, again_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the callback of a weak reference the exception is lost, but not the signal.

    Nor if it comes again before the hook has ended that noticed it.
    """
    monkeypatch.setattr(interruption, "_AGAIN_S", again_s)

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


@pytest.mark.parametrize("number", interruption.SIGNALS)
@pytest.mark.parametrize("where", ["task", "beside"])
def test_a_clean_up_still_has_its_other_tasks(number: signal.Signals, where: str) -> None:
    """`run` cancels the coroutine alone, wherever the signal comes; what it waits for works on."""
    cleaned: list[str] = []

    async def serve(asked: asyncio.Event, answer: asyncio.Future[str]) -> None:
        if where == "beside":
            signal.raise_signal(number)
        await asked.wait()
        await asyncio.sleep(0.01)
        answer.set_result("served")

    async def work() -> None:
        asked, answer = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(asked, answer))
        try:
            if where == "task":
                signal.raise_signal(number)
            await asyncio.sleep(30)
        finally:
            signal.raise_signal(signal.SIGINT)  # a second one does not disturb
            asked.set()
            cleaned.append(await answer)
            await serving

    with pytest.raises(Interrupted) as caught, guarded():
        interruption.run(work())
    assert (cleaned, caught.value.signal) == (["served"], number)


def test_a_signal_at_the_last_moment_is_not_lost() -> None:
    """A coroutine that ends all the same, with a result or an error, has been interrupted."""

    async def ends() -> int:
        signal.raise_signal(signal.SIGTERM)
        return 1

    async def fails() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(30)
        finally:
            raise LookupError("the clean-up failed")
        return 1

    with pytest.raises(Interrupted), guarded():
        interruption.run(ends())
    with pytest.raises(LookupError), guarded():
        interruption.run(fails())


def test_without_a_guard_it_just_runs() -> None:
    """In a thread or outside of a command, a coroutine is run and its result given."""

    async def work() -> int:
        await asyncio.sleep(0)
        return 3

    assert interruption.run(work()) == 3
    with guarded():
        assert interruption.run(work()) == 3
