"""What every companion of a session has: when it is wanted, how it starts, and how it is.

A companion lives beside an emulated mesh, which does not need it, or without one. Under MINIMAL
there is none. A companion ends with the cluster or the namespace that it lives in.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Final, Self

from actors.runtime.errors import Unavailable
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from actors.mesh.contract import MeshOptions
    from actors.observe.contract import ObserverOptions
    from actors.topology.live import DescribedMesh
    from jobs.launch.readiness import Progress
    from serve_apps.settings import Settings

    # Returns when it can be used, or raises Unavailable; StillStarting: it can be called again.
    Wait = Callable[[Progress], None]

READY: Final = "ready"
STARTING: Final = "starting"
OFF: Final = "off"
STARTER: Final = "starter"  # name of the actor that starts those that nobody waits for


class Stage(Enum):
    """When a companion is started, in this order; the mesh begins after the first stage."""

    FIRST = auto()  # what the others need
    BESIDE = auto()  # while the shards load the map
    LATE = auto()  # after they have loaded it: earlier it would only delay them
    LAST = auto()  # when all others have been started
    BEHIND = auto()  # when these can be used; always by the starter, as nobody waits for it


LATER: Final = (Stage.BESIDE, Stage.LAST, Stage.BEHIND)  # without a mesh: by the starter


class StillStarting(Unavailable):
    """It cannot be used yet, on a busy machine; nothing of it has failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A session that is being launched.

    Attributes:
        settings: what it is launched with.
        mesh: what the actors of its emulated mesh are started with; None: there is no such mesh.
        own_cluster: a cluster is started for it.
        observer: what its observer is started with; None: no network is observed.
        began_at: Unix time of the launch, s.
    """

    settings: Settings
    mesh: MeshOptions | None
    own_cluster: bool
    observer: ObserverOptions | None = None
    began_at: float = field(default_factory=time.time)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that can be asked about in this session."""
        there = {Network.EMULATED: self.mesh, Network.OBSERVED: self.observer}
        return tuple(network for network, options in there.items() if options is not None)

    @property
    def watched(self) -> DescribedMesh:
        """What companions watch: the emulated mesh, or without one the observed network."""
        if self.mesh is not None:
            from actors.mesh.live_source import LiveSource

            return LiveSource()
        from actors.observe.observed_source import ObservedSource

        return ObservedSource()


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
    """What is found of a running session, of which companions tell how they are.

    Attributes:
        gateway_url: where its gateway should answer; "" without one.
        actors: the state of each actor that is none of the mesh's, by name.
        wanted: names of the companions that it is to have.
    """

    gateway_url: str = ""
    actors: Mapping[str, State] = field(default_factory=dict)
    wanted: Collection[str] = ()


class Companion(ABC):
    """One kind of companion.

    Attributes:
        name: of the kind, as `x0 status` shows it.
        off: why there is none, if there is none.
        stage: when it is started.
    """

    name: ClassVar[str]
    off: ClassVar[str]
    stage: ClassVar[Stage] = Stage.LATE

    @abstractmethod
    def wanted(self, plan: Plan) -> bool:
        """Whether this session is to have one. MINIMAL has been considered already."""

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

    def load(self) -> None:  # noqa: B027 - most have nothing to do
        """Import what `start` imports, if that takes time. Needs no cluster."""

    def owns(self, _actor: str) -> bool:
        """Whether the actor of this name is of this companion."""
        return False

    def states(self, seen: Seen) -> tuple[State, ...]:
        """How it is: one state for each of its actors."""
        own = tuple(state for name, state in seen.actors.items() if self.owns(name))
        return own or (self.not_there(seen),)

    def not_there(self, seen: Seen) -> State:
        """How it is while there is nothing of it: still to be started, or off."""
        return self.by_starter(seen) or State(self.name, OFF, self.off)

    def by_starter(self, seen: Seen) -> State | None:
        """How it is as the starter says; None: there is none, or it says nothing about it."""
        starter = seen.actors.get(STARTER)
        if starter is None or not Rest.tells(starter.why, self.name):
            return None
        return State(self.name, starter.state, starter.why)

    def by_answer(self, seen: Seen, answer: State) -> State:
        """How it is, if this is its own answer: until it is ready, its starter knows more."""
        return answer if answer.state == READY else self.by_starter(seen) or answer


_REST: Final = "still to be started: "


@dataclass(frozen=True, slots=True)
class Rest:
    """Companions of a session that are still to be started.

    Attributes:
        plan: the session.
        companions: in the order in which they are to be started.
    """

    plan: Plan
    companions: tuple[Companion, ...]

    @classmethod
    def of(cls, plan: Plan, companions: Iterable[Companion]) -> Self | None:
        """Those, the latest stage last; None if there are none."""
        inorder = tuple(sorted(companions, key=lambda each: LATER.index(each.stage)))
        needed = replace(plan, settings=plan.settings.for_orders())  # it goes to an actor
        return cls(needed, inorder) if inorder else None

    @property
    def why(self) -> str:
        """What is still to be done."""
        return _REST + ", ".join(each.name for each in self.companions)

    @staticmethod
    def tells(why: str, name: str) -> bool:
        """Whether these words, those of `why` or reasons by name, are about this companion."""
        names, _, reasons = why.removeprefix(_REST).partition("; ")
        rest = names.split(", ") if why.startswith(_REST) else []
        return name in rest or f"{name}: " in (reasons if rest else why)
