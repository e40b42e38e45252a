"""What a cluster may have left behind."""

from __future__ import annotations

import os

import psutil


def carrying(temp_dir: str) -> list[psutil.Process]:
    """Living processes whose command line carries `temp_dir`, however they came to be."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if temp_dir in line and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return [process for process in found if process.pid != os.getpid()]
