"""Raw features to inputs."""

from __future__ import annotations

import numpy as np
import pytest

from serve_apps.inference.normalisation import Normalisation


def test_a_value_becomes_its_distance_from_normal() -> None:
    """In robust standard deviations: an outlier in what is taken for normal changes little."""
    rng = np.random.default_rng(0)
    normal = rng.normal(50.0, 4.0, size=(4001, 1))
    normal[0] = 1e9
    made = Normalisation.of(normal)
    assert made(np.array([[50.0], [58.0]]))[:, 0] == pytest.approx([0.0, 2.0], abs=0.1)


def test_a_missing_value_is_told_from_a_normal_one() -> None:
    made = Normalisation.of(np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]))
    assert made(np.array([2.0, np.nan])).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_what_is_far_from_normal_is_clipped() -> None:
    made = Normalisation.of(np.arange(5.0)[:, None], clip=3.0)
    assert made(np.array([[1e30], [-np.inf]]))[:, 0].tolist() == [3.0, -3.0]


def test_features_without_spread_or_without_values_have_a_scale() -> None:
    rare = np.zeros(100)
    rare[0] = 10.0
    made = Normalisation.of(np.column_stack([np.full(100, 7.0), np.full(100, np.nan), rare]))
    assert made.centre.tolist() == [7.0, 0.0, 0.0]
    assert made.scale == pytest.approx([1.0, 1.0, rare.std()])
    assert made.scale.dtype == np.float64
