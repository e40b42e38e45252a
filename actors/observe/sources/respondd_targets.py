"""Whom respondd's questions go to: `WHERE` of a source `respondd:WHERE`.

WHERE is a list with commas. Each entry is
- the name of a network interface: its link-local group `ff02::2:1001` is asked;
- a multicast address with its interface, `ff05::2:1001%br-client`;
- the address of one node, `10.12.0.7`, `fd00::7` or `fe80::7%mesh0`.
An address may have a port: `10.12.0.7:1001`, `[fe80::7%mesh0]:1001`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NoReturn

from actors.observe.sources.respondd_datagram import PORT
from actors.runtime.errors import InvalidInput

GROUP: Final = "ff02::2:1001"  # all nodes on the link of a mesh interface
MAX_TARGETS: Final = 4096
_INTERFACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.@-]{0,14}")  # 15 characters: IFNAMSIZ
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Target:
    """An address that is asked.

    Attributes:
        host: IPv4 or IPv6 address without interface.
        port: UDP port.
        interface: interface of a link-local or multicast address, else "".
    """

    host: str
    port: int = PORT
    interface: str = ""

    @property
    def is_group(self) -> bool:
        """Whether many may answer."""
        return ipaddress.ip_address(self.host).is_multicast

    def __str__(self) -> str:
        if (self.host, self.port) == (GROUP, PORT):
            return self.interface
        host = f"{self.host}%{self.interface}" if self.interface else self.host
        host = f"[{host}]" if ":" in host else host
        return host if self.port == PORT else f"{host}:{self.port}"


def parse(where: str) -> tuple[Target, ...]:
    """Whom a source asks, each once.

    Raises:
        InvalidInput: an entry is neither an address nor the name of an interface.
    """
    entries = [entry.strip() for entry in where.split(",")]
    if len(entries) > MAX_TARGETS:
        _refuse(where, f"it lists {len(entries):,} addresses, and {MAX_TARGETS:,} are allowed")
    return tuple(dict.fromkeys(_target(entry) for entry in entries))


def _target(entry: str) -> Target:
    host, port = _split(entry)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if _INTERFACE.fullmatch(entry):
            return Target(GROUP, PORT, entry)
        _refuse(entry, "it is neither an IP address nor the name of a network interface")
    interface = getattr(address, "scope_id", None) or ""
    if not interface and (address.is_link_local or address.is_multicast) and address.version == 6:
        _refuse(entry, "a link-local or multicast address needs its interface, as in fe80::7%mesh0")
    return Target(str(address).partition("%")[0], port, interface)


def _split(entry: str) -> tuple[str, int]:
    """Address and port of an entry."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::(\d{1,5}))?", entry)
    with_port = bracketed or re.fullmatch(r"([0-9.]+):(\d{1,5})", entry)
    if with_port is None:
        return entry, PORT
    port = int(with_port[2] or PORT)
    if not 0 < port < 2**16:
        _refuse(entry, f"{port} is no UDP port")
    return with_port[1], port


def _refuse(entry: str, why: str) -> NoReturn:
    shown = entry[:_SHOWN] + ("..." if len(entry) > _SHOWN else "")
    raise InvalidInput(
        f"cannot use respondd:{shown}",
        why,
        "Name mesh interfaces (respondd:bat0,mesh-vpn), or addresses of nodes.",
        entry=shown,
    )
