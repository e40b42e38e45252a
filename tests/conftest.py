"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE: `default`, or `ci` (more examples)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

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
