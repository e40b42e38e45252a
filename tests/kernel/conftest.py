"""Tests here make network namespaces of their own, with real daemons in them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

COMMANDS = str(Path(__file__).parent.parent / "integration")
if COMMANDS not in sys.path:
    sys.path.append(COMMANDS)  # of the module that runs `x0` as a process


@pytest.fixture(autouse=True)
def _can_make_namespaces() -> None:
    """Skip where such a network cannot be made."""
    missing = [name for name in ("babeld", "ip", "nft") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"a laboratory needs root and {', '.join(missing) or 'nothing else'}")
