"""NetJSON NetworkGraph and NetworkCollection (netjson.org, draft RFC), OpenWISP's and olsrd's.

`nodes[].id`, `links[].source`, `.target` and `.cost` are read, and `metric` tells what a cost
means. How a cost becomes a delivery probability, by metric:

- `ETX` and olsrd's names for it (`etx_ff`, `etx_float`, `etx_fpm`): cost = 1 / (d_f * d_r) >= 1
  is about both directions together, so each is taken as sqrt(1 / cost). `etx_ffeth` and
  `etx_ffeth_nl80211` give cables 0.1, which is no loss.
- `TQ` (batman-adv): cost = 255 / TQ >= 1, as batadv-vis prints it, is about one direction.
- anything else, or none: the links join nodes, and how much they lose is not known. Babel's costs
  are such, since those of cable and of radio differ; who asks for `--quality babel` says that they
  are radio.

A cost of 4194304 and more is a broken link of olsrd, 65535 an infinite one of Babel, and
`properties.status: down` is OpenWISP's word for the same.

A link listed in one direction only stands for both under ETX. Listed in both (as OLSR does), each
entry stands for its own direction, so that two views of one ETX meet in their geometric mean.
Ends may be `local_addresses` of a node. A node that is in several graphs of a collection is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from actors.topology.formats import metrics
from actors.topology.formats.collector import NO_RECORDS, STRANGE_QUALITIES, Collector, Half
from actors.topology.formats.fields import finite, moment, type_name
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.topology.formats.document import Document
    from actors.topology.formats.fields import Fields
    from actors.topology.network import Reading

FORMAT: Final = "NetJSON"
GRAPH: Final = "NetworkGraph"
COLLECTION: Final = "NetworkCollection"

_ETX: Final = ("etx", "etx_ff", "etx_float", "etx_fpm")
_WIRED_ETX: Final = ("etx_ffeth", "etx_ffeth_nl80211")
_NONE: Final = ("", "none", "static", "hop", "hops", "hop_count")
_DOWN: Final = ("down", "offline", "inactive", "broken")
_INFINITE: Final = ("infinite", "infinity", "inf")


def read(document: Document, quality: str) -> Reading:
    """Read a NetJSON graph or collection.

    Args:
        document: the object.
        quality: `babel` to read costs of an unknown metric as Babel's.

    Raises:
        TopologyError: it is no list of nodes and links, or lists no node.
    """
    collector = Collector(document.source, FORMAT)
    root = document.root
    graphs: list[tuple[Any, str]] = [(root, "")]
    if root.get("type") == COLLECTION:
        listed = document.records(root, "collection")
        graphs = [(graph, f"collection[{at}].") for at, graph in enumerate(listed)]
    elif root.get("type") is None:
        collector.note(f"It does not say its type; it was read as a NetJSON {GRAPH}.")
    for graph, entry in graphs:
        if isinstance(graph, dict) and graph.get("type", GRAPH) in (GRAPH, None):
            _read_graph(collector, document, graph, entry, quality)
        else:
            what = graph.get("type") if isinstance(graph, dict) else type_name(graph)
            why = f"it is {what!r:.40}, not a {GRAPH}"
            collector.leave_out("objects that are no graph", entry.rstrip("."), why)
    return collector.reading(moment(root.get("modified")))


def _read_graph(
    collector: Collector, document: Document, graph: dict[str, Any], entry: str, quality: str
) -> None:
    for at, node in enumerate(document.records(graph, "nodes", f"{entry}nodes")):
        _add_node(collector, node, f"{entry}nodes[{at}]")
    named = graph.get("metric")
    metric = named.casefold() if isinstance(named, str) else ""
    of_cost = metrics.of_babel if quality == metrics.BABEL else _qualities(metric)
    if of_cost is None:
        has = "It has no metric" if metric in _NONE else f"Its metric {named!r:.40} is no quality"
        collector.note(f"{has}: its links are read, and their loss is not known.")
    for at, link in enumerate(document.records(graph, "links", f"{entry}links")):
        _add_link(collector, link, f"{entry}links[{at}]", metric, of_cost)


def _qualities(metric: str) -> Callable[[float], float | None] | None:
    """How a cost becomes a quality; None if it says nothing about it."""
    if metric in _ETX:
        return metrics.of_etx
    if metric in _WIRED_ETX:
        return metrics.of_wired_etx
    return metrics.of_inverse_tq if metric == metrics.TQ else None


def _add_node(collector: Collector, node: object, entry: str) -> None:
    if not isinstance(node, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(node)}")
        return
    key = node.get("id")
    if entry.startswith("collection") and isinstance(key, str) and key in collector.nodes:
        collector.merge()
        return
    name = collector.new_id(key, f"{entry}.id")
    if name is None:
        return
    fields = collector.fields(node, entry)
    properties = fields.part("properties")
    place = properties.part("location")
    collector.add_node(
        NetworkNode(
            name,
            name=fields.text("label") or properties.text("hostname", "name", "label"),
            addresses=fields.texts("local_addresses"),
            online=_online(properties),
            gateway=properties.flag("gateway"),
            clients=properties.count("clients") if "clients" in properties else None,
            model=properties.text("model"),
            role=properties.text("role"),
            firmware=properties.text("firmware"),
            location=place.place("lat", "lng") or place.place("latitude", "longitude"),
        )
    )


def _online(properties: Fields) -> bool | None:
    status = properties.text("status").casefold()
    return None if not status else status not in _DOWN


def _add_link(
    collector: Collector,
    link: object,
    entry: str,
    metric: str,
    of_cost: Callable[[float], float | None] | None,
) -> None:
    if not isinstance(link, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(link)}")
        return
    source, target = link.get("source"), link.get("target")
    ends = collector.ends(source, target, entry)
    if ends is None:
        return
    fields = collector.fields(link, entry)
    properties = fields.part("properties")
    cost = finite(link.get("cost"))
    half = Half(
        None,
        cost=cost,
        up=not _is_down(fields, properties, cost, metric),
        kind=properties.text("type", "kind") or "other",
        metric=metric,
    )
    if half.up and of_cost is not None:
        forth = None if cost is None else of_cost(cost)
        if forth is None:
            said = "has no cost" if "cost" not in link else f"cost {link['cost']!r:.40}"
            collector.alter(STRANGE_QUALITIES, entry, f"{said} says nothing as {metric}: not known")
        half = replace(half, forth=forth, back=None if metric == metrics.TQ else forth)
    collector.add_half(ends, half, (str(source), str(target)))


def _is_down(fields: Fields, properties: Fields, cost: float | None, metric: str) -> bool:
    """Whether a link is said to be down, or costs what its protocol calls infinite."""
    infinity = metrics.BABEL_INFINITY if metric == metrics.BABEL else metrics.OLSR_INFINITY
    return (
        properties.text("status").casefold() in _DOWN
        or fields.text("cost_text").casefold() in _INFINITE
        or (cost is not None and cost >= infinity)
    )
