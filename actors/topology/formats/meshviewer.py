"""meshviewer.json, the map that Freifunk communities publish.

Format (freifunk/meshviewer, written by yanic): `nodes` with `node_id`, a list, or an object keyed
by node id in older files; `links` with `source`, `target`, `type` and two qualities: `source_tq` is
the delivery from source to target, `target_tq` the way back.

What a quality is, `metrics.recognise` tells by all of them, or the caller says. yanic writes 0
for an end that did not answer: a 0 beside another number is not known, two of them say that
neither end hears the other. A link to a node that the map does not list is normal (maps are cut by
domain) and left out, as meshviewer does. A node that is not online, but has links, is kept: they
are what was measured last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.topology import telemetry
from actors.topology.formats import metrics
from actors.topology.formats.collector import (
    NO_RECORDS,
    STRANGE_QUALITIES,
    Collector,
    shown,
)
from actors.topology.formats.fields import Fields, finite, moment, type_name
from actors.topology.network import NetworkLink, NetworkNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.formats.document import Document
    from actors.topology.network import Reading

FORMAT: Final = "meshviewer"
_QUALITIES: Final = ("source_tq", "target_tq")
_SAID: Final = {
    metrics.BABEL: "Its qualities are costs of Babel (1 - cost / 65535), and were read as that.",
    metrics.THROUGHPUT: "Its qualities are throughputs (BATMAN_V), which do not tell how much"
    " arrives: the loss of its links is not known.",
}


def read(document: Document, quality: str) -> Reading:
    """Read a meshviewer map.

    Args:
        document: the map.
        quality: one of `metrics.QUALITIES`.

    Raises:
        TopologyError: it lists no node, or has no list of links.
    """
    collector = Collector(document.source, FORMAT)
    for key, record, entry in _node_records(document):
        add_node(collector, key, record, entry)
    links = document.records(document.root, "links")
    metric = metrics.recognise(_values(links)) if quality == metrics.AUTO else quality
    if metric in _SAID:
        collector.note(_SAID[metric])
    for at, link in enumerate(links):
        _add_link(collector, link, f"links[{at}]", metric)
    return collector.reading(moment(document.root.get("timestamp")))


def _node_records(document: Document) -> Iterator[tuple[Any, Any, str]]:
    """The id, the record and the place of each node."""
    nodes = document.root.get("nodes")
    if isinstance(nodes, dict):
        for key, record in nodes.items():
            yield key, record, f"nodes[{key[:40]!a}]"
        return
    for at, record in enumerate(document.records(document.root, "nodes")):
        # Tools that work on such maps call it id.
        key = record.get("node_id", record.get("id")) if isinstance(record, dict) else None
        yield key, record, f"nodes[{at}]"


def add_node(collector: Collector, key: object, record: object, entry: str) -> None:
    """Take a node of a meshviewer map, or leave it out."""
    if not isinstance(record, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(record)}")
        return
    name = collector.new_id(key, f"{entry}.node_id")
    if name is None:
        return
    fields = collector.fields(record, entry)
    network, location = fields.part("network"), fields.part("location")
    mac = network.text("mac") or fields.text("mac")
    addresses = (mac.lower(),) * bool(mac) + network.texts("addresses") + fields.texts("addresses")
    collector.add_node(
        NetworkNode(
            name,
            name=fields.text("hostname", "name", "label"),
            addresses=tuple(dict.fromkeys(addresses)),
            online=fields.flag("is_online"),
            seen_at=fields.time("lastseen"),
            gateway=fields.flag("is_gateway"),
            vpn=fields.flag("vpn") is True,
            clients=fields.count("clients"),
            nexthop=fields.text("gateway_nexthop"),
            model=_model(fields),
            role=fields.text("role"),
            firmware=fields.part("firmware").text("release"),
            domain=fields.text("domain", "site_code"),
            location=location.place("latitude", "longitude"),
            telemetry=_telemetry(fields),
        )
    )


def _model(fields: Fields) -> str:
    """The hardware; some collectors write the word None for none."""
    model = fields.text("model").strip()
    return "" if model == "None" else model


def _telemetry(fields: Fields) -> dict[str, float]:
    """The figures of a node. `uptime` is when it started."""
    started, seen = fields.time("uptime"), fields.time("lastseen")
    figures = {
        telemetry.LOAD: fields.number("loadavg", 0),
        telemetry.MEMORY: fields.number("memory_usage", 0, 1),
        telemetry.ROOTFS: fields.number("rootfs_usage", 0, 1),
        telemetry.UPTIME_S: seen - started if started and seen and seen >= started else None,
        telemetry.CLIENTS_24: fields.number("clients_wifi24", 0),
        telemetry.CLIENTS_5: fields.number("clients_wifi5", 0),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _values(links: list[Any]) -> list[float]:
    """All qualities that are numbers above 0."""
    given = (
        finite(link.get(key)) for link in links if isinstance(link, dict) for key in _QUALITIES
    )
    return [value for value in given if value is not None and value > 0]


def _add_link(collector: Collector, link: object, entry: str, metric: str) -> None:
    if not isinstance(link, dict):
        collector.leave_out(NO_RECORDS, entry, f"it is {type_name(link)}")
        return
    ends = collector.ends(link.get("source"), link.get("target"), entry)
    if ends is None:
        return
    given = tuple(_number(link.get(key)) for key in _QUALITIES)
    if None in given:
        _say_unreadable(collector, link, given, entry)
    # 0 is what yanic writes before the other end has answered.
    unanswered = 0 in given and given != (0, 0)
    forth, back = (None if unanswered and value == 0 else value for value in given)
    quality = tuple(_quality(collector, value, entry, metric) for value in (forth, back))
    cost = tuple(_cost(value, metric) for value in (forth, back))
    kind = collector.fields(link, entry).text("type") or "other"
    collector.add_link(
        NetworkLink(*ends, (quality[0], quality[1]), kind, metric=metric, cost=(cost[0], cost[1]))
    )


def _number(value: object) -> float | None:
    """A value as a figure of at least 0; anything else is not known."""
    number = finite(value)
    return None if number is None or number < 0 else number


def _say_unreadable(
    collector: Collector, link: dict[str, Any], given: tuple[float | None, ...], entry: str
) -> None:
    """Say once for a link which of its qualities are not known, and why."""
    odd = [key for key, number in zip(_QUALITIES, given, strict=True) if number is None]
    said = [
        f"{key} {shown(link[key])} is no quality" if key in link else f"{key} is missing"
        for key in odd
    ]
    place = entry if len(odd) > 1 else f"{entry}.{odd[0]}"
    collector.alter(STRANGE_QUALITIES, place, f"{', '.join(said)}: not known")


def _quality(collector: Collector, value: float | None, entry: str, metric: str) -> float | None:
    """The quality that a value means."""
    if value is None or value == 0:
        return value
    if metric == metrics.THROUGHPUT:
        return None
    if value > 1 + metrics.OVER_ONE:
        collector.alter(STRANGE_QUALITIES, entry, f"{value:g} is above 1: not known")
        return None
    share = min(value, 1.0)
    if metric != metrics.BABEL:
        return share
    return metrics.of_babel(max(metrics.babel_cost(share), 1.0))


def _cost(value: float | None, metric: str) -> float | None:
    """The figure itself, in the unit of the metric."""
    if value is None or value == 0:
        return None
    if metric == metrics.BABEL:
        return float(round(metrics.babel_cost(min(value, 1.0))))
    return value * metrics.TQ_MAX
