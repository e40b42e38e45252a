"""What `batctl` tells of batman-adv on one host, as JSON.

batctl(8) prints `mesh_json` (an object: the host itself), `hardifs_json` (its interfaces),
`originators_json` (per originator and next hop: `orig_address`, `neigh_address`, `hard_ifname`,
`tq` or `throughput`, `last_seen_msecs`), `neighbors_json` (who is heard directly) and
`gateways_json`. A neighbour's TQ is that of the originator which is its own next hop.

A host knows its own links. Nodes behind its neighbours are known as originators, not how they are
joined; they are told in a note, and not guessed at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.topology.formats import metrics
from actors.topology.formats.collector import Collector, Half
from actors.topology.formats.document import parse_json, text_of
from actors.topology.link_kinds import VPN, is_tunnel
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.network import Reading

FORMAT: Final = "batctl"
REQUIRED: Final = ("mesh_json", "originators_json")
OPTIONAL: Final = ("neighbors_json", "gateways_json", "hardifs_json")
_SILENT_MS: Final = 60_000  # a neighbour that was heard so long ago is down

Record = dict[str, Any]


def read(answers: Mapping[str, bytes], source: str) -> Reading:
    """The host and its neighbours.

    Args:
        answers: what batctl printed, by query; `OPTIONAL` ones may be absent.
        source: name of the source.

    Raises:
        TopologyError: an answer is no JSON, or the host is not told.
    """
    told = {query: parse_json(text_of(body, source), source) for query, body in answers.items()}
    collector = Collector(source, FORMAT)
    originators = _records(told.get("originators_json"))
    gateways = _records(told.get("gateways_json"))
    host = told.get("mesh_json")
    best = next((g for g in gateways if g.get("best") is True), {})
    own = _add_host(collector, host, _records(told.get("hardifs_json")), _mac(best, "router"))
    if own is None:
        return collector.reading()  # refuses what has no node
    leading = {_mac(record, "orig_address") for record in gateways}
    heard = _heard(originators, _records(told.get("neighbors_json")))
    for at, record in enumerate(heard):
        _add_neighbour(collector, own, record, leading, f"originators_json[{at}]")
    beyond = {_mac(each, "orig_address") for each in originators}
    beyond -= {_mac(each, "neigh_address") for each in heard} | {""}
    if beyond:
        collector.note(
            f"{len(beyond):,} nodes behind the neighbours are reached; batctl does not tell how "
            "they are joined. Ask them too, or read batadv-vis or respondd."
        )
    return collector.reading()


def _heard(originators: list[Record], neighbours: list[Record]) -> list[Record]:
    """A record for each neighbour and interface, with its quality if there is one."""
    direct: dict[tuple[str, object], Record] = {}
    for record in (*neighbours, *originators):
        address = _mac(record, "neigh_address")
        if "orig_address" not in record or _mac(record, "orig_address") == address:
            key = address, record.get("hard_ifname")
            direct[key] = direct.get(key, {}) | record
    return list(direct.values())


def _add_host(
    collector: Collector, host: object, interfaces: list[Record], nexthop: str
) -> str | None:
    """Take the host itself; its id."""
    record = host if isinstance(host, dict) else {}
    name = collector.new_id(_mac(record, "hard_address") or None, "mesh_json.hard_address")
    if name is None:
        return None
    own = [_mac(record, "mesh_address"), *(_mac(each, "hard_address") for each in interfaces)]
    addresses = tuple(dict.fromkeys((name, *filter(None, own))))
    mode = record.get("gw_mode")
    collector.add_node(
        NetworkNode(
            name,
            addresses=addresses,
            online=True,
            gateway=mode == "server" if isinstance(mode, str) else None,
            nexthop=nexthop,
        )
    )
    if str(record.get("algo_name")) == "BATMAN_V":
        collector.note("BATMAN_V measures throughput, which says nothing about delivery.")
    return name


def _add_neighbour(
    collector: Collector, own: str, record: Record, leading: set[str], entry: str
) -> None:
    """Take one neighbour and the link to it."""
    address = _mac(record, "neigh_address")
    if address not in collector.nodes:
        name = collector.new_id(address or None, f"{entry}.neigh_address")
        if name is None:
            return
        collector.add_node(NetworkNode(name, addresses=(name,), gateway=name in leading or None))
    else:
        collector.merge()
    fields = collector.fields(record, entry)
    tq = fields.number("tq", 0, metrics.TQ_MAX)
    throughput = fields.number("throughput", 0)
    silent_ms = fields.number("last_seen_msecs", 0)
    interface = fields.text("hard_ifname")
    half = Half(
        None if tq is None else metrics.of_tq(tq),
        cost=throughput if tq is None else tq,
        up=silent_ms is None or silent_ms < _SILENT_MS,
        kind=VPN if is_tunnel(interface) else "other",
        metric=metrics.TQ if tq is not None else metrics.THROUGHPUT if throughput else "",
    )
    collector.add_half((own, address), half, (own, f"{interface} {address}"))


def _records(value: object) -> list[Record]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mac(record: Record, key: str) -> str:
    value = record.get(key)
    return value.lower() if isinstance(value, str) else ""
