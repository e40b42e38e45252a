"""A whole reply: the answers, the picture, and the mesh that they are about.

The same function serves the actor, for the live mesh, and callers that have a topology.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from actors.twin import named, progress
from actors.twin.answer import answer, failing
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.results import About, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.model import Topology
    from actors.twin.intact import Intact
    from actors.twin.results import ScenarioAnswer
    from actors.twin.scenario import Scenario

    Coordinates = Mapping[str, tuple[float, float]]

_drawing: Final = threading.Lock()  # matplotlib's settings are shared by all threads


def reply(
    scenario: Scenario,
    about: About,
    known: Intact,
    *,
    plot: bool,
    coordinates: Coordinates | None = None,
) -> Reply:
    """Answer all questions of `scenario`, and draw its most important failure.

    Args:
        scenario: the questions.
        about: the mesh.
        known: the intact mesh and its results so far.
        plot: whether to draw.
        coordinates: coordinates of the nodes in the picture; computed if not given.

    Raises:
        UnknownNode: a name belongs to no node.
        AmbiguousNode: a name, or the beginning of one, belongs to several.
        InvalidInput: the scenario does not fit this mesh.
    """
    topology = known.topology
    scenario = named.with_ids(scenario, topology)
    found = answer(scenario, topology, about.hello_s, known)
    names = named.names_in(found, topology)
    if not plot:
        return Reply(about, found, names)
    progress.step("the picture")
    shown = _pictured(scenario, topology, found)
    consequences = found.impact or impact(known, shown)
    from actors.twin.picture import draw  # noqa: PLC0415 - slow to import, and often not needed

    with _drawing:
        picture = draw(
            topology,
            shown,
            consequences,
            positions=coordinates,
            title=_title(scenario, topology, shown),
        )
    return Reply(about, found, names, picture, tuple(shown.names(topology)))


def _pictured(scenario: Scenario, topology: Topology, found: ScenarioAnswer) -> Failure:
    """The failure asked about, or the costliest one in the answer; nothing if there is none."""
    asked = failing(scenario, topology)
    if asked is not None:
        return asked
    if found.random_failures is not None:
        return Failure.called(topology, found.random_failures.worst_failed)
    if found.worst_pairs is not None and found.worst_pairs.pairs:
        worst = found.worst_pairs.pairs[0]
        return Failure.named(topology, [worst.a, worst.b])
    if found.single_failures is not None and found.single_failures.spof_nodes:
        return Failure.named(topology, [found.single_failures.spof_nodes[0].node])
    return Failure.at()


def _title(scenario: Scenario, topology: Topology, shown: Failure) -> str:
    """Empty where the picture's own title says enough."""
    if scenario.fail is not None:
        return scenario.name
    names = shown.labels(topology)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"The costliest failure found: {', '.join(names[:3])}{more}" if names else ""
