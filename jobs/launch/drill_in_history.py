"""Has the history say when a drill began and how it ended, where a history is kept."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from actors.runtime import ids
from actors.runtime.errors import Unavailable
from actors.topology.events import EventKind, EventPage, EventSeverity, NetworkEvent
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.mesh.drill.drill_plan import DrillPlan
    from actors.topology.model import Topology

SOURCE: Final = "drill"


@dataclass(frozen=True, slots=True)
class DrillInHistory:
    """One drill, as the history tells it.

    Attributes:
        what: scenario and what fails, with names.
        scenario: the kind of drill.
        nodes: ids of the nodes that fail, and of the ends of failing links.
        network: that is drilled.
    """

    what: str
    scenario: str
    nodes: tuple[str, ...]
    network: Network
    _incarnation: int = field(default_factory=ids.random_id)

    @classmethod
    def of(cls, plan: DrillPlan, topology: Topology) -> Self:
        """The drill of a plan, of the emulated mesh."""
        ends = {int(end) for link in plan.links for end in topology.ends[link]}
        failing = [topology.ids[row] for row in sorted({*plan.nodes, *ends})]
        called = [topology.naming.label(one) if one in topology else one for one in plan.failed]
        some = ", ".join(called[:3]) + (f" and {len(called) - 3} more" if len(called) > 3 else "")
        scenario = plan.scenario.value
        what = f"drill {scenario} of {some}"
        return cls(what, scenario, tuple(failing), Network.EMULATED)

    async def began(self) -> None:
        """Tell that it begins."""
        await self._tell(1, "begin", EventSeverity.INFO, f"{self.what} begins")

    async def ended(
        self, said: str, *, well: bool, healing: tuple[float | None, float] | None = None
    ) -> None:
        """Tell how it ended.

        Args:
            said: a sentence.
            well: whether all went as it must.
            healing: after how long all routes were whole, None: never, and within which time they
                must be, s; None if this drill says nothing of it.
        """
        severity = EventSeverity.INFO if well else EventSeverity.WARNING
        figures = {} if healing is None else {"healed_s": healing[0], "bound_s": healing[1]}
        await self._tell(2, "end", severity, f"{self.what} has ended: {said}", figures)

    async def broken_off(self) -> None:
        """Tell that it was broken off."""
        await self._tell(2, "broken off", EventSeverity.WARNING, f"{self.what} was broken off")

    async def _tell(
        self,
        number: int,
        phase: str,
        severity: EventSeverity,
        what: str,
        figures: Mapping[str, float | None] = MappingProxyType({}),
    ) -> None:
        from actors.history import client

        data = {"phase": phase, "scenario": self.scenario, **figures}
        event = NetworkEvent(
            number, time.time(), EventKind.DRILL, severity, self.nodes, None, what, data
        )
        page = EventPage(self._incarnation, 0, (event,))
        with suppress(Unavailable):  # a private mesh has no history, nor has one under MINIMAL
            await client.report(SOURCE, self.network, page)
