"""What holds for all tests: the profile of hypothesis, and a log that each finds as it was.

HYPOTHESIS_PROFILE chooses `default`, or `ci` (more examples).
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadline: two busy cores make single examples slow without anything being wrong.
settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=300,
    print_blob=True,
    derandomize=True,  # a red build is red again on the next machine
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Commands that run in the tests' own process set up its log: that ends with the test."""
    root = logging.getLogger()
    level, before = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for added in [one for one in root.handlers if one not in before]:
        if added.get_name() is not None:  # pytest's own have no name, and come and go
            root.removeHandler(added)
