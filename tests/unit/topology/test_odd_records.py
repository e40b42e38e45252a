"""Whatever befalls a map: it is read or refused as a whole, and what is intact in it is there."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from actors.topology.errors import TopologyError
from actors.topology.formats.content import read
from actors.topology.selection import Wanted, select

if TYPE_CHECKING:
    from actors.topology.network import Reading

NODES = 6
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def meshviewer() -> dict[str, Any]:
    return {
        "timestamp": "2026-11-29T10:00:00Z",
        "nodes": [
            {
                "node_id": f"n{i}",
                "hostname": f"host{i}",
                "is_online": True,
                "clients": i,
                "lastseen": "2026-11-29T10:00:00Z",
                "uptime": "2026-11-28T10:00:00Z",
                "location": {"latitude": 1.0, "longitude": 2.0},
                "network": {"mac": f"02:0{i}", "addresses": [f"fd00::{i}"]},
                "firmware": {"release": "1"},
            }
            for i in range(NODES)
        ],
        "links": [
            {
                "source": f"n{i}",
                "target": f"n{(i + 1) % NODES}",
                "source_tq": 0.5,
                "target_tq": 0.25,
                "type": "wifi",
            }
            for i in range(NODES)
        ],
    }


def netjson() -> dict[str, Any]:
    ring = [(f"n{i}", f"n{(i + 1) % NODES}") for i in range(NODES)]
    return {
        "type": "NetworkGraph",
        "metric": "ETX",
        "nodes": [
            {"id": f"n{i}", "label": f"host{i}", "local_addresses": [f"10.0.0.{i}"],
             "properties": {"clients": i}}
            for i in range(NODES)
        ],
        "links": [
            {"source": a, "target": b, "cost": 1.5, "properties": {"status": "up"}}
            for a, b in ring + [(b, a) for a, b in ring]
        ],
    }  # fmt: skip


def raw() -> dict[str, Any]:
    def hears(j: int) -> dict[str, Any]:
        return {f"02:0{j % NODES}": {"tq": 200, "lastseen": 1.0}}

    return {
        "version": "1.0.0",
        "nodes": [
            {
                "online": True,
                "lastseen": "2026-11-29T10:00:00Z",
                "nodeinfo": {
                    "node_id": f"n{i}",
                    "hostname": f"host{i}",
                    "network": {"mesh": {"bat0": {"interfaces": {"wireless": [f"02:0{i}"]}}}},
                },
                "statistics": {"clients": {"total": i}, "memory": {"total": 10, "free": 5}},
                "neighbours": {
                    "batadv": {f"02:0{i}": {"neighbours": hears(i + 1) | hears(i - 1)}},
                    "babel": {},
                },
            }
            for i in range(NODES)
        ],
    }


def vis() -> dict[str, Any]:
    return {
        "vis": [
            {
                "primary": f"02:0{i}",
                "secondary": [f"02:1{i}"],
                "neighbors": [
                    {"router": f"02:0{i}", "neighbor": f"02:0{j % NODES}", "metric": "1.200"}
                    for j in (i + 1, i - 1)
                ],
            }
            for i in range(NODES)
        ]
    }


def jsoninfo() -> dict[str, Any]:
    return {
        "mid": [
            {"ipAddress": f"10.0.0.{i}", "aliases": [{"ipAddress": f"10.0.1.{i}"}]}
            for i in range(NODES)
        ],
        "topology": [
            {"lastHopIP": f"10.0.0.{i}", "destinationIP": f"10.0.0.{j % NODES}",
             "linkQuality": 0.5, "neighborLinkQuality": 0.75, "tcEdgeCost": 2731}
            for i in range(NODES)
            for j in (i + 1, i - 1)
        ],
        "hna": [],
    }  # fmt: skip


MAPS = {"meshviewer": meshviewer, "netjson": netjson, "raw": raw, "vis": vis, "jsoninfo": jsoninfo}
LISTS = {"meshviewer": ("nodes", "links"), "netjson": ("nodes", "links"), "raw": ("nodes",),
         "vis": ("vis",), "jsoninfo": ("mid", "topology")}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of everything in a JSON value."""
    found = [path]
    keys = (
        range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    )
    for key in keys:
        found += places(value[key], (*path, key))
    return found


def put(root: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The root with a value in a place, or without what is there if the value is `...`."""
    if not path:
        return None if value is ... else value
    holder = root
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return root


def accounted(reading: Reading) -> None:
    told = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == told
    ids = {node.id for node in reading.nodes}
    assert len(ids) == len(reading.nodes)
    for link in reading.links:
        assert {link.a, link.b} <= ids
        assert link.a != link.b
        assert all(quality is None or 0 <= quality <= 1 for quality in link.quality)


def encoded(root: Any) -> bytes:
    return json.dumps(root).encode("utf-8", errors="surrogatepass")


@given(st.data())
def test_anything_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    """Deleted, null, of another type, or copied from elsewhere: a Reading or a TopologyError."""
    root: Any = MAPS[data.draw(st.sampled_from(sorted(MAPS)))]()
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(places(root)))
        other = data.draw(st.sampled_from(places(root)))
        elsewhere = root
        for step in other:
            elsewhere = elsewhere[step]
        value = data.draw(st.just(...) | JSON | st.just(copy.deepcopy(elsewhere)))
        root = put(root, path, value)
    for quality in ("auto", "babel"):
        try:
            reading = read(encoded(root), "drawn", quality)
            accounted(reading)
            select(reading, Wanted(all_components=True))
        except TopologyError as error:
            assert error.source == "drawn"  # noqa: PT017 - either outcome is right


@given(st.data())
def test_what_is_intact_is_still_there(data: st.DataObject) -> None:
    """A record that is spoilt costs that record, and the links that lead to it."""
    kind = data.draw(st.sampled_from(sorted(MAPS)))
    whole = read(encoded(MAPS[kind]()), kind)
    root = MAPS[kind]()
    listed = data.draw(st.sampled_from(LISTS[kind]))
    at = data.draw(st.integers(0, len(root[listed]) - 1))
    path = data.draw(st.sampled_from(places(root[listed][at], (listed, at))))
    root = put(root, path, data.draw(st.just(...) | JSON))
    reading = read(encoded(root), kind)
    accounted(reading)
    spoilt = whole.nodes[at].id if listed in {"nodes", "vis", "mid"} else ""
    before = {node.id: node.name for node in whole.nodes if node.id != spoilt}
    after = {node.id: node.name for node in reading.nodes}
    assert before.items() <= after.items()

    def pairs(of: Reading) -> set[frozenset[str]]:
        return {frozenset((link.a, link.b)) for link in of.links if spoilt not in (link.a, link.b)}

    lost = pairs(whole) - pairs(reading)
    assert len(lost) <= (listed in {"links", "topology"})


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No bytes at all make the reader fail in another way."""
    for prefix in (b"", b"source,target\n", b"id;name\n", b'{"format":"raw-nodes-jsonl"}\n', b"["):
        try:
            accounted(read(prefix + body, "drawn", companion=body))
        except TopologyError as error:
            assert error.source == "drawn"  # noqa: PT017 - either outcome is right
