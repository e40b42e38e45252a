"""Events and samples for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.topology.events import EventKind, EventPage, EventSeverity, NetworkEvent
from actors.topology.samples import LINK_FIGURES, LinkSamples, NetworkSample, NodeSamples

HOUR = 1_764_000_000 // 3600 * 3600  # Unix time, s


def event(
    number: int,
    at: float = HOUR,
    kind: EventKind = EventKind.NODE_SILENT,
    severity: EventSeverity = EventSeverity.WARNING,
    nodes: tuple[str, ...] = ("a",),
    link: tuple[str, str] | None = None,
    what: str = "node a is silent",
    **data: Any,
) -> NetworkEvent:
    return NetworkEvent(number, at, kind, severity, nodes, link, what, data)


class Source:
    """Keeps events, of which the oldest may be forgotten."""

    def __init__(self, events: list[NetworkEvent], incarnation: int = 7) -> None:
        self.kept = events
        self.incarnation = incarnation

    async def events(self, after: int, most: int) -> EventPage:
        first = self.kept[0].number if self.kept else after + 1
        following = [one for one in self.kept if one.number > after]
        return EventPage(self.incarnation, max(0, first - 1 - after), tuple(following[:most]))


def sample(
    qualities: dict[tuple[str, str], float], *, silent: str = "", **figures: list[float]
) -> NetworkSample:
    """A network with these links, both directions of one quality, and figures of its nodes."""
    pairs = sorted(qualities)
    ids = tuple(sorted({end for pair in pairs for end in pair}))
    quality = np.array([qualities[pair] for pair in pairs], float)
    columns = (quality, quality, 1 / quality, 1 / quality)
    return NetworkSample(
        NodeSamples(
            ids,
            tuple(f"node-{one}" for one in ids),
            tuple("silent" if one in silent else "up" for one in ids),
            {name: np.array(values, float) for name, values in figures.items()},
        ),
        LinkSamples(
            tuple(a for a, _ in pairs),
            tuple(b for _, b in pairs),
            ("wifi",) * len(pairs),
            ("up",) * len(pairs),
            dict(zip(LINK_FIGURES, columns, strict=True)),
        ),
    )
