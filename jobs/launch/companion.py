"""What every companion of a mesh has: when it is wanted, how it starts, and how it is.

A companion lives beside a mesh, which is started before it and does not need it. Under MINIMAL
there is none. A companion ends with the cluster or the namespace that it lives in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.mesh.contract import MeshOptions
    from jobs.launch.readiness import Progress
    from serve_apps.settings import Settings

    Wait = Callable[[Progress], None]  # returns when it can be used, or raises Unavailable

READY: Final = "ready"
OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class Plan:
    """A mesh that is being launched.

    Attributes:
        settings: what it is launched with.
        options: what its actors are started with.
        own_cluster: a cluster is started for it.
    """

    settings: Settings
    options: MeshOptions
    own_cluster: bool


@dataclass(frozen=True, slots=True)
class State:
    """How one companion is.

    Attributes:
        name: of the companion, or of one actor of it.
        state: "ready", "watching", "starting", "failed", "silent", "off", or other words.
        why: the reason, if there is one.
    """

    name: str
    state: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.why}" if self.why else self.state


@dataclass(frozen=True, slots=True)
class Seen:
    """What is found of a running mesh, of which companions tell how they are.

    Attributes:
        gateway_url: where its gateway should answer; "" without one.
        actors: the state of each actor beside it, by name.
    """

    gateway_url: str = ""
    actors: Mapping[str, State] = field(default_factory=dict)


class Companion(ABC):
    """One kind of companion.

    Attributes:
        name: of the kind, as `x0 status` shows it.
        off: why there is none, if there is none.
        late: whether to start it only after the shards have loaded the map.
    """

    name: ClassVar[str]
    off: ClassVar[str]
    late: ClassVar[bool] = False

    @abstractmethod
    def wanted(self, plan: Plan) -> bool:
        """Whether this mesh is to have one. MINIMAL has been considered already."""

    def prepare(self, plan: Plan) -> Plan:
        """Check and complete the plan before anything is started.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        return plan

    @abstractmethod
    def start(self, plan: Plan) -> Wait | None:
        """Start it in the namespace that this process has joined.

        Returns:
            What waits until it can be used; None if nobody needs to wait.
        """

    def owns(self, _actor: str) -> bool:
        """Whether the actor of this name is of this companion."""
        return False

    def states(self, seen: Seen) -> tuple[State, ...]:
        """How it is: one state for each of its actors."""
        own = tuple(state for name, state in seen.actors.items() if self.owns(name))
        return own or (State(self.name, OFF, self.off),)
