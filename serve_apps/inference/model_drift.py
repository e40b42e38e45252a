"""Whether a condition model still fits the network that it scores (pure).

Its threshold is set so that a known share of nodes without an incident is called anomalous. If for
long, outside all incidents, many times as many are, then what it is asked about no longer resembles
what it was trained with. Nodes of incidents do not count: of those, it is right to say so.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actors.runtime.alerting import Alert, AlertName, raise_alert
from actors.runtime.standing_alert import StandingAlert
from serve_apps.inference.scoring import FALSE_ALARMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.topology.provenance import Network

INTERVALS: Final = 60  # that are judged together
LEAST: Final = 1_000  # scores of these; of fewer, a share says too little
TOLD: Final = 10.0  # times the share that the threshold is set for, from which it is told
OVER: Final = 5.0  # times that share, below which it is over


class ModelDrift:
    """Watches the scores of one network.

    Args:
        network: that is scored.
        sink: is given the alert.
    """

    def __init__(self, network: Network, sink: Callable[[Alert], None] = raise_alert) -> None:
        self._network = network.value
        self._seen: deque[tuple[int, int]] = deque(maxlen=INTERVALS)
        self._alert = StandingAlert(
            AlertName.MODEL_DRIFT,
            f"condition:{self._network}",
            f"The condition model fits the {self._network} network again",
            labels={"network": self._network},
            sink=sink,
        )

    def note(self, scored: int, anomalous: int, at: float) -> None:
        """Take in an interval.

        Args:
            scored: number of nodes that were scored and are in no incident.
            anomalous: how many of them are called anomalous.
            at: Unix time, s.
        """
        self._seen.append((scored, anomalous))
        scored = sum(one for one, _ in self._seen)
        if len(self._seen) < INTERVALS or scored < LEAST:
            return
        share = sum(one for _, one in self._seen) / scored
        if share < OVER * FALSE_ALARMS:
            self._alert.over(at)
        elif share >= TOLD * FALSE_ALARMS and not self._alert.lasts:
            self._alert.holds(
                f"The condition model calls {share:.1%} of the nodes of the {self._network} network"
                f" anomalous that are in no incident; it is set for {FALSE_ALARMS:.1%}",
                at,
                details=(f"In the last {INTERVALS} intervals, of {scored:,} scores.",),
            )
