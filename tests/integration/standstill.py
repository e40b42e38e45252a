"""Stopping a process for a while: it is not dead, and answers nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

WAIT_S = 60.0


def stop(pid: int) -> None:
    """Send SIGSTOP, and wait until it has stopped.

    One thread takes the signal; on a busy machine the others go on until that one has its turn.
    """
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + WAIT_S
    while not _stands(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.01)


def _stands(pid: int) -> bool:
    threads = [(each / "stat").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    # The state follows the name, which is in brackets and may hold any character.
    return {each.rpartition(")")[2].split()[0] for each in threads} == {"T"}
