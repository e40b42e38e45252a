"""Progress of long work, reported to a watcher that may end the work.

The core calls `step` between the parts of long work. The watcher may raise an exception, which
ends the work. Without a watcher nothing happens.
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
    """Report the steps of this block, in this thread, to `watcher`.

    Args:
        watcher: called with the name of the step and the share that is done, in [0, 1] or None.
    """
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def step(what: str, share: float | None = None) -> None:
    """Report the step that begins now, or the share of it that is done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, share)
