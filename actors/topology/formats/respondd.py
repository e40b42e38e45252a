"""What nodes say of themselves: the answers of respondd, also as yanic stores them.

Format (freifunk-gluon/respondd, FreifunkBremen/yanic): an object with `nodeinfo`, `statistics` and
`neighbours`. `neighbours.batadv[MAC].neighbours[MAC].tq` is what the first interface reaches of the
second, 0..255; `neighbours.babel[interface]` has `ll-addr` and, by address, `rxcost` (of what is
heard from there) and `txcost` (of what arrives there). `nodeinfo.network.mesh.*.interfaces` lists
the addresses of each kind of interface.

Each end says its own half of a link, so nothing stands for an end that did not answer. A neighbour
that no answer is from is normal (gateways often have no respondd) and does not count as a fault.
`neighbours.lldp` is not read: it lists who shares a cable, be it no link of the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actors.topology import telemetry
from actors.topology.formats import metrics
from actors.topology.formats.collector import (
    NO_RECORDS,
    STRANGE_QUALITIES,
    Collector,
    Half,
    shown,
)
from actors.topology.formats.fields import Fields, finite, type_name
from actors.topology.link_kinds import VPN, is_radio, is_tunnel
from actors.topology.network import UNANSWERED, NetworkNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from actors.topology.network import Reading

FORMAT: Final = "respondd"
_KINDS: Final = {"tunnel": VPN, "wireless": "wifi"}  # of lists of interfaces; the others are other
_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a node says of its neighbours."""

    node: str
    neighbours: Fields
    entry: str


@dataclass(frozen=True, slots=True)
class _Heard:
    """A neighbour as a node hears it between two addresses."""

    local: str
    remote: str
    entry: str
    half: Half


def read_responses(
    responses: Iterable[tuple[str, object]],
    source: str,
    format_name: str = FORMAT,
    made_at: float | None = None,
) -> Reading:
    """Join the answers of many nodes.

    Args:
        responses: the place of each answer, as errors call it, and the answer: an object with
            `nodeinfo`, `statistics` and `neighbours`, of which some may be absent. yanic's fields
            `online` and `lastseen` are read where they are.
        source: what errors call the whole.
        format_name: the name of the format.
        made_at: Unix time of the whole, s.

    Raises:
        TopologyError: no answer has a node in it.
    """
    collector = Collector(source, format_name)
    interfaces: dict[str, str] = {}  # address -> kind
    answers: list[_Answer] = []
    gateways: set[str] = set()
    for entry, response in responses:
        if not isinstance(response, dict):
            collector.leave_out(NO_RECORDS, entry, f"it is {type_name(response)}")
            continue
        fields = collector.fields(response, entry)
        name = add_node(collector, fields, entry)
        if name is not None:
            interfaces.update(_by_kind(fields.part("nodeinfo")))
            answers.append(_Answer(name, fields.part("neighbours"), f"{entry}.neighbours"))
            gateways.add(fields.part("statistics").text("gateway"))
    # What a node calls its gateway is one; of the others nobody has said anything.
    collector.mark_gateways(gateways, all_told=False)
    metric = metrics.recognise([tq / metrics.TQ_MAX for each in answers for tq in _tqs(each)])
    if metric == metrics.THROUGHPUT:
        collector.note("Its tq are throughputs (BATMAN_V): the loss of its links is not known.")
    for answer in answers:
        for heard in (*_of_batadv(collector, answer, metric), *_of_babel(answer)):
            _add_half(collector, answer.node, heard, interfaces)
    return collector.reading(made_at)


def add_node(collector: Collector, fields: Fields, entry: str, key: object = None) -> str | None:
    """Take the node of an answer; its id, None if it is left out.

    Args:
        collector: takes it.
        fields: of the answer.
        entry: its place.
        key: its id, if it is not in the answer.
    """
    info, statistics = fields.part("nodeinfo"), fields.part("statistics")
    parts = (info, statistics, fields.part("neighbours"))
    given = next((each for part in parts if (each := part.value("node_id"))), key)
    name = collector.new_id(given, f"{entry}.node_id")
    if name is None:
        return None
    flags, system = fields.part("flags"), info.part("system")
    vpn = info.flag("vpn")
    gateway = flags.flag("gateway")
    collector.add_node(
        NetworkNode(
            name,
            name=info.text("hostname"),
            addresses=tuple(dict.fromkeys(_addresses(info, fields.part("neighbours")))),
            online=_first(fields.flag("online"), flags.flag("online")),
            seen_at=fields.time("lastseen"),
            gateway=vpn if gateway is None else gateway,
            vpn=vpn is True,
            clients=_clients(statistics),
            nexthop=statistics.text("gateway_nexthop"),
            model=info.part("hardware").text("model"),
            role=system.text("role"),
            firmware=info.part("software").part("firmware").text("release"),
            domain=system.text("domain_code", "site_code"),
            location=info.part("location").place("latitude", "longitude"),
            telemetry=_telemetry(statistics),
        )
    )
    return name


def _first(one: bool | None, other: bool | None) -> bool | None:  # noqa: FBT001 - two answers
    return other if one is None else one


def _addresses(info: Fields, neighbours: Fields) -> Iterator[str]:
    """All addresses by which others name a node."""
    network = info.part("network")
    if mac := network.text("mac"):
        yield mac.lower()
    yield from network.texts("addresses")
    yield from network.texts("mesh_interfaces")
    for address, _ in _by_kind(info):
        yield address
    for address in neighbours.part("batadv").names():
        yield address.lower()
    babel = neighbours.part("babel")
    for interface in babel.names():
        if address := babel.part(interface).text("ll-addr"):
            yield address.lower()


