"""Read meshviewer.json, the map that Freifunk communities publish.

Format (freifunk/meshviewer, written by yanic): `nodes` with `node_id`, `links` with `source`,
`target`, `type` and two qualities in 0..1: `source_tq` is the delivery from source to target,
`target_tq` the way back. `nodes` is a list, or an object keyed by node id in older files.

A node may have a `location` with `latitude` and `longitude` in degrees, which only pictures use:
one that cannot be read is ignored.

`type` is `wifi`, `vpn` or `other`; another word is kept as a kind of its own, and none means
`other`. A node that is not online, but has links with quality above 0, is kept: the links are
what was measured last, and the mesh detects silent nodes by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from actors.runtime.ids import is_node_id
from actors.topology.invariants import MAX_KINDS
from actors.topology.model import KINDS
from actors.topology.selection import Imported, Published, Wanted, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.document import Document, Record

FORMAT = "meshviewer"
KM_PER_DEGREE = 111.2  # length of a degree of latitude
_MAX_LATITUDE, _MAX_LONGITUDE = 90.0, 180.0


def read(document: Document, wanted: Wanted) -> Imported:
    """Turn a meshviewer map into a topology.

    Raises:
        TopologyError: something in it is missing, malformed or out of range.
    """
    ids, records = _nodes(document)
    links = document.records("links")
    ends = document.ends(links, {name: at for at, name in enumerate(ids)})
    kinds, kind = _kinds(document, links)
    published = Published(
        ids,
        np.array(ends, dtype=np.int64).reshape(-1, 2),
        _qualities(document, links),
        np.array(kind, dtype=np.int64),
        kinds,
    )
    topology, left_out = select(published, wanted, document)
    named = {
        name: record
        for name, record in zip(ids, records, strict=True)
        if name in topology and isinstance(record, dict)
    }
    kept_offline = sum(record.get("is_online") is False for record in named.values())
    warnings = (
        (f"{kept_offline} nodes with links are marked offline by the map; they were kept.",)
        if kept_offline
        else ()
    )
    return Imported(topology, FORMAT, left_out, warnings, _positions(named))


def _nodes(document: Document) -> tuple[list[str], list[Any]]:
    """Ids of all nodes, and the map's entry for each."""
    nodes = document.root.get("nodes")
    if isinstance(nodes, dict):
        ids = [document.node_id(key, f"nodes[{key[:40]!a}]") for key in nodes]
        records: list[Any] = list(nodes.values())
    else:
        records = document.records("nodes")
        ids = []
        for at, record in enumerate(records):
            if "node_id" not in record:
                document.refuse(f"nodes[{at}].node_id", "it is missing", "Give each node its id.")
            ids.append(document.node_id(record["node_id"], f"nodes[{at}].node_id"))
        document.index_of_ids(ids, "nodes[{}].node_id")
    if not ids:
        document.refuse("nodes", "it lists no node", "Give a map with nodes and links.")
    return ids, records


def _positions(nodes: dict[str, Record]) -> dict[str, tuple[float, float]]:
    """Places of the nodes that have one, km east and north of their middle.

    Equirectangular, which is right to a per mille over the extent of a community.
    """
    degrees = {}
    for name, record in nodes.items():
        location = record.get("location")
        if not isinstance(location, dict):
            continue
        latitude, longitude = location.get("latitude"), location.get("longitude")
        if not (isinstance(latitude, int | float) and isinstance(longitude, int | float)):
            continue
        if abs(latitude) <= _MAX_LATITUDE and abs(longitude) <= _MAX_LONGITUDE:
            degrees[name] = float(latitude), float(longitude)
    if not degrees:
        return {}
    middle = np.mean(list(degrees.values()), axis=0)
    east = KM_PER_DEGREE * np.cos(np.radians(middle[0]))
    return {
        name: (float((longitude - middle[1]) * east), float((latitude - middle[0]) * KM_PER_DEGREE))
        for name, (latitude, longitude) in degrees.items()
    }


def _qualities(document: Document, links: list[Record]) -> NDArray[np.float64]:
    """Qualities of all links, float64 [n_links, 2] in [0, 1]."""
    quality = np.empty((len(links), 2))
    for column, key in enumerate(("source_tq", "target_tq")):
        for at, link in enumerate(links):
            quality[at, column] = value = document.number(link, key, f"links[{at}]")
            if not 0 <= value <= 1:
                document.refuse(
                    f"links[{at}].{key}",
                    f"{value:g} is outside 0..1",
                    "Give the share of frames delivered (batman-adv's TQ divided by 255).",
                )
    return quality


def _kinds(document: Document, links: list[Record]) -> tuple[tuple[str, ...], list[int]]:
    """Names of the kinds of link, the common ones first, and the code of each link."""
    codes = {name: code for code, name in enumerate(KINDS)}
    kind = []
    for at, link in enumerate(links):
        name = document.text(link, "type", f"links[{at}]", default="other")
        if name not in codes and (not is_node_id(name) or len(codes) == MAX_KINDS):
            document.refuse(
                f"links[{at}].type", f"{name[:40]!a} is not a kind of link", "Use wifi or vpn."
            )
        kind.append(codes.setdefault(name, len(codes)))
    return tuple(codes), kind
