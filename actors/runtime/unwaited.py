"""Blocking calls for whose end nobody waits when the program ends.

Ray asks a cluster that is gone for up to a minute. In the threads of an event loop's executor, such
a question would hold up the end of the program as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own; what it returns, or raises.

    If the caller stops waiting, the thread goes on, and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(told: Callable[[], None]) -> None:
        def once() -> None:
            if not answer.done():
                told()

        with contextlib.suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(once)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            failure = error
            settle(lambda: answer.set_exception(failure))
        else:
            settle(lambda: answer.set_result(result))

    threading.Thread(target=run, daemon=True).start()
    return await answer
