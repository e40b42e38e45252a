"""The health of an actor, in a form that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["starting", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ActorHealth:
    """The present health of an actor.

    Attributes:
        state: state of the actor; `failed`: alive, but without work until `why` is corrected.
        why: reason for waiting or failing; of an actor that is ready, what of its work fails now,
            empty if nothing does.
        incarnation: a random number, another one after each restart.
        pid: id of the actor's process.
    """

    state: State
    why: str
    incarnation: int
    pid: int


class ActorContract(Protocol):
    """The methods that every actor of the project has."""

    async def health(self) -> ActorHealth:
        """The health of the actor. Answers also while it starts and after it has failed."""
        ...
