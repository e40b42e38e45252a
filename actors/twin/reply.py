"""A whole reply: the answers, the picture, and the mesh that they are about.

The same function serves the actor, for the live mesh, and callers that have a topology.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actors.twin import progress
from actors.twin.answer import answer, failing
from actors.twin.failure import Failure
from actors.twin.impact import impact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.model import Topology
    from actors.twin.answer import ScenarioAnswer
    from actors.twin.intact import Intact
    from actors.twin.scenario import Scenario

    Coordinates = Mapping[str, tuple[float, float]]

_drawing: Final = threading.Lock()  # matplotlib's settings are shared by all threads


@dataclass(frozen=True, slots=True)
class About:
    """The mesh that a reply is about.

    Attributes:
        live: True for the running mesh as its nodes know it, False for a map.
        source: source of its map, without credentials.
        nodes, links: number of nodes and links; of the live mesh, only links that are up.
        links_down: number of links of the map that are not up in the live mesh.
        hello_s: interval between Hellos, s; a scenario may name another.
        revision: version of the live mesh's membership; None for a map.
        age_s: time since the live mesh was last polled, s; None for a map.
    """

    live: bool
    source: str
    nodes: int
    links: int
    links_down: int
    hello_s: float
    revision: int | None = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with its mesh.

    Attributes:
        about: the mesh.
        answer: the answers to all questions of the scenario.
        picture: the picture as PNG, if it was asked for.
        pictured: what fails in the picture.
    """

    about: About
    answer: ScenarioAnswer
    picture: bytes | None = None
    pictured: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without the picture."""
        shown = {name: getattr(self.about, name) for name in About.__slots__}
        return {"mesh": shown, **self.answer.as_dict()}


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
        InvalidInput: the scenario does not fit this mesh.
    """
    topology = known.topology
    found = answer(scenario, topology, about.hello_s, known)
    if not plot:
        return Reply(about, found)
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
    return Reply(about, found, picture, tuple(shown.names(topology)))


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
    names = shown.names(topology)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"The costliest failure found: {', '.join(names[:3])}{more}" if names else ""
