"""What others may know of the historian: its name, its options, its answers, its methods.

The historian is the one writer of history. It asks for events and samples, and everything that it
stores is read from disk, see `archive`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from actors.runtime.actor_health import ActorContract

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.history.archive import Archive
    from actors.runtime.daily import DailyTime
    from actors.topology.events import EventPage, EventSource, RecordedPage
    from actors.topology.live import MeshSource
    from actors.topology.provenance import Network
    from actors.topology.samples import SampleSource

HISTORIAN: Final = "historian"
TIMEOUT_S: Final = 5.0  # for an answer
MOST_WAIT_S: Final = 60.0  # longest wait for an event
MOST_EVENTS: Final = 1_000  # of one answer


@dataclass(frozen=True, slots=True)
class Recorded:
    """A network that is recorded.

    Attributes:
        network: which network it is.
        events: who notices what happens in it.
        samples: who knows what is measured in it.
    """

    network: Network
    events: EventSource
    samples: SampleSource


@dataclass(frozen=True, slots=True)
class HistorianOptions:
    """What the historian is started with.

    Attributes:
        archive: where history is kept.
        session: number of the session, the same after each restart of the actor. In another one
            the mesh is another mesh.
        mesh: the emulated mesh; None if there is none.
        recorded: other networks, by the name of the source of their events.
        event_s: how long events are kept, s.
        metric_s: how long metrics are kept, s.
        metric_bytes: size of all metrics, at most.
        log_level: least severe line to log.
        digest_at: when what got worse in a day is told, each day; None: never.
    """

    archive: Archive
    session: int
    mesh: MeshSource | None
    event_s: float
    metric_s: float
    metric_bytes: int
    log_level: str
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    digest_at: DailyTime | None = None


class HistorianContract(ActorContract, Protocol):
    """The methods of the historian."""

    async def report(self, source: str, network: Network, page: EventPage) -> int:
        """Store events that somebody has noticed who keeps none; how many of them are new.

        Args:
            source: who noticed them: `drill`.
            network: which network they are of.
            page: the events; a report that is repeated is stored once.
        """
        ...

    async def events(self, after: int, most: int, wait_s: float) -> RecordedPage:
        """The events of all sources after an event, oldest first; waits until there is one.

        Args:
            after: id of that event; 0: from the first one that is kept.
            most: most events of the answer; no more than `MOST_EVENTS`.
            wait_s: longest wait, s; no longer than `MOST_WAIT_S`. Then the answer has none.
        """
        ...
