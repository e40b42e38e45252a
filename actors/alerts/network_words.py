"""What people are told of a thread of faults: names as they use them, who is cut off, since when.

Of a thread's faults, what explains most is told, and the rest in its details: a gateway that fails
with those behind it is one alert, and so is a split with the gateway that it takes. What was told
stays an alert of its own while it lasts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from actors.alerts.network_faults import AWAY, OF_SOURCES, Fault, FaultKind
from actors.runtime.alerting import Alert, AlertName, AlertSeverity
from actors.topology import naming
from actors.topology.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actors.alerts.network_thread import Thread
    from actors.topology.events import RecordedEvent

NAMED: Final = 20  # most nodes that a line names
LISTED: Final = 1_000  # most nodes of an alert's subjects
_KEY: Final = 255  # longest key of an alert


def alerts(thread: Thread) -> list[Alert]:
    """What a thread tells now; none once all its faults are over."""
    words = _Words(thread)
    made = [words.of_nodes(name) for name in words.names()]
    for key, fault in thread.faults.items():
        if key.kind is FaultKind.SHARD_DOWN:
            made.append(words.of_shard(fault))
        elif key.kind is FaultKind.INCIDENT:
            made.append(words.of_incident(fault))
        elif key.kind is FaultKind.LINKS_DOWN:
            made.append(words.of_links(fault))
    sources = dict.fromkeys(key.subject for key in thread.faults if key.kind in OF_SOURCES)
    return made + [words.of_source(name) for name in sources]


def side(part: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a part that a split has made: its size, and whom a line names."""
    shown = [part["named"].get(node) or node for node in part["ids"][:NAMED]]
    return {"nodes": part["nodes"], "shown": shown}


def noted(recorded: RecordedEvent, sentence: str, thread: str) -> Alert:
    """Something that has happened and does not last."""
    event, network = recorded.event, recorded.network.value
    subject = str(event.data.get("shard", recorded.id))
    is_split = event.kind is EventKind.SPLIT
    return Alert(
        _NOTED[event.kind],
        f"{network}:{subject}"[:_KEY],
        _sentence(sentence),
        event.at,
        severity=AlertSeverity.WARNING if is_split else None,
        labels={"network": network},
        thread=thread,
        details=("Each part has a gateway of its own.",) if is_split else (),
        subjects=tuple(event.nodes[:LISTED]) or (subject,),
        link=_events_link(event.at, network),
        momentary=True,
    )


