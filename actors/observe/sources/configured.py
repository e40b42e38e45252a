"""What every source can be told: how often it is asked, and to which community its nodes belong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.observe.contract import RecallingSource
from actors.runtime.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.observe.contract import ReadingSource
    from actors.observe.sources.source_spec import SourceSpec
    from actors.runtime.clock import Clock
    from actors.topology.network import NetworkNode, Reading


class ConfiguredSource:
    """A source as it was specified.

    Args:
        source: the source itself.
        spec: with its options.
        clock: tells when it may be asked again.

    Attributes:
        name: the source as logs may show it; its readings are named so too.
        interval_s: least time between two polls, s.
    """

    def __init__(self, source: ReadingSource, spec: SourceSpec, clock: Clock | None = None) -> None:
        self.name = source.name
        self.kind = source.kind
        self._source = source
        self.interval_s = spec.interval_s
        self._community = spec.community
        self._clock = clock or SystemClock()
        self._asked_at = -math.inf

    def recall(self, nodes: Mapping[str, NetworkNode]) -> None:
        """See `RecallingSource`."""
        if isinstance(self._source, RecallingSource):
            self._source.recall(nodes)

    async def poll(self) -> Reading | None:
        """Ask the source; None if it says the same as before, or is not to be asked yet.

        Raises:
            X0Error: there is no answer, or it cannot be read at all.
        """
        now = self._clock.now()
        # A little early is not too early: polls are never exactly apart.
        if now - self._asked_at < 0.95 * self.interval_s:
            return None
        reading = await self._source.poll()
        self._asked_at = now  # after one that failed, it is asked again at once
        if reading is None:
            return None
        nodes = reading.nodes
        if self._community:
            nodes = tuple(
                node if node.domain else replace(node, domain=self._community) for node in nodes
            )
        return replace(reading, source=self.name, nodes=nodes)
