"""A network namespace that only this thread is in."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET: Final = 0x40000000


@contextlib.contextmanager
def private_namespace() -> Iterator[None]:
    """Be in a new network namespace; it ends with the block, and what is in it.

    Raises:
        OSError: this process may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # Python 3.12 has os.unshare and os.setns
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace can be made")
        try:
            yield
        finally:
            libc.setns(before, _CLONE_NEWNET)
    finally:
        os.close(before)