class _Words:
    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._network = thread.network.value
        of: dict[FaultKind, dict[str, Fault]] = {kind: {} for kind in FaultKind}
        for key, fault in thread.faults.items():
            of[key.kind][key.subject] = fault
        self._away = {node: fault for kind in AWAY for node, fault in of[kind].items()}
        self._cut_off = of[FaultKind.CUT_OFF]
        self._lost = of[FaultKind.NO_GATEWAY]
        self._incidents = of[FaultKind.INCIDENT]
        self._of = of
        self._gateways = [node for node, f in self._away.items() if f.data.get("gateway")]
        self._all = {**self._away, **self._cut_off, **self._lost}

    # -- which alerts ------------------------------------------------------------------------------

    def names(self) -> list[AlertName]:
        """The alerts about nodes: that which explains most, and those told that still last."""
        lasting = [name for name in _OF_NODES if self._lasts(name)]
        if not self._gateways and AlertName.MESH_SPLIT in lasting:
            lasting.sort(key=lambda name: name is not AlertName.MESH_SPLIT)
        told = {AlertName(name) for name, _ in self._thread.told}
        return [name for at, name in enumerate(lasting) if not at or name in told]

    def _lasts(self, name: AlertName) -> bool:
        if name is AlertName.GATEWAY_LOST:
            return bool(self._lost) or (bool(self._gateways) and len(self._away) > 1)
        if name is AlertName.MESH_SPLIT:
            return bool(self._cut_off and self._thread.sides)
        return bool(self._away or self._cut_off)

    # -- nodes -------------------------------------------------------------------------------------

    def of_nodes(self, name: AlertName) -> Alert:
        """The alert of this name about nodes."""
        nodes, summary = {
            AlertName.GATEWAY_LOST: self._gateway,
            AlertName.MESH_SPLIT: self._split,
            AlertName.NODE_OFFLINE: self._offline,
        }[name]()
        first = (self._gateways or sorted(nodes))[0]
        return self._alert(
            name,
            first,
            summary,
            [self._all[node] for node in nodes],
            details=tuple(self._details(name)),
            subjects=tuple(nodes)[:LISTED],
            node=first if len(nodes) == 1 else "",
        )

    def _gateway(self) -> tuple[list[str], str]:
        nodes = list(dict.fromkeys([*self._gateways, *self._lost, *self._away, *self._cut_off]))
        unlisted = sum(int(f.data.get("unlisted", 0)) for f in self._lost.values())
        who = self._counted(self._lost, unlisted)
        if not self._gateways:
            verb = "reaches" if len(self._lost) + unlisted == 1 else "reach"
            return nodes, f"{who} {verb} no gateway any more"
        dead = " and ".join(f"gateway {self._label(node)}" for node in self._gateways[:3])
        more = len(self._gateways) - 3
        dead += f" and {more} more" if more > 0 else ""
        verb = "is" if len(self._gateways) == 1 else "are"
        others = {n: f for n, f in self._away.items() if n not in self._gateways}
        said = f"{dead} {verb} silent"
        if self._lost:
            return nodes, f"{said}; {who} behind it reach no gateway any more"
        return nodes, f"{said}, and so are {self._counted(others)} more"

    def _split(self) -> tuple[list[str], str]:
        nodes = list(dict.fromkeys([*self._cut_off, *self._away, *self._lost]))
        counts = " and ".join(str(side["nodes"]) for side in self._thread.sides)
        lost = [node for node in self._cut_off if node in self._lost]
        without = f"; {self._counted({n: self._lost[n] for n in lost})} reach no gateway"
        return nodes, f"the network is split: parts of {counts} nodes" + (without if lost else "")

    def _offline(self) -> tuple[list[str], str]:
        nodes = list(dict.fromkeys([*self._away, *self._cut_off]))
        if len(nodes) == 1:
            return nodes, self._alone(nodes[0])
        apart = {node: fault for node, fault in self._cut_off.items() if node not in self._away}
        said = [
            f"{self._counted(faults)} {'is' if len(faults) == 1 else 'are'} {what}"
            for faults, what in ((self._away, "silent"), (apart, "cut off"))
            if faults
        ]
        return nodes, ", ".join(said)

    def _alone(self, node: str) -> str:
        """One node that does not work."""
        what = "is cut off: it works, and no path leads to it"
        if node in self._away:
            gone = self._away[node].key.kind is FaultKind.GONE
            what = "is gone from the map" if gone else "is silent"
        kind = "gateway" if self._all[node].data.get("gateway") else "node"
        return f"{kind} {self._label(node)} {what}"

    def _details(self, name: AlertName) -> Iterator[str]:
        if name is not AlertName.NODE_OFFLINE and self._away:
            yield f"Silent: {self._listed(self._away)}."
        if name is AlertName.GATEWAY_LOST and self._lost:
            yield f"Without a gateway: {self._listed(self._lost)}."
        if name is AlertName.NODE_OFFLINE and len(self._away) > 1:
            yield f"Silent: {self._listed(self._away)}."
        if name is AlertName.NODE_OFFLINE and self._cut_off:
            yield f"Cut off: {self._listed(self._cut_off)}."
        if name is not AlertName.NODE_OFFLINE:
            yield from self._sides()
        if name is AlertName.NODE_OFFLINE and len(self._away) == 1:
            yield from self._around(next(iter(self._away)))

    def _sides(self) -> Iterator[str]:
        for number, side in enumerate(self._thread.sides if self._cut_off else (), 1):
            listed = _short(side["shown"], side["nodes"])
            yield f"Part {number}, {_nodes(side['nodes'])}: {listed}."

    def _around(self, node: str) -> Iterator[str]:
        data = self._away[node].data
        neighbours = data.get("neighbours")
        if neighbours:
            names = [name or node for node, name in neighbours.items()]
            yield f"Its neighbours: {_short(names, len(names))}."
        clients = data.get("clients")
        if clients:
            yield f"It had {_clients(clients)}."

    # -- other faults ------------------------------------------------------------------------------

    def of_shard(self, fault: Fault) -> Alert:
        """A process of the emulated mesh that does not answer."""
        name, why = fault.key.subject, fault.data.get("why")
        said = f"shard {name} of the emulated mesh does not answer" + (f": {why}" if why else "")
        return self._alert(AlertName.SHARD_RESTARTED, name, said, [fault], subjects=(name,))

    def of_source(self, name: str) -> Alert:
        """A source that fails, or says nothing new."""
        faults = [f for key, f in self._thread.faults.items() if key.subject == name]
        faults = [fault for fault in faults if fault.key.kind in OF_SOURCES]
        faults.sort(key=lambda fault: OF_SOURCES.index(fault.key.kind))
        said = [
            _SOURCES[fault.key.kind].format(source=name)
            + (f": {fault.data['why']}" if fault.data.get("why") else "")
            for fault in faults
        ]
        unknown = max(int(fault.data.get("nodes", 0)) for fault in faults)
        details = (f"Nothing is known now of {_nodes(unknown)}.",) if unknown else ()
        return self._alert(
            AlertName.MAP_STALE,
            f"source {name}",
            said[0],
            faults,
            details=(*(_sentence(one) + "." for one in said[1:]), *details),
            subjects=(name,),
            link="/v1/network/sources",
        )

    def of_incident(self, fault: Fault) -> Alert:
        """What an incident comes from."""
        data = fault.data
        nodes = [node for node in data["claims"] if node in self._thread.nodes]
        return self._alert(
            AlertName.ROOT_CAUSE_FOUND,
            fault.key.subject,
            f"probable cause: {data['what']}" if data["found"] else str(data["what"]),
            [fault],
            subjects=tuple(nodes),
        )

    def of_links(self, fault: Fault) -> Alert:
        """A large share of links that is down."""
        data = fault.data
        said = f"{data['share']:.0%} of all links are down"
        details = f"{data['down']} of {data['links']} links, between nodes that work."
        return self._alert(AlertName.LINKS_DOWN, "links", said, [fault], details=(details,))

    # -- parts of alerts ---------------------------------------------------------------------------

    def _alert(
        self,
        name: AlertName,
        subject: str,
        summary: str,
        faults: Sequence[Fault],
        *,
        details: tuple[str, ...] = (),
        subjects: tuple[str, ...] = (),
        node: str = "",
        link: str = "",
    ) -> Alert:
        key = f"{self._network}:{subject}"[:_KEY]
        told = [alert for of, alert in self._thread.told.items() if of[0] == name.value]
        if name in _OF_NODES and told:
            key = told[0].key  # it stays the same alert whoever joins or leaves
        started = min(fault.since for fault in faults)
        if told and name in _OF_NODES:
            started = min(started, told[0].started)
        return Alert(
            name,
            key,
            _sentence(summary),
            started,
            labels={"network": self._network},
            thread=self._thread.id,
            probable_cause="" if name is AlertName.ROOT_CAUSE_FOUND else self._cause(),
            details=details,
            subjects=subjects,
            link=link or _events_link(started, self._network, node),
        )

    def _cause(self) -> str:
        found = [fault for fault in self._incidents.values() if fault.data["found"]]
        return str(found[0].data["what"]) if found else ""

    def _name(self, node: str) -> str:
        fault = self._all.get(node)
        return str((fault and fault.data.get("name")) or node)

    def _label(self, node: str) -> str:
        return naming.label(node, self._name(node))

    def _listed(self, faults: Mapping[str, Fault]) -> str:
        return _short([self._name(node) for node in faults], len(faults))

    def _counted(self, faults: Mapping[str, Fault], unlisted: int = 0) -> str:
        """`200 nodes with 340 clients`; one node by its name."""
        known = [f.data["clients"] for f in faults.values() if f.data.get("clients") is not None]
        clients = f" with {_clients(sum(known))}" if sum(known) else ""
        if len(faults) + unlisted == 1:
            return f"node {self._label(next(iter(faults)))}{clients}"
        return f"{_nodes(len(faults) + unlisted)}{clients}"


