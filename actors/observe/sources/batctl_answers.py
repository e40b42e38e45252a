"""What `batctl` tells of batman-adv on one host, by several queries, as one reading.

`mesh_json` (an object) is the host itself, `hardifs_json` its interfaces; `originators_json`,
`neighbors_json` and `gateways_json` are lists that `formats.batman` reads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from actors.runtime.ids import is_node_id
from actors.topology.formats import batman
from actors.topology.formats.document import Document, parse_json, refuse, text_of
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.network import Reading

REQUIRED: Final = ("mesh_json", "originators_json")
OPTIONAL: Final = ("neighbors_json", "gateways_json", "hardifs_json")
_LISTS: Final = ("neighbors_json", "originators_json", "gateways_json")

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
    mesh = told["mesh_json"]
    if not isinstance(mesh, dict) or not is_node_id(_mac(mesh, "hard_address")):
        _refuse(source)
    whole = Document(source, told)
    records = [each for query in _LISTS for each in whole.bounded(told.get(query, []), query)]
    host = _mac(mesh, "hard_address")
    reading = batman.read_batctl(Document(source, records), host)
    own = _host(host, mesh, _objects(told.get("hardifs_json")), _objects(told.get("gateways_json")))
    notes = reading.notes
    if mesh.get("algo_name") == "BATMAN_V":
        notes = (*notes, "BATMAN_V measures throughput, which says nothing about delivery.")
    nodes = tuple(
        own if node.id == host else replace(node, addresses=(node.id,)) for node in reading.nodes
    )
    return replace(
        reading, nodes=nodes, records=reading.records + 1, implied=reading.implied - 1, notes=notes
    )


def _host(name: str, mesh: Record, interfaces: list[Record], gateways: list[Record]) -> NetworkNode:
    """The host itself."""
    own = [_mac(mesh, "mesh_address"), *(_mac(each, "hard_address") for each in interfaces)]
    best = next((each for each in gateways if each.get("best") is True), {})
    mode = mesh.get("gw_mode")
    return NetworkNode(
        name,
        addresses=tuple(dict.fromkeys((name, *filter(None, own)))),
        online=True,
        gateway=mode == "server" if isinstance(mode, str) else None,
        nexthop=_mac(best, "router"),
    )


def _objects(value: object) -> list[Record]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mac(record: Record, key: str) -> str:
    value = record.get(key)
    return value.lower() if isinstance(value, str) else ""


def _refuse(source: str) -> NoReturn:
    refuse(
        source,
        "mesh_json.hard_address",
        "it is missing, so nobody knows whose neighbours these are",
        "Give the command up to the query: `batctl meshif bat0`.",
    )
