"""A thread: all faults of one incident in a network, and what people were told of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from actors.alerts.network_faults import Fault, FaultKey, FaultKind
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Thread:
    """An incident, as people are told of it.

    Attributes:
        id: names it, for ever.
        network: of which network it is.
        faults: what lasts.
        nodes: ids of the nodes that it is or was about, and what else `FaultKey.owned` names; no
            other open thread is about them.
        touches: ids of nodes that its events concerned, until it is told.
        sides: the parts that a split has made, largest first, as `network_words.side` keeps them.
        due_at: Unix time at which its changes are to be told, s; None: there are none.
        ended_at: Unix time at which the last fault so far was over, s.
        told: the alerts that were told and last, by name and key.
    """

    id: str
    network: Network
    faults: dict[FaultKey, Fault] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    touches: set[str] = field(default_factory=set)
    sides: list[dict[str, Any]] = field(default_factory=list)
    due_at: float | None = None
    ended_at: float = 0.0
    told: dict[tuple[str, str], Alert] = field(default_factory=dict)

    def is_due(self, at: float) -> bool:
        """Whether there is something to be told at a time, Unix time, s."""
        return self.due_at is not None and self.due_at <= at

    def change(self, due_at: float) -> None:
        """Have what has changed told; a change that is due earlier is not put off."""
        self.due_at = due_at if self.due_at is None else min(self.due_at, due_at)


def as_json(thread: Thread) -> dict[str, Any]:
    """A thread as JSON."""
    return {
        "id": thread.id,
        "network": thread.network.value,
        "faults": [[*key, fault.since, dict(fault.data)] for key, fault in thread.faults.items()],
        "nodes": sorted(thread.nodes),
        "touches": sorted(thread.touches),
        "sides": thread.sides,
        "due_at": thread.due_at,
        "ended_at": thread.ended_at,
        "told": [asdict(alert) for alert in thread.told.values()],
    }


def of_json(told: Mapping[str, Any]) -> Thread:
    """What `as_json` gave."""
    faults = {}
    for kind, subject, since, data in told["faults"]:
        key = FaultKey(FaultKind(kind), subject)
        faults[key] = Fault(key, since, data)
    alerts = [_alert_of_json(each) for each in told["told"]]
    return Thread(
        told["id"],
        Network(told["network"]),
        faults,
        set(told["nodes"]),
        set(told["touches"]),
        told["sides"],
        told["due_at"],
        told["ended_at"],
        {(alert.name.value, alert.key): alert for alert in alerts},
    )


def _alert_of_json(told: Mapping[str, Any]) -> Alert:
    severity = told["severity"]
    return Alert(
        **{
            **told,
            "name": AlertName(told["name"]),
            "severity": None if severity is None else AlertSeverity(severity),
            "details": tuple(told["details"]),
            "subjects": tuple(told["subjects"]),
        }
    )