_NOTED: Final = {
    EventKind.SPLIT: AlertName.MESH_SPLIT,
    EventKind.SHARD_RESTARTED: AlertName.SHARD_RESTARTED,
    EventKind.DRILL: AlertName.HEALING_SLOW,
}
_OF_NODES: Final = (AlertName.GATEWAY_LOST, AlertName.MESH_SPLIT, AlertName.NODE_OFFLINE)
_SOURCES: Final = {
    FaultKind.SOURCE_STALE: "what source {source} says is stale",
    FaultKind.SOURCE_HELD: "the answer of source {source} is not taken over",
    FaultKind.SOURCE_FAILED: "source {source} fails",
}


def _short(names: Sequence[str], number: int) -> str:
    more = number - min(len(names), NAMED)
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _nodes(number: int) -> str:
    return f"{number:,} node" + ("" if number == 1 else "s")


def _clients(number: Any) -> str:  # noqa: ANN401 - JSON
    return f"{int(number):,} client" + ("" if number == 1 else "s")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _events_link(at: float, network: str, node: str = "") -> str:
    """The events of a network from a minute before, as the gateway tells them."""
    since = datetime.fromtimestamp(max(0, int(at) - 60), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"network": network, "since": since} | ({"node": node} if node else {})
    return f"/v1/events?{urlencode(query)}"
