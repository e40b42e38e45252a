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

from typing import TYPE_CHECKING, Final

from actors.topology.formats import metrics
from actors.topology.formats.collector import NO_RECORDS, STRANGE_QUALITIES, Collector, Half
from actors.topology.formats.fields import finite, type_name
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from actors.topology.formats.document import Document
    from actors.topology.network import Reading

VIS: Final = "batadv-vis"
BATCTL: Final = "batctl"
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
    gateways: list[str] = []
    distant = 0
    for at, record in enumerate(document.bounded(document.root, "")):
        entry = f"[{at}]"
        if not isinstance(record, dict):
            collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
            continue
        fields = collector.fields(record, entry)
        originator, neighbour = fields.text("orig_address"), fields.text("neigh_address")
        if "router" in record or "bandwidth_down" in record:
            gateways.append(originator)
        elif neighbour and originator in ("", neighbour):
            _add_neighbour(collector, node, neighbour, record, entry)
        else:
            distant += 1
    if distant:
        collector.note(f"{distant} routes to distant nodes say nothing about links.")
    if gateways:
        collector.mark_gateways(gateways)
    return collector.reading()


def _add_neighbour(
    collector: Collector, node: str, neighbour: str, record: dict[str, object], entry: str
) -> None:
    ends = collector.ends(node, neighbour, entry)
    if ends is None:
        return
    tq, throughput = finite(record.get("tq")), finite(record.get("throughput"))
    forth = None if tq is None else metrics.of_tq(tq)
    metric = metrics.TQ if tq is not None else metrics.THROUGHPUT if throughput else ""
    if forth is None:
        collector.note("Neighbours without a tq are links whose loss is not known.")
    half = Half(forth, cost=throughput if tq is None else tq, metric=metric)
    collector.add_half(ends, half, (f"{record.get('hard_ifname')}", neighbour))
