"""The public part of the twin's actor: its name, its options, and its method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from actors.runtime.actor_health import ActorContract
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Collection

    from actors.topology.live import DescribedMesh
    from actors.twin.results import Reply
    from actors.twin.scenario import Scenario

TWIN: Final = "twin"  # of the emulated mesh, or without one of the observed network
OBSERVED_TWIN: Final = "twin-observed"  # of the observed network, beside that of an emulated mesh
LONGEST_S: Final = 3600.0  # longest time for one question


def twins(networks: Collection[Network]) -> dict[Network, str]:
    """The name of the twin of each network of a session.

    The first is of the one that is meant where none is named: the emulated mesh, if there is one.
    """
    if Network.EMULATED not in networks:
        return {Network.OBSERVED: TWIN} if Network.OBSERVED in networks else {}
    beside = {Network.OBSERVED: OBSERVED_TWIN} if Network.OBSERVED in networks else {}
    return {Network.EMULATED: TWIN, **beside}


@dataclass(frozen=True, slots=True)
class TwinOptions:
    """What a twin is started with.

    Attributes:
        source: the mesh to mirror.
        hello_s: interval between Hellos, s.
        log_level: least severe line to log.
        name: of the actor.
    """

    source: DescribedMesh
    hello_s: float
    log_level: str
    name: str = TWIN


class TwinContract(ActorContract, Protocol):
    """The methods of the twin."""

    async def ask(self, scenario: Scenario, plot: bool, limit_s: float) -> Reply:  # noqa: FBT001 - a remote call
        """Answer all questions of a scenario, and draw the failure if `plot`.

        Raises:
            Unavailable: the mesh is not known yet, or too many questions are under way.
            InvalidInput: the scenario does not fit this mesh, or takes longer than `limit_s`.
            UnknownNode: a name belongs to no node.
        """
        ...
