"""What a device pushes to OpenWISP is one node, with its neighbours on mesh radios."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import telemetry
from actors.topology.errors import TopologyError
from actors.topology.formats import content, openwisp
from actors.topology.formats.document import Document

PUSH = {
    "type": "DeviceMonitoring",
    "general": {"hostname": "roof", "local_time": 1519645078, "uptime": 3600},
    "resources": {
        "load": [32768, 15456, 6624],
        "memory": {"total": 1000, "free": 300, "buffered": 100, "cached": 100, "shared": 5},
        "disk": [
            {"mount_point": "/tmp", "used_percent": 99},  # noqa: S108 - of the device
            {"mount_point": "/", "used_percent": 7},
        ],
    },
    "interfaces": [
        {"name": "lo", "addresses": [{"address": "127.0.0.1", "family": "ipv4"}]},
        {
            "name": "br-lan",
            "mac": "AA:00:00:00:00:01",
            "addresses": [{"address": "FD00::1"}, {"address": None}],
        },
        {
            "name": "mesh0",
            "mac": "AA:00:00:00:00:02",
            "wireless": {
                "mode": "802.11s",
                "clients": [{"mac": "BB:00:00:00:00:02", "signal": -70}, {"mac": None}, 7],
            },
        },
        {
            "name": "wlan0",
            "mac": "AA:00:00:00:00:03",
            "wireless": {"mode": "access_point", "clients": [{"mac": "x"}, {"mac": "y"}]},
        },
    ],
}


def test_a_push_is_a_node_and_its_neighbours() -> None:
    """Told by its content, as every format is."""
    reading = content.read(json.dumps(PUSH).encode(), "push")
    device, peer = reading.nodes
    assert (device.id, device.name, device.clients) == ("aa:00:00:00:00:01", "roof", 2)
    assert device.addresses == (
        "aa:00:00:00:00:01",
        "fd00::1",
        "aa:00:00:00:00:02",
        "aa:00:00:00:00:03",
    )
    assert device.telemetry == {
        telemetry.UPTIME_S: 3600.0,
        telemetry.LOAD: 0.5,
        telemetry.MEMORY: 0.5,
        telemetry.ROOTFS: 0.07,
    }
    assert peer.id == "bb:00:00:00:00:02"
    (link,) = reading.links
    assert (link.kind, link.quality, link.up) == ("wifi", (None, None), True)
    assert reading.records + reading.implied == 2 + 1


def test_the_sender_may_be_known_by_an_id() -> None:
    """Then that is the device's, and two pushes of it are one node."""
    reading = openwisp.read_push(Document("push", {**PUSH, "interfaces": []}), "device-7")
    assert [node.id for node in reading.nodes] == ["device-7"]
    assert reading.nodes[0].clients is None


def test_a_push_of_nobody_is_refused() -> None:
    """Nothing says which device it is of."""
    with pytest.raises(TopologyError, match="which device"):
        openwisp.read_push(Document("push", {"type": "DeviceMonitoring"}))


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
PATHS = [
    ("general",), ("resources",), ("interfaces",), ("general", "uptime"), ("resources", "load"),
    ("resources", "memory"), ("resources", "disk"), ("interfaces", 2, "wireless"),
    ("interfaces", 2, "wireless", "clients"), ("interfaces", 1, "mac"), ("interfaces", 1),
    ("interfaces", 1, "addresses"),
]  # fmt: skip


@given(st.sampled_from(PATHS), ANY)
def test_any_value_anywhere_costs_itself(path: tuple[Any, ...], value: Any) -> None:
    """The rest is read, and every record is accounted for."""
    root = json.loads(json.dumps(PUSH))
    holder = root
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    reading = openwisp.read_push(Document("push", root), "device")
    assert reading.nodes[0].id == "device"
    found = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == found
