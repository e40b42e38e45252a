"""Samples of a network that is made up, and what is judged of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.topology.samples import LINK_FIGURES, LinkSamples, NetworkSample, NodeSamples
from serve_apps.inference.evidence_ranking import EvidenceRanker
from serve_apps.inference.incident_watch import IncidentWatch, Outcome
from serve_apps.inference.neighbour_traffic import HalfTraffic

if TYPE_CHECKING:
    from serve_apps.inference.incidents import HalfLink

INTERVAL_S = 10.0


@dataclass
class Looks:
    """A network whose links lose what is said here, and whose watch judges it.

    Attributes:
        links: pairs of ids, each in ascending order.
        quality: of a direction, "a>b" of what b hears of a; 1 where nothing is said.
        down: links that do not carry.
        silent: nodes that nobody hears.
        unknown: links of which nothing is known.
        noise: standard deviation of all qualities.
        received: packets/s that a host counts at these half-links, of routing daemons alone.
    """

    links: list[tuple[str, str]]
    quality: dict[str, float] = field(default_factory=dict)
    down: set[tuple[str, str]] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    noise: float = 0.0
    received: dict[HalfLink, float] = field(default_factory=dict)
    per_interval: int = 4
    watch: IncidentWatch = field(default_factory=lambda: IncidentWatch(EvidenceRanker()))
    at: float = 1_000.0

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(1)

    @property
    def nodes(self) -> list[str]:
        return sorted({end for link in self.links for end in link})

    def sample(self) -> NetworkSample:
        states = []
        columns: list[tuple[float, float]] = []
        for a, b in self.links:
            away = (a, b) in self.down or a in self.silent or b in self.silent
            states.append("unknown" if (a, b) in self.unknown else "down" if away else "up")
            known = states[-1] == "up"
            pair = self.quality.get(f"{a}>{b}", 1.0), self.quality.get(f"{b}>{a}", 1.0)
            ab, ba = (
                float(min(1, max(0, one + self._random.normal(0, self.noise)))) for one in pair
            )
            columns.append((ab, ba) if known else (np.nan, np.nan))
        quality = np.array(columns).reshape(-1, 2)
        figures = dict(
            zip(LINK_FIGURES, [*quality.T, *(1 / np.maximum(quality, 0.01)).T], strict=True)
        )
        nodes = self.nodes
        heard = tuple("silent" if node in self.silent else "up" for node in nodes)
        a, b = (tuple(column) for column in zip(*self.links, strict=True))
        return NetworkSample(
            NodeSamples(tuple(nodes), ("",) * len(nodes), heard, {}),
            LinkSamples(a, b, ("wifi",) * len(a), tuple(states), figures),
        )

    def interval(self, count: int = 1) -> Outcome:
        """Let intervals pass; the outcome of the last one."""
        outcome = Outcome(None)
        for _ in range(count):
            for _ in range(self.per_interval):
                self.watch.look(self.sample())
            self.at += INTERVAL_S
            outcome = self.watch.close(self.at, self.traffic())
        return outcome

    def traffic(self) -> dict[HalfLink, HalfTraffic]:
        """What hosts have received in an interval."""
        return {
            half: HalfTraffic(100 * rate, rate, rate, math.nan, 0.5, INTERVAL_S)
            for half, rate in self.received.items()
        }

    def kill(self, node: str) -> None:
        self.silent.add(node)


def grid(side: int = 4) -> list[tuple[str, str]]:
    """Links of a grid; nodes are called by row and column, as n02."""
    links = []
    for row in range(side):
        for column in range(side):
            if column + 1 < side:
                links.append((f"n{row}{column}", f"n{row}{column + 1}"))
            if row + 1 < side:
                links.append((f"n{row}{column}", f"n{row + 1}{column}"))
    return links
