"""How many examples a property test draws, relative to what the profile of hypothesis says.

A number of its own would be the same in every profile.
"""

from __future__ import annotations

from hypothesis import settings


def share(part: float) -> int:
    """This part of the examples that the profile has, for a test whose examples take long."""
    return max(1, round(settings().max_examples * part))
