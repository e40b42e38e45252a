"""Counts, logs and alerts what the protection against lying nodes finds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from actors.runtime import log
from actors.runtime.alerting import Alert, AlertName, raise_alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.metrics import Metrics

_LABELS: Final = ("shard",)
_WORDS: Final = {
    "quarantined": "a node has told two stories and is in quarantine",
    "cleared": "a node has another key and is out of quarantine",
    "suspected": "more neighbours than there are liars suspect a node: none of its links counts",
    "unsuspected": "a node is suspected by too few now: its links count again",
    "forgery": "a node has passed on what its origin has not said",
}

_BEGINS: Final = {
    "quarantined": "it has told two stories",
    "suspected": "more of its neighbours suspect it than may lie",
}
_ENDS: Final = {"cleared": "quarantined", "unsuspected": "suspected"}

_log = log.get(__name__)


class ByzantineWatch:
    """What one shard makes known of its protection.

    Args:
        shard: its name.
        metrics: where it is counted.
        alert: told to people.
    """

    def __init__(
        self, shard: str, metrics: Metrics, alert: Callable[[Alert], None] = raise_alert
    ) -> None:
        self._alert = alert
        self._since: dict[tuple[str, str], float] = {}  # (why, node) → in quarantine since
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
        if kind in _BEGINS:
            self._since[kind, node] = time.time()
            self._tell(kind, node, f"Node {node} is in quarantine: {_BEGINS[kind]}")
        elif kind in _ENDS and (_ENDS[kind], node) in self._since:
            self._tell(_ENDS[kind], node, f"Node {node} is out of quarantine", ended=True)
            del self._since[_ENDS[kind], node]

    def _tell(self, kind: str, node: str, summary: str, *, ended: bool = False) -> None:
        self._alert(
            Alert(
                AlertName.NODE_QUARANTINED,
                f"{kind}:{node}",
                summary,
                self._since[kind, node],
                ended=time.time() if ended else None,
                subjects=(node,),
            )
        )

    def publish(self, counted: dict[str, int], *, quarantined: int, waiting: int) -> None:
        """Export what has been counted since the start, and the present state."""
        for name, counter in self._counters.items():
            counter.inc(counted[name] - self._before[name], shard=self._shard)
        self._before = dict(counted)
        self._quarantined.set(float(quarantined), shard=self._shard)
        self._waiting.set(float(waiting), shard=self._shard)
