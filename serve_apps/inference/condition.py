"""What a condition model judges, from what was measured of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_apps.inference.kept_model import KeptModel
from serve_apps.inference.model_file import Purpose
from serve_apps.inference.node_features import FEATURES, node_features
from serve_apps.inference.node_graph import NEIGHBOUR, NodeGraph
from serve_apps.inference.received_figures import received_figures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from serve_apps.inference.errors import ModelUnusable
    from serve_apps.inference.telemetry import Telemetry


def condition_model(models: Path, told: Callable[[ModelUnusable], object]) -> KeptModel:
    """The condition model of a directory.

    Args:
        models: the directory.
        told: is told of files that cannot be used.
    """
    return KeptModel(models / "condition", Purpose.CONDITION, FEATURES, (NEIGHBOUR,), told)


def node_graph(telemetry: Telemetry) -> NodeGraph:
    """The nodes with their features at the last row, and the links between them."""
    found = node_features(telemetry)
    ends = telemetry.graph.ends
    return NodeGraph(
        telemetry.graph.nodes,
        ends[(ends >= 0).all(axis=1)],
        found.deviations,
        found.values,
        found.normal,
        float(telemetry.times[-1]),
        received_figures(telemetry),
    )
