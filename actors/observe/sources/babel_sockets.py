"""Where babeld's control sockets are: `WHERE` of a source `babeld:WHERE`.

WHERE is a list with commas, one entry a router: `[NAME=]PORT`, `[NAME=]HOST:PORT` or
`[NAME=]/PATH`. babeld listens with `-g PORT` on `::1` alone, with `-g /PATH` on a Unix socket; both
are read-only. With a name, the router is called so, and keeps its id when its router id changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from actors.runtime.errors import InvalidInput
from actors.runtime.ids import is_node_id

MAX_ROUTERS: Final = 1024
HOST: Final = "::1"  # where babeld listens
_SHOWN: Final = 60
_TCP: Final = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):)?(?P<port>\d+)")


@dataclass(frozen=True, slots=True)
class ControlSocket:
    """The control socket of one babeld.

    Attributes:
        name: what its operator calls the router, or "".
        host: host of a TCP socket, or "".
        port: its port, or 0.
        path: path of a Unix socket, or "".
    """

    name: str = ""
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(where: str) -> tuple[ControlSocket, ...]:
    """The sockets that a source reads.

    Raises:
        InvalidInput: an entry is no socket, or a name or socket is given twice.
    """
    entries = [entry.strip() for entry in where.split(",")]
    if len(entries) > MAX_ROUTERS:
        _refuse(where, f"it lists {len(entries):,} routers, and {MAX_ROUTERS:,} are allowed")
    sockets = tuple(_socket(entry) for entry in entries)
    for seen in ([s.name for s in sockets if s.name], [str(s) for s in sockets]):
        twice = next((each for each in seen if seen.count(each) > 1), None)
        if twice is not None:
            _refuse(twice, "it is given twice")
    return sockets


def _socket(entry: str) -> ControlSocket:
    name, equals, rest = entry.partition("=")
    if not equals or "/" in name:
        name, rest = "", entry
    elif not is_node_id(name):
        _refuse(entry, "the name before = is not valid as a node id")
    if "/" in rest:
        return ControlSocket(name, path=rest)
    found = _TCP.fullmatch(rest)
    if found is None or not 0 < int(found["port"]) < 2**16:
        _refuse(entry, "it is neither a port, HOST:PORT nor the path of a socket")
    return ControlSocket(name, host=(found["host"] or HOST).strip("[]"), port=int(found["port"]))


def _refuse(entry: str, why: str) -> NoReturn:
    shown = entry[:_SHOWN] + ("..." if len(entry) > _SHOWN else "")
    raise InvalidInput(
        f"cannot use babeld:{shown}",
        why,
        "Give the port or path after babeld's -g: babeld:33123, babeld:gw=/run/babeld.sock.",
        entry=shown,
    )
