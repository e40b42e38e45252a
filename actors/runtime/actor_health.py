"""How an actor is, in the words that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["starting", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class ActorHealth:
    """How an actor is, now.

    Attributes:
        state: `failed` means that it lives and cannot do its work until `why` is mended.
        why: what it waits for or failed at; empty when it is ready.
        incarnation: a random number, another one after each restart.
        pid: of its process.
    """

    state: State
    why: str
    incarnation: int
    pid: int


class ActorContract(Protocol):
    """What every actor of the project answers."""

    async def health(self) -> ActorHealth:
        """How it is. Answers also while it starts and after it has failed."""
        ...
