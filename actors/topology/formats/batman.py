"""batman-adv: what `batadv-vis -f jsondoc` and the JSON queries of `batctl` print.

- jsondoc: an object with `vis`, a record a node: `primary` and `secondary` addresses, and
  `neighbors` with `router` (the own interface), `neighbor` and `metric`, which is 255 / TQ.
- `batctl meshif IF neighbors_json` and `originators_json`: a list of what one node knows. Direct
  neighbours have `neigh_address` and, among originators, an equal `orig_address` and a `tq`
  (B.A.T.M.A.N. IV) or a `throughput` (V), which says nothing about delivery. An originator behind
  another neighbour is no link. `gateways_json` says which nodes are gateways.

A list of `batctl` does not say whose it is. Who knows it gives the address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.topology.formats import metrics
from actors.topology.formats.collector import NO_RECORDS, STRANGE_QUALITIES, Collector, Half
from actors.topology.formats.fields import finite, type_name
from actors.topology.link_kinds import VPN, is_tunnel
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from actors.topology.formats.document import Document
    from actors.topology.network import Reading

VIS: Final = "batadv-vis"
BATCTL: Final = "batctl"
_SILENT_MS: Final = 60_000  # a neighbour that was last heard so long ago is down
NO_ADDRESS: Final = "records without an address"
LOCAL: Final = "local"  # id of the node whose list it is, where nobody knows it


def read_vis(document: Document) -> Reading:
    """Read the jsondoc of batadv-vis.

    Raises:
        TopologyError: it lists no node.
    """
    collector = Collector(document.source, VIS, implies=True)
    records = document.records(document.root, "vis")
    taken: list[tuple[str, dict[str, object], str]] = []
    for at, record in enumerate(records):
        entry = f"vis[{at}]"
        if not isinstance(record, dict):
            collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
            continue
        name = collector.new_id(record.get("primary"), f"{entry}.primary")
        if name is not None:
            secondary = collector.fields(record, entry).texts("secondary")
            collector.add_node(NetworkNode(name, addresses=(name.lower(), *secondary)))
            taken.append((name, record, entry))
    for name, record, entry in taken:
        for at, neighbour in enumerate(collector.fields(record, entry).listed("neighbors")):
            _add_seen(collector, name, neighbour, f"{entry}.neighbors[{at}]")
    return collector.reading()


def _add_seen(collector: Collector, name: str, neighbour: object, entry: str) -> None:
    if not isinstance(neighbour, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(neighbour)}")
        return
    router, other = neighbour.get("router"), neighbour.get("neighbor")
    ends = collector.ends(name, other, entry)
    if ends is None:
        return
    # The metric is written as a text.
    cost = _number(neighbour.get("metric"))
    forth = None if cost is None else metrics.of_inverse_tq(cost)
    if forth is None:
        collector.alter(STRANGE_QUALITIES, entry, "it has no metric of at least 1: not known")
    half = Half(forth, cost=cost, metric=metrics.TQ)
    collector.add_half(ends, half, (str(router or name), str(other)))


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return finite(float(value))
        except ValueError:
            return None
    return finite(value)


def is_batctl(records: list[object]) -> bool:
    """Whether a list is one of batctl's, by its first object."""
    first = next((record for record in records if isinstance(record, dict)), {})
    return "hard_ifname" in first and ("neigh_address" in first or "orig_address" in first)


def read_batctl(document: Document, node: str = LOCAL) -> Reading:
    """Read `neighbors_json`, `originators_json` or `gateways_json`, or these lists as one.

    Args:
        document: the list.
        node: id of the node whose list it is.

    Raises:
        TopologyError: it is no list of objects.
    """
    collector = Collector(document.source, BATCTL, implies=True)
    collector.imply_node(node)
    if node == LOCAL:
        collector.note(f"It does not say which node asked; that one is called {LOCAL}.")
    told = _sorted(collector, document.bounded(document.root, ""))
    for (neighbour, _), record in told.direct.items():
        _add_neighbour(collector, node, neighbour, record)
    if distant := {name for name in told.distant if name.lower() not in collector.nodes}:
        collector.note(
            f"{len(distant):,} nodes behind the neighbours are reached; how they are joined is "
            "not told. Ask them too, or read batadv-vis or respondd."
        )
    if told.gateways:
        collector.mark_gateways(told.gateways)
    return collector.reading()


@dataclass(frozen=True, slots=True)
class _Told:
    """The records of batctl's lists.

    Attributes:
        direct: of each neighbour and interface, with the place of the first record as `entry`.
        distant: originators behind a neighbour.
        gateways: originators that are gateways.
    """

    direct: dict[tuple[str, object], dict[str, object]] = field(default_factory=dict)
    distant: set[str] = field(default_factory=set)
    gateways: list[str] = field(default_factory=list)


def _sorted(collector: Collector, records: list[object]) -> _Told:
    told = _Told()
    for at, record in enumerate(records):
        entry = f"[{at}]"
        if not isinstance(record, dict):
            collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
            continue
        fields = collector.fields(record, entry)
        originator, neighbour = fields.text("orig_address"), fields.text("neigh_address").lower()
        if "router" in record or "bandwidth_down" in record:
            told.gateways.append(originator)
        elif neighbour and originator.lower() in ("", neighbour):
            key = neighbour, record.get("hard_ifname")
            if key in told.direct:  # the same neighbour in two of the lists
                collector.merge()
            told.direct[key] = told.direct.get(key, {"entry": entry}) | record
        elif originator:
            told.distant.add(originator)
        else:
            collector.leave_out(NO_ADDRESS, entry, "it names neither originator nor neighbour")
    return told


def _add_neighbour(
    collector: Collector, node: str, neighbour: str, record: dict[str, object]
) -> None:
    entry = str(record["entry"])
    ends = collector.ends(node, neighbour, entry)
    if ends is None:
        return
    fields = collector.fields(record, entry)
    tq, throughput = fields.number("tq", 0, metrics.TQ_MAX), fields.number("throughput", 0)
    silent_ms = fields.number("last_seen_msecs", 0)
    interface = fields.text("hard_ifname")
    metric = metrics.TQ if tq is not None else metrics.THROUGHPUT if throughput else ""
    if tq is None:
        collector.note("Neighbours without a tq are links whose loss is not known.")
    half = Half(
        None if tq is None else metrics.of_tq(tq),
        cost=throughput if tq is None else tq,
        up=silent_ms is None or silent_ms < _SILENT_MS,
        kind=VPN if is_tunnel(interface) else "other",
        metric=metric,
    )
    collector.add_half(ends, half, (node, f"{interface} {neighbour}"))