def _by_kind(info: Fields) -> Iterator[tuple[str, str]]:
    """The address and kind of each interface of a node."""
    meshes = info.part("network").part("mesh")
    for mesh in meshes.names():
        interfaces = meshes.part(mesh).part("interfaces")
        for kind in interfaces.names():
            for address in interfaces.texts(kind):
                yield address, _KINDS.get(kind, "other")


def _clients(statistics: Fields) -> int | None:
    """Clients of a node: a number in old files, and a total that some firmware leaves at 0."""
    if finite(statistics.value("clients")) is not None:
        return statistics.count("clients")
    clients = statistics.part("clients")
    total, radios = clients.count("total"), [clients.count(key) for key in ("wifi24", "wifi5")]
    heard = [count for count in radios if count is not None]
    if total is None and not heard:
        return None
    return max(total or 0, sum(heard))


def _telemetry(statistics: Fields) -> dict[str, float]:
    traffic, clients = statistics.part("traffic"), statistics.value("clients")
    figures = {
        telemetry.LOAD: statistics.number("loadavg", 0),
        telemetry.MEMORY: _memory(statistics),
        telemetry.ROOTFS: statistics.number("rootfs_usage", 0, 1),
        telemetry.UPTIME_S: statistics.number("uptime", 0),
        telemetry.RX_BYTES: traffic.part("rx").number("bytes", 0),
        telemetry.TX_BYTES: traffic.part("tx").number("bytes", 0),
        telemetry.FORWARD_BYTES: traffic.part("forward").number("bytes", 0),
        telemetry.GATEWAY_TQ: _share(statistics.number("gateway_tq", 0), metrics.TQ_MAX),
    }
    if isinstance(clients, dict):
        figures[telemetry.CLIENTS_24] = statistics.part("clients").number("wifi24", 0)
        figures[telemetry.CLIENTS_5] = statistics.part("clients").number("wifi5", 0)
    # As counters by radio, airtime needs two answers; as shares, yanic has computed it.
    if isinstance(statistics.value("wireless"), dict):
        wireless = statistics.part("wireless")
        for name, key in ((telemetry.AIRTIME_24, "airtime24"), (telemetry.AIRTIME_5, "airtime5")):
            figures[name] = _share(wireless.part(key).number("chan_util", 0, _PERCENT), _PERCENT)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _share(figure: float | None, whole: float) -> float | None:
    return None if figure is None else min(figure / whole, 1.0)


def _memory(statistics: Fields) -> float | None:
    """Share of the memory in use."""
    if "memory_usage" in statistics:
        return statistics.number("memory_usage", 0, 1)
    memory = statistics.part("memory")
    total, available = memory.number("total", 1), memory.number("available", 0)
    if available is None:
        parts = [memory.number(key, 0) for key in ("free", "buffers", "cached")]
        available = sum(part or 0.0 for part in parts) if parts[0] is not None else None
    if total is None or available is None:
        return None
    return min(max(1 - available / total, 0.0), 1.0)


def _tqs(answer: _Answer) -> Iterator[float]:
    """All figures of batman-adv in an answer that are above 0."""
    batadv = answer.neighbours.part("batadv")
    for local in batadv.names():
        neighbours = batadv.part(local).part("neighbours")
        for remote in neighbours.names():
            tq = finite(neighbours.part(remote).value("tq"))
            if tq is not None and tq > 0:
                yield tq


def _of_batadv(collector: Collector, answer: _Answer, metric: str) -> Iterator[_Heard]:
    batadv = answer.neighbours.part("batadv")
    for local in batadv.names():
        neighbours = batadv.part(local).part("neighbours")
        for remote in neighbours.names():
            entry = f"{answer.entry}.batadv.{local}.{remote}"
            tq = neighbours.part(remote).number("tq", 0)
            forth = None if tq is None else metrics.of_tq(tq)
            if metric == metrics.THROUGHPUT:
                forth = None
            elif forth is None:
                collector.alter(STRANGE_QUALITIES, entry, "it has no tq of 0 to 255: not known")
            yield _Heard(local, remote, entry, Half(forth, cost=tq, metric=metric))


def _of_babel(answer: _Answer) -> Iterator[_Heard]:
    babel = answer.neighbours.part("babel")
    for name in babel.names():
        neighbours = babel.part(name).part("neighbours")
        for remote in neighbours.names():
            costs = neighbours.part(remote)
            rx, tx, cost = (costs.number(key, 0) for key in ("rxcost", "txcost", "cost"))
            half = Half(
                None if tx is None else metrics.of_babel_rxcost(tx),
                None if rx is None else metrics.of_babel_rxcost(rx),
                cost,
                up=cost is None or cost < metrics.BABEL_INFINITY,
                kind=_kind_of_name(name),
                metric=metrics.BABEL,
            )
            local = babel.part(name).text("ll-addr")
            yield _Heard(local, remote, f"{answer.entry}.babel.{name}.{remote}", half)


def _kind_of_name(interface: str) -> str:
    if is_tunnel(interface):
        return VPN
    return "wifi" if is_radio(interface) else "other"


def _add_half(
    collector: Collector, node: str, heard: _Heard, interfaces: Mapping[str, str]
) -> None:
    local, remote = heard.local.lower(), heard.remote.lower()
    if collector.node_of(remote) is None:
        collector.leave_out(UNANSWERED, heard.entry, f"no answer is from {shown(remote)}")
        return
    ends = collector.ends(node, remote, heard.entry)
    if ends is not None:
        said = {interfaces.get(local), interfaces.get(remote), heard.half.kind}
        kind = next((each for each in (VPN, "wifi") if each in said), heard.half.kind)
        collector.add_half(ends, replace(heard.half, kind=kind), (local or node, remote))
