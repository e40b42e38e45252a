"""Counts and logs what the protection against lying nodes finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime import log

if TYPE_CHECKING:
    from actors.runtime.metrics import Metrics

_LABELS: Final = ("shard",)
_WORDS: Final = {
    "quarantined": "a node has told two stories and is in quarantine",
    "cleared": "a node has another key and is out of quarantine",
    "suspected": "more neighbours than there are liars suspect a node: none of its links counts",
    "unsuspected": "a node is suspected by too few now: its links count again",
    "forgery": "a node has passed on what its origin has not said",
}

_log = log.get(__name__)


class ByzantineWatch:
    """What one shard makes known of its protection.

    Args:
        shard: its name.
        metrics: where it is counted.
    """

    def __init__(self, shard: str, metrics: Metrics) -> None:
        self._shard = shard
        prefix = "x0tta6bl4_byzantine_"
        self._counters = {
            "believed": metrics.counter(
                prefix + "believed_total", "Advertisements whose signature was good", _LABELS
            ),
            "forged": metrics.counter(
                prefix + "forged_total", "Advertisements whose signature was not good", _LABELS
            ),
            "malformed": metrics.counter(
                prefix + "malformed_total",
                "Advertisements of a form that no honest node gives them",
                _LABELS,
            ),
        }
        self._quarantined = metrics.gauge(
            prefix + "quarantined_nodes", "Nodes none of whose links counts", _LABELS
        )
        self._waiting = metrics.gauge(
            prefix + "waiting_claims", "Advertisements that wait for their check", _LABELS
        )
        self._before = dict.fromkeys(self._counters, 0)

    def happened(self, kind: str, node: str, other: str) -> None:
        """Something was found out about a node."""
        _log.warning(_WORDS[kind], node=node, **({"told_by": other} if other else {}))

    def publish(self, counted: dict[str, int], *, quarantined: int, waiting: int) -> None:
        """Export what has been counted since the start, and the present state."""
        for name, counter in self._counters.items():
            counter.inc(counted[name] - self._before[name], shard=self._shard)
        self._before = dict(counted)
        self._quarantined.set(float(quarantined), shard=self._shard)
        self._waiting.set(float(waiting), shard=self._shard)
