"""What a device pushes to OpenWISP: NetJSON DeviceMonitoring, every five minutes by default.

Format (openwrt-openwisp-monitoring): `general` with `hostname` and `uptime`, `resources` with
`load`, `memory` and `disk`, `interfaces` with `mac`, `addresses` and, if they are radios,
`wireless.mode` and `wireless.clients`. On a mesh interface (`802.11s`, `adhoc`) clients are the
neighbours, whom only the signal is told of: links of an unknown quality.

A push is about one device and its links. The device's id is in the URL it is sent to; without one
the MAC address of its first interface is its id. The device's own clock is not relied on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.topology import telemetry
from actors.topology.formats.collector import NO_RECORDS, Collector, Half
from actors.topology.formats.document import refuse
from actors.topology.formats.fields import type_name
from actors.topology.network import NetworkNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.formats.document import Document
    from actors.topology.formats.fields import Fields
    from actors.topology.network import Reading

TYPE: Final = "DeviceMonitoring"  # as the document calls itself
FORMAT: Final = "OpenWISP DeviceMonitoring"
_MESH_MODES: Final = ("802.11s", "adhoc")
_FIXED_POINT: Final = 65_536  # loads as the kernel's sysinfo(2) gives them are whole numbers
_PERCENT: Final = 100


def read_push(document: Document, node: str = "") -> Reading:
    """Read what one device pushed.

    Args:
        document: the push.
        node: id of the device, if its sender is known by one.

    Raises:
        TopologyError: the device has neither an id nor an interface with an address.
    """
    collector = Collector(document.source, FORMAT, implies=True)
    whole = collector.fields(document.root, "")
    interfaces = [
        collector.fields(each, f"interfaces[{at}]")
        for at, each in enumerate(_objects(collector, document.root, "interfaces"))
    ]
    addresses = tuple(dict.fromkeys(each for one in interfaces for each in _addresses(one)))
    macs = [mac.lower() for one in interfaces if (mac := one.text("mac"))]
    name = node or next(iter(macs), "")
    if not name:
        refuse(
            document.source,
            "interfaces",
            "none has a mac, and nothing else says which device this is",
            "Push the interfaces too, or use the device's id as the sender's name.",
        )
    general = whole.part("general")
    collector.add_node(
        NetworkNode(
            name,
            name=general.text("hostname"),
            addresses=addresses,
            online=True,
            clients=_clients(interfaces),
            model=general.text("model"),
            firmware=general.text("firmware"),
            telemetry=_telemetry(general, whole.part("resources")),
        )
    )
    for interface in interfaces:
        _add_neighbours(collector, name, interface)
    return collector.reading()


def _objects(collector: Collector, record: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = record.get(key)
    if not isinstance(value, list):
        return []
    for at, each in enumerate(value):
        if not isinstance(each, dict):
            collector.leave_out(NO_RECORDS, f"{key}[{at}]", f"it is {type_name(each)}")
    return [each for each in value if isinstance(each, dict)]


def _addresses(interface: Fields) -> Iterator[str]:
    """MAC and IP addresses of an interface."""
    if mac := interface.text("mac"):
        yield mac.lower()
    told = interface.value("addresses")
    for each in told if isinstance(told, list) else []:
        address = each.get("address") if isinstance(each, dict) else None
        # 127.0.0.1 and ::1 are everybody's.
        if isinstance(address, str) and address and not address.startswith(("127.", "::1")):
            yield address.lower()


def _peers(interface: Fields) -> list[str]:
    told = interface.part("wireless").value("clients")
    found = (
        [each.get("mac") for each in told if isinstance(each, dict)]
        if isinstance(told, list)
        else []
    )
    return [mac.lower() for mac in found if isinstance(mac, str) and mac]


def _clients(interfaces: list[Fields]) -> int | None:
    """People's devices at its access points; None if it has none."""
    points = [one for one in interfaces if one.part("wireless").text("mode") == "access_point"]
    return sum(len(_peers(one)) for one in points) if points else None


def _add_neighbours(collector: Collector, name: str, interface: Fields) -> None:
    if interface.part("wireless").text("mode") not in _MESH_MODES:
        return
    own = interface.text("mac").lower()
    for peer in _peers(interface):
        ends = collector.ends(name, peer, f"interfaces.{interface.text('name')}.{peer}")
        if ends is not None:
            collector.add_half(ends, Half(None, kind="wifi"), (own, peer))


def _telemetry(general: Fields, resources: Fields) -> dict[str, float]:
    figures = {
        telemetry.UPTIME_S: general.number("uptime", 0),
        telemetry.LOAD: _load(resources.value("load")),
        telemetry.MEMORY: _memory(resources.part("memory")),
        telemetry.ROOTFS: _root(resources.value("disk")),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _load(value: object) -> float | None:
    """Load of the last minute, the first of three."""
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, bool) or not isinstance(first, int | float) or not 0 <= first < 1e9:
        return None
    return first / _FIXED_POINT if isinstance(first, int) else first


def _memory(memory: Fields) -> float | None:
    total, available = memory.number("total", 1), memory.number("available", 0)
    if available is None and (free := memory.number("free", 0)) is not None:
        parts = [memory.number(key, 0) or 0.0 for key in ("buffered", "cached")]
        available = free + sum(parts)
    if total is None or available is None:
        return None
    return min(max(1 - available / total, 0.0), 1.0)


def _root(value: object) -> float | None:
    """Share in use of the file system at `/`."""
    for disk in value if isinstance(value, list) else []:
        if isinstance(disk, dict) and disk.get("mount_point") == "/":
            used = disk.get("used_percent")
            if isinstance(used, int | float) and 0 <= used <= _PERCENT:
                return used / _PERCENT
    return None
