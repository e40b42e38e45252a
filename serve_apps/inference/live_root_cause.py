"""What is asked about an incident that happens now, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from serve_apps.inference.disturbances import Disturbances
    from serve_apps.inference.telemetry import Telemetry


class Cause(StrEnum):
    """What kind of thing an incident comes from."""

    NODE = "node"
    LINK = "link"
    OUTSIDE = "outside"  # nothing in the network explains it


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """An incident as it is known at the end of an interval.

    Attributes:
        now: the network in this interval.
        strength: float64 [2 * n_links], how disturbed each direction has been in this incident,
            0 to 1; 0 for what is none of it.
        dark: bool [n_nodes], nodes that have fallen silent in it.
        since: Unix time at which it was opened, s.
        telemetry: gives what was measured in all intervals that are kept.
    """

    now: Disturbances
    strength: NDArray[np.float64]
    dark: NDArray[np.bool_]
    since: float
    telemetry: Callable[[], Telemetry]


@dataclass(frozen=True, slots=True)
class RankedNode:
    """A node that may have caused an incident.

    Attributes:
        node: its id.
        confidence: probability that it did, or that a link of it did; 0 to 1.
    """

    node: str
    confidence: float


@dataclass(frozen=True, slots=True)
class RootCause:
    """What an incident comes from.

    Attributes:
        cause: the most probable kind.
        nodes: those that may be the root, the most probable first.
        link: ids of the two ends of the link that has failed, the end that hears too little first;
            None if it is no link.
        one_way: whether only what that first end hears is lost.
        outside: probability that nothing in the network explains it, 0 to 1.
        by: what has ranked them, such as the name of a model.
    """

    cause: Cause
    nodes: tuple[RankedNode, ...]
    link: tuple[str, str] | None
    one_way: bool
    outside: float
    by: str

    def rank_of(self, nodes: frozenset[str]) -> int | None:
        """From 1: the best place of one of these nodes; None: none of them is listed."""
        places = (at for at, each in enumerate(self.nodes, 1) if each.node in nodes)
        return next(places, None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cause": self.cause.value,
            "nodes": [
                {"node": each.node, "confidence": round(each.confidence, 3)} for each in self.nodes
            ],
            "link": None if self.link is None else list(self.link),
            "one_way": self.one_way,
            "outside": round(self.outside, 3),
            "by": self.by,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """What `as_dict` has told.

        Raises:
            KeyError, TypeError, ValueError: it has told something else.
        """
        return cls(
            Cause(told["cause"]),
            tuple(RankedNode(str(one["node"]), float(one["confidence"])) for one in told["nodes"]),
            None if told["link"] is None else (str(told["link"][0]), str(told["link"][1])),
            bool(told["one_way"]),
            float(told["outside"]),
            str(told["by"]),
        )


class RootCauseRanker(Protocol):
    """Whoever can say what an incident comes from."""

    def rank(self, situation: Situation) -> RootCause:
        """Rank the nodes of an incident.

        Args:
            situation: has at least one direction that is disturbed, or one dark node.
        """
        ...
