"""What people know who read all that is told of networks: for tests of any events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from actors.alerts.network_alerts import AlertRules, NetworkAlerts
from actors.runtime.alerting import AlertName
from actors.topology.events import RecordedEvent
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.runtime.alerting import Alert
    from actors.topology.events import NetworkEvent

ABOUT_NODES = (AlertName.NODE_OFFLINE, AlertName.MESH_SPLIT, AlertName.GATEWAY_LOST)


class Reader:
    """Reads alerts of one network, and checks that each tells something new.

    Args:
        network: of which network.
        source: who notices its events.
        rules: when something is told.
    """

    def __init__(
        self,
        network: Network = Network.EMULATED,
        source: str = "mesh",
        rules: AlertRules = AlertRules(),  # noqa: B008 - it is frozen
    ) -> None:
        self.alerts = NetworkAlerts(rules)
        self.at = 1_764_000_000.0
        self.open: dict[tuple[str, str], Alert] = {}
        self.all: list[Alert] = []
        self._rules = rules
        self._network = network
        self._source = source
        self._id = 0

    def hears(self, *events: NetworkEvent, source: str = "", incarnation: int = 1) -> list[Alert]:
        """Events happen; what is told at once."""
        recorded = []
        for event in events:
            self._id += 1
            recorded.append(
                RecordedEvent(self._id, source or self._source, self._network, event, incarnation)
            )
        return self._read(self.alerts.events(recorded, self.at))

    def waits(self, seconds: float = 1_000.0) -> list[Alert]:
        """Time passes; what is told meanwhile."""
        end, told = self.at + seconds, []
        while (due := self.alerts.next_due) is not None and due <= end:
            self.at = max(self.at, due)
            told += self._read(self.alerts.due(self.at))
        self.at = end
        return told

    def restarts(self) -> None:
        """The state is stored, and another process goes on."""
        self.alerts = NetworkAlerts(self._rules, json.loads(json.dumps(self.alerts.export())))

    def _read(self, told: Sequence[Alert]) -> list[Alert]:
        for alert in told:
            key = alert.name.value, alert.key
            before = self.open.get(key)
            assert before != alert, "it is told twice"
            assert before is None or before.thread == alert.thread
            if alert.ended is None and not alert.momentary:
                self.open[key] = alert
            elif not alert.momentary:
                assert before is not None, "what nobody was told of is said to be over"
                del self.open[key]
        self._check_threads()
        self.all += told
        return list(told)

    def _check_threads(self) -> None:
        """At most one open thread names a node."""
        of: dict[str, str] = {}
        for alert in self.open.values():
            if alert.name in (*ABOUT_NODES, AlertName.ROOT_CAUSE_FOUND):
                for node in alert.subjects:
                    assert of.setdefault(node, alert.thread) == alert.thread

    @property
    def named(self) -> set[str]:
        """Ids of the nodes that open alerts about nodes name."""
        about = (alert for alert in self.open.values() if alert.name in ABOUT_NODES)
        return {node for alert in about for node in alert.subjects}
