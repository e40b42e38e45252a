"""The commands: every module here runs as `python -m jobs.NAME`, by Ray, and as `x0 NAME`.

`launch/` starts and finds meshes for them; `terminal/` prints for them.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def _leave(number: int, _frame: FrameType | None) -> None:
    # Not by an exception: whatever is being imported would turn it into a traceback.
    os.write(2, b"error: interrupted: nothing was started.\n")
    os._exit(128 + number)


# A command takes a second to import, before it can guard itself (`launch.interruption`). Where this
# package is a library, as in a notebook, signals are left alone. `-m` is there while Python looks
# for the module that it is to run.
if sys.argv[:1] == ["-m"] or os.path.basename((sys.argv or [""])[0]) == "x0":  # noqa: PTH119 - pathlib takes time to import
    signal.signal(signal.SIGINT, _leave)
