"""How often a root-cause model names the root in simulated meshes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_apps.inference.incident_features import incident_features
from serve_apps.inference.learning import VertexGraph
from serve_apps.inference.mesh_series import series_of
from serve_apps.inference.root_cause import judge, operators
from serve_apps.inference.simulation.examples import roots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serve_apps.inference.model_file import Model
    from serve_apps.inference.simulation.runs import Run
    from serve_apps.inference.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class RootCauseScore:
    """What became of one incident.

    Attributes:
        kind: of the root fault.
        hops: of its cascade.
        rank: place of the root, from 1.
        confidence: share of the node that is named first.
    """

    kind: str
    hops: int
    rank: int
    confidence: float


def score_root_causes(
    model: Model,
    runs: Sequence[Run],
    seen: Callable[[Telemetry], Telemetry] = lambda whole: whole,
) -> list[RootCauseScore]:
    """Ask a root-cause model at the end of each incident, with what is `seen` of it."""
    scores = []
    for run in runs:
        graph, telemetry = VertexGraph.of_nodes(run.telemetry.graph), seen(run.telemetry)
        series, using = series_of(telemetry), operators(graph)
        for planned in run.plans:
            x = incident_features(telemetry, planned.start + 1, planned.end - 1, series).x
            said = judge(model, graph, x, using)
            best = said.nodes[roots_of(run, planned)].max(initial=0.0)
            scores.append(
                RootCauseScore(
                    planned.root.kind.value,
                    len(planned.consequences),
                    1 + int((said.nodes > best).sum()),
                    float(said.nodes.max()),
                )
            )
    return scores
