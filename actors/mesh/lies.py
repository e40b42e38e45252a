"""Nodes that lie, for drills and the simulator: what their advertisements and frames then say.

A drill has a node of the running mesh tell some of these lies; `lying_host` tells all, and more.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.mesh.sync import SyncFrame
    from actors.topology.advertisement import Lsa
    from actors.topology.model import Topology

LEAST_COST = 1  # of a link that a liar praises: far below that of a perfect one


class Lie(StrEnum):
    """What a node may lie about."""

    LINKS = "links"  # it has every link of the map, each at the least cost
    STORIES = "stories"  # another story for others
    REPLAY = "replay"  # old advertisements of others, again and again


def praised(lsa: Lsa, topology: Topology) -> Lsa:
    """The advertisement with every link that the map gives the node, each at the least cost."""
    indptr, links = topology.out_links
    out = links[indptr[lsa.origin] : indptr[lsa.origin + 1]]
    neighbours = tuple(np.unique(topology.link_target[out]).tolist())
    return replace(lsa, neighbours=neighbours, costs=(LEAST_COST,) * len(neighbours))


def other_story(lsa: Lsa) -> Lsa:
    """What contradicts an advertisement: the same stamp, without the last link."""
    return replace(lsa, neighbours=lsa.neighbours[:-1], costs=lsa.costs[:-1])


class Archive:
    """Old advertisements of others, to be told again.

    Args:
        most: number of advertisements in one frame.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._old: dict[int, Lsa] = {}

    def keep(self, lsas: Iterable[Lsa]) -> None:
        """Keep the first that was heard of each origin."""
        for lsa in lsas:
            self._old.setdefault(lsa.origin, lsa)

    def retold(self, frame: SyncFrame) -> SyncFrame:
        """The frame with old advertisements before its news."""
        old = tuple(self._old.values())[: self._most]
        return replace(frame, lsas=(*old, *frame.lsas))
