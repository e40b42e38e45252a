"""How far long work has come, told to whoever started it, who may end it there.

The core calls `step` between the parts of long work; who watches may raise in it, and what it
raises ends the work. Without a watcher nothing happens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Watcher: TypeAlias = Callable[[str, float | None], None]

_watcher: ContextVar[Watcher | None] = ContextVar("_watcher", default=None)


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have `watcher` told of the steps of this block, in this thread.

    Args:
        watcher: called with what is being done, and which share of it is: in [0, 1], or None.
    """
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def step(what: str, share: float | None = None) -> None:
    """Say what comes next, or which share of it is done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, share)
