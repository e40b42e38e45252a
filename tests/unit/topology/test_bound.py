"""How long the mesh may take to agree again."""

from __future__ import annotations

import numpy as np
import pytest

from actors.topology.bound import (
    convergence_bound_s,
    detection_bound_s,
    flood_bound_s,
    mean_detection_s,
)


def test_the_bound_grows_with_hello_and_diameter() -> None:
    """Detection takes 3.5 Hellos and a turn; each hop adds the time of a flood."""
    assert convergence_bound_s(1.0, 0) > 3.5
    assert convergence_bound_s(1.0, 17) <= 4.75
    assert convergence_bound_s(0.2, 17) < convergence_bound_s(1.0, 17)
    hop = flood_bound_s(5) - flood_bound_s(4)
    assert convergence_bound_s(1.0, 5) - convergence_bound_s(1.0, 4) == pytest.approx(hop)
    assert hop > 0.0


@pytest.mark.parametrize(("hello_s", "diameter"), [(0.0, 1), (-1.0, 1), (1.0, -1), (np.nan, 1)])
def test_a_bound_of_nonsense_is_refused(hello_s: float, diameter: int) -> None:
    """Intervals that are not positive and negative diameters have no bound."""
    with pytest.raises(ValueError, match="hello_s > 0"):
        convergence_bound_s(hello_s, diameter)


@pytest.mark.parametrize("hello_s", [0.05, 1.0, 30.0])
def test_mean_detection_is_what_random_moments_give(hello_s: float) -> None:
    """A neighbour silent since a random moment, and a look at a random moment, average to it."""
    draw = np.random.default_rng(1)
    since_hello, until_look = draw.random(100_000), draw.random(100_000)
    hold = 3.5 * hello_s
    look = detection_bound_s(hello_s) - hold
    times = hold - since_hello * hello_s + until_look * look
    assert times.max() <= detection_bound_s(hello_s)
    assert mean_detection_s(hello_s) == pytest.approx(times.mean(), rel=0.01)
