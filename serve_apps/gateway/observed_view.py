"""The observed network as the gateway last asked for it: one question for all who ask at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from actors.observe import condition
from actors.runtime.errors import Unavailable, X0Error
from serve_apps.gateway.errors import MeshNotReady, NetworkNotWell, NoObserver

if TYPE_CHECKING:
    from actors.observe.contract import LeftOutPage, ObservedNetwork, SourceState
    from actors.runtime.clock import Clock
    from actors.topology.network import Reading

FRESH_S: Final = 2.0  # age of an answer that is given again
LOOK_S: Final = 10.0  # between two looks when nobody asks


class AskObserver(Protocol):
    """Whoever tells of the network, as `actors.observe.client` and `control` do."""

    async def network(self) -> ObservedNetwork:
        """All that is known."""
        ...

    async def network_if_changed(self, known: tuple[int, int]) -> ObservedNetwork | float:
        """All that is known; of a network whose revision still is `known`, only its `at`."""
        ...

    async def sources(self) -> tuple[SourceState, ...]:
        """How each source is."""
        ...

    async def left_out(self, source: str, after: int, most: int) -> LeftOutPage:
        """Records that were not used, or not as they stand."""
        ...

    async def take(self, reading: Reading, *, whole: bool) -> None:
        """Take a reading that was sent."""
        ...

    async def retire(self, node: str) -> None:
        """End the membership of a node."""
        ...


@dataclass(frozen=True, slots=True)
class Observed:
    """What was told at one moment.

    Attributes:
        network: the network.
        sources: how its sources are.
        version: grows with each change of what is told.
    """

    network: ObservedNetwork
    sources: tuple[SourceState, ...]
    version: int


class ObservedView:
    """What is known of the observed network.

    Args:
        observer: whom to ask; None: nobody observes here.
        clock: tells how old an answer is.

    Attributes:
        observer: whom to ask.
        last: the last answer; None before the first.
        error: why the last question had no answer; "" if it had one.
    """

    def __init__(self, observer: AskObserver | None, clock: Clock) -> None:
        self.observer = observer
        self.last: Observed | None = None
        self.error = "the observer has not been asked yet"
        self._clock = clock
        self._told_at = -float("inf")
        self._asking = asyncio.Lock()

    async def now(self, most_s: float = FRESH_S) -> Observed:
        """The network as it was told at most so many seconds ago.

        Raises:
            NoObserver: this session observes no network.
            Unavailable: the observer does not answer, or has just been started.
        """
        observer = self.asked()
        async with self._asking:
            if self.last is not None and self._clock.now() - self._told_at <= most_s:
                return self.last
            try:
                network = await self._network(observer)
                sources = await observer.sources()
            except X0Error as error:
                self.error = str(error)
                raise
            self.error = ""
            self._told_at = self._clock.now()
            last = self.last
            if last is None or (last.network, last.sources) != (network, sources):
                version = 0 if last is None else last.version + 1
                self.last = Observed(network, sources, version)
            assert self.last is not None  # noqa: S101 - set above
            return self.last

    async def _network(self, observer: AskObserver) -> ObservedNetwork:
        """The network; one of thousands of nodes is told only if it has changed."""
        if self.last is None:
            return await observer.network()
        told = await observer.network_if_changed(self.last.network.revision)
        return replace(self.last.network, at=told) if isinstance(told, float) else told

    def asked(self) -> AskObserver:
        """Whom to ask.

        Raises:
            NoObserver: this session observes no network.
        """
        if self.observer is None:
            raise NoObserver
        return self.observer

    def troubles(self) -> tuple[str, ...]:
        """Why what is known is not to be trusted as it stands.

        Raises:
            MeshNotReady: nothing is known yet.
        """
        if self.last is None:
            raise MeshNotReady(f"waiting for the observer: {self.error}")
        found = condition.troubles(self.last.network, self.last.sources)
        return (f"the observer does not answer: {self.error}", *found) if self.error else found

    def check(self) -> None:
        """Tell whether the network is known as it should be.

        Raises:
            MeshNotReady: nothing is known yet.
            NetworkNotWell: a source failed, is held or stale, or no node is up.
        """
        if found := self.troubles():
            raise NetworkNotWell(found)

    async def follow(self) -> None:
        """Look again and again, for those who do not ask themselves: readiness and metrics."""
        while True:
            try:
                await self.now(0.0)
            except Unavailable:
                pause_s = FRESH_S
            else:
                pause_s = LOOK_S
            await asyncio.sleep(pause_s if self.last is not None else 0.5)
