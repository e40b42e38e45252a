"""What the incidents of a drill are traced to, as it is found without knowing what was broken.

The same that follows a running network (`serve_apps.inference.live_loop`) follows it here, from
before the fault, in the process of the drill: a private mesh has nobody else who would.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from actors.runtime import log
from actors.runtime.errors import Unavailable
from actors.runtime.metrics import MemoryMetrics
from actors.topology import naming
from actors.topology.events import EventKind
from serve_apps.inference.disturbances import SETTLING
from serve_apps.inference.learnt_ranking import ranker_of
from serve_apps.inference.live_loop import LiveLoop
from serve_apps.inference.live_root_cause import RootCause
from serve_apps.inference.settings import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from actors.topology.events import EventPage, NetworkEvent
    from actors.topology.provenance import Network
    from serve_apps.inference.errors import ModelUnusable
    from serve_apps.inference.live_loop import LiveOptions
    from serve_apps.inference.looking import NetworkLooks

PROMISED: Final = 2  # intervals within which the root is to be named
PATIENCE: Final = 20  # intervals in which it must be known what is usual
_STEP_S: Final = 0.05
_LISTED: Final = 3  # nodes that a line names


@dataclass(frozen=True, slots=True)
class FoundCause:
    """The root cause that was found.

    Attributes:
        root: what was said last within the promised time; None: nothing was noticed.
        rank: of what failed, or of an end of it, in that, from 1; None: it is not listed.
        after_s: time from the fault to the first answer that has it first, s; None: there is none.
        interval_s: time between two judgements, s.
    """

    root: RootCause | None
    rank: int | None
    after_s: float | None
    interval_s: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rank": self.rank,
            "after_s": None if self.after_s is None else round(self.after_s, 3),
            "interval_s": self.interval_s,
            "found": None if self.root is None else self.root.as_dict(),
        }

    def in_words(self, label: Callable[[str], str]) -> str:
        """For people.

        Args:
            label: what a node is called.
        """
        limit = f"within {PROMISED} intervals of {self.interval_s:g} s"
        if self.root is None:
            return f"nothing was noticed {limit}"
        if self.root.link is not None:
            first = f"link {naming.link_label(*map(label, self.root.link))}"
        else:
            first = ", ".join(
                f"{label(each.node)} {each.confidence:.0%}" for each in self.root.nodes[:_LISTED]
            )
        if self.rank == 1 and self.after_s is not None:
            return f"{first}; what failed is first, after {self.after_s:.1f} s"
        place = "not listed" if self.rank is None else f"number {self.rank}"
        return f"{first}; what failed is {place}"


class RootCauseWatch:
    """Follows a network while it is entered, with the shipped models.

    Args:
        options: which, and how often it is judged.
        looks: looks at it.

    Attributes:
        events: of incidents, as they have been told.
    """

    def __init__(self, options: LiveOptions, looks: NetworkLooks) -> None:
        self._options = options
        self.events: list[NetworkEvent] = []
        self._loop = LiveLoop(
            options, looks, ranker_of(SHIPPED, _warn), self._keep, MemoryMetrics()
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._loop.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self, source: str, network: Network, page: EventPage) -> int:
        del source, network
        self.events += page.events
        return len(page.events)

    async def settled(self) -> None:
        """Wait until it is known what is usual.

        Raises:
            Unavailable: the network cannot be seen for long.
        """
        deadline = time.monotonic() + PATIENCE * self._options.interval_s
        await self._until(lambda: self._loop.judged >= SETTLING or time.monotonic() > deadline)
        if self._loop.judged < SETTLING:
            raise Unavailable(
                "the network cannot be watched",
                self._loop.failing or "it has not been seen yet",
                "See `x0 status`.",
                retry_after_s=self._options.interval_s,
            )

    async def pass_intervals(self, count: int) -> None:
        """Wait for so many intervals more."""
        enough = self._loop.judged + count
        await self._until(lambda: self._loop.judged >= enough)

    async def calm(self) -> None:
        """Wait until no incident is open."""
        await self._until(lambda: not self._loop.open)

    async def found(self, failed: Collection[str], fault_at: float) -> FoundCause:
        """The same as `found_since`, by the other clock.

        Args:
            failed: ids of the node that failed, or of the ends of links.
            fault_at: when, on the monotonic clock, s.
        """
        began = time.time() - (time.monotonic() - fault_at)
        return await self.found_since(failed, began)

    async def found_since(self, failed: Collection[str], began: float) -> FoundCause:
        """What is found of a fault; waits for the promised time.

        Args:
            failed: ids of the node that failed, or of the ends of links.
            began: when, Unix time, s.
        """
        deadline = began + PROMISED * self._options.interval_s
        await self._until(lambda: time.time() > deadline)
        return found(self.events, {*failed}, began, self._options.interval_s)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._task is not None and self._task.done():
                await self._task  # raises what has ended it
            await asyncio.sleep(_STEP_S)


def found(
    events: Collection[NetworkEvent], failed: set[str], began: float, interval_s: float
) -> FoundCause:
    """What events say of a fault.

    Where several incidents were opened, the one counts that touches most.

    Args:
        events: of incidents, in their order.
        failed: ids of the node that failed, or of the ends of links.
        began: Unix time of the fault, s.
        interval_s: time between two judgements, s.
    """
    limit = began + PROMISED * interval_s
    named = [event for event in events if event.kind in _NAMING and began < event.at <= limit]
    size: dict[str, int] = {}
    last: dict[str, RootCause] = {}
    after_s: dict[str, float] = {}
    for event in named:
        incident, root = event.data["incident"], RootCause.of(event.data["root"])
        size[incident] = event.data["links_disturbed"] + len(event.data["silent"])
        last[incident] = root
        if root.rank_of(frozenset(failed)) == 1:
            after_s.setdefault(incident, event.at - began)
    if not last:
        return FoundCause(None, None, None, interval_s)
    main = max(last, key=lambda one: size[one])
    rank = last[main].rank_of(frozenset(failed))
    return FoundCause(last[main], rank, after_s.get(main), interval_s)


_NAMING: Final = (EventKind.INCIDENT_OPENED, EventKind.INCIDENT_CHANGED)


def _warn(error: ModelUnusable) -> None:
    log.get(__name__).warning(str(error))
