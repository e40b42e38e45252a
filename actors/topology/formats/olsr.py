"""olsrd's jsoninfo (`/all`, or `/topology` and `/mid` in one object).

`topology` has a link a record: `lastHopIP` announces that it hears `destinationIP` with
`linkQuality`, and is heard by it with `neighborLinkQuality`; `tcEdgeCost` is the cost, 1024 a unit
of ETX, 4194304 for a broken link. Both ends announce it. `mid` names the other addresses of nodes,
`hna` who leads where. A node without a record in `mid` has one address.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from actors.topology.formats import metrics
from actors.topology.formats.collector import NO_RECORDS, STRANGE_QUALITIES, Collector, Half
from actors.topology.formats.fields import finite, type_name
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.formats.document import Document
    from actors.topology.network import Reading

FORMAT: Final = "olsrd jsoninfo"
_UNIT: Final = 1024  # tcEdgeCost of an ETX of 1
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - destinations of a default route


def read(document: Document) -> Reading:
    """Read jsoninfo.

    Raises:
        TopologyError: it has no list `topology`, or that names no node.
    """
    collector = Collector(document.source, FORMAT, implies=True)
    root = document.root
    if root.get("mid") is not None:
        for at, record in enumerate(document.records(root, "mid")):
            _add_node(collector, record, f"mid[{at}]")
    for at, link in enumerate(document.records(root, "topology")):
        _add_link(collector, link, f"topology[{at}]")
    if root.get("hna") is not None:
        collector.mark_gateways(_gateways(document.records(root, "hna")))
    return collector.reading(finite(root.get("systemTime")))


def _add_node(collector: Collector, record: object, entry: str) -> None:
    if not isinstance(record, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
        return
    fields = collector.fields(record, entry)
    # Older versions name the node itself where newer ones have an object.
    address = record.get("ipAddress") or fields.part("main").text("ipAddress")
    name = collector.new_id(address, f"{entry}.ipAddress")
    if name is None:
        return
    known = [alias.get("ipAddress") for alias in _objects(fields.listed("aliases"))]
    addresses = tuple(each.lower() for each in known if isinstance(each, str))
    collector.add_node(NetworkNode(name, addresses=addresses))


def _objects(records: list[object]) -> Iterator[dict[str, object]]:
    for record in records:
        if isinstance(record, dict):
            yield record


def _gateways(records: list[object]) -> Iterator[str]:
    """Addresses of those who announce a default route."""
    for record in _objects(records):
        gateway = record.get("gateway")
        everywhere = record.get("destination") in _EVERYWHERE and record.get("genmask") == 0
        if everywhere and isinstance(gateway, str):
            yield gateway


def _add_link(collector: Collector, link: object, entry: str) -> None:
    if not isinstance(link, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(link)}")
        return
    source, target = link.get("lastHopIP"), link.get("destinationIP")
    ends = collector.ends(source, target, entry)
    if ends is None:
        return
    fields = collector.fields(link, entry)
    broken = link.get("tcEdgeCost") == math.inf
    scaled = None if broken else fields.number("tcEdgeCost", 0)
    back, forth = (fields.number(key, 0, 1) for key in ("linkQuality", "neighborLinkQuality"))
    if not forth or not back:  # 0, where the algorithm has no such figure
        forth = back = None if scaled is None else metrics.of_wired_etx(scaled / _UNIT)
    up = not broken and (scaled is None or scaled < metrics.OLSR_INFINITY)
    if forth is None and up:
        collector.alter(STRANGE_QUALITIES, entry, "it has neither a quality nor a cost: not known")
    cost = None if scaled is None else scaled / _UNIT
    half = Half(forth, back, cost, up=up, metric=metrics.ETX)
    collector.add_half(ends, half, (str(source), str(target)))
