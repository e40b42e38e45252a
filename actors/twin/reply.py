"""A whole reply: what was asked, answered, drawn, and said which mesh it is about.

The same function serves the actor, for the live mesh, and whoever has a topology at hand.
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

_drawing: Final = threading.Lock()  # matplotlib's settings are the process's


@dataclass(frozen=True, slots=True)
class About:
    """The mesh that a reply is about.

    Attributes:
        live: the running mesh as its nodes know it, and not a map.
        source: of its map, without credentials.
        nodes, links: of the mesh; of the live one, links that are up.
        links_down: of the live mesh, links of the map that are not up.
        hello_s: interval between Hellos, s; a scenario may name another.
        revision: of the live mesh's membership; None of a map.
        age_s: since the live mesh was last looked at, s; None of a map.
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
        answer: to every question of the scenario.
        picture: PNG, if it was asked for.
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
    """Ask everything that `scenario` asks, and draw the failure that matters most in it.

    Args:
        scenario: the questions.
        about: the mesh.
        known: the same mesh, intact.
        plot: whether to draw.
        coordinates: of the nodes in the picture; computed if not given.

    Raises:
        UnknownNode: a name is of no node.
        InvalidInput: the scenario cannot be asked of this mesh.
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
