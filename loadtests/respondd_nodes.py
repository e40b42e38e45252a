"""Nodes that answer respondd, written from the protocol, to test and measure who asks them.

Protocol (Gluon's respondd): a UDP datagram `GET name name...` is answered with one datagram, the
raw deflate (RFC 1951) of a JSON object with a member for each name that is known.
"""

from __future__ import annotations

import json
import random
import selectors
import socket
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

KNOWN = ("nodeinfo", "statistics", "neighbours")


def mac(at: int) -> str:
    """Address of the one mesh interface of node `at`."""
    return f"02:00:00:{at >> 16 & 255:02x}:{at >> 8 & 255:02x}:{at & 255:02x}"


def sections(at: int, n: int) -> dict[str, Any]:
    """What node `at` of a ring of `n` says: it hears both of its neighbours and one across."""
    near = sorted({(at - 1) % n, (at + 1) % n, (at + n // 2) % n} - {at})
    return {
        "nodeinfo": {
            "node_id": f"{at:012x}",
            "hostname": f"node-{at}",
            "network": {
                "mac": mac(at),
                "addresses": [f"fe80::{at:x}", f"2001:db8::{at:x}"],
                "mesh": {"bat0": {"interfaces": {"wireless": [mac(at)]}}},
            },
            "hardware": {"model": "TP-Link Archer C7 v2", "nproc": 1},
            "software": {"firmware": {"base": "gluon-v2023.1", "release": "1.0"}},
            "system": {"site_code": "ffxx", "domain_code": "dom1"},
        },
        "statistics": {
            "node_id": f"{at:012x}",
            "clients": {"total": at % 7, "wifi": at % 7, "wifi24": at % 7, "wifi5": 0},
            "uptime": 86400.5 + at,
            "loadavg": 0.1,
            "memory": {"total": 126248, "free": 70000, "buffers": 3000, "cached": 9000},
            "traffic": {name: {"bytes": 10**9 + at} for name in ("rx", "tx", "forward")},
            "gateway": mac(0),
            "gateway_tq": 200,
        },
        "neighbours": {
            "node_id": f"{at:012x}",
            "batadv": {
                mac(at): {
                    "neighbours": {
                        mac(other): {"tq": 255 - (at + other) % 100, "lastseen": 0.5, "best": True}
                        for other in near
                    }
                }
            },
        },
    }


def deflated(value: object, *, ended: bool = True) -> bytes:
    """Raw deflate; without its final block if it is not ended, as real answers may be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(json.dumps(value).encode())
    return body + packer.flush(zlib.Z_FINISH if ended else zlib.Z_SYNC_FLUSH)


def troubled(at: int, turn: int, answer: bytes) -> list[tuple[float, bytes]]:
    """Have some nodes misbehave.

    Of each hundred nodes five lose their first answer, two cut it short, two send too much once,
    two send it twice, four are slow, and one sends nothing at all.
    """
    kind = at % 100
    if kind < 5:
        return [(0.0, answer)] if turn else []
    if kind < 7:
        return [(0.0, answer if turn else answer[: len(answer) // 2])]
    if kind < 9:
        return [(0.0, answer if turn else answer + bytes(9000))]
    if kind < 11:
        return [(0.0, answer), (0.1, answer)]
    if kind < 15:
        return [(1.5, answer)]
    return [(0.0, answer)] if kind < 99 else []


def as_it_is(_at: int, _turn: int, answer: bytes) -> list[tuple[float, bytes]]:
    """Send each answer at once, unaltered."""
    return [(0.0, answer)]


@dataclass
class Responder:
    """Nodes on loopback addresses, in a thread of their own.

    Args:
        n: number of nodes; node `at` is 127.77.x.y, where x and y are the bytes of `at` + 1.
        mangle: what node `at` sends at its `turn`-th request (from 0): after how many seconds, and
            which bytes.
            said: what a node says, given its number and `n`.

    Attributes:
        port: UDP port of all nodes.
        asked: number of requests that each node had.
        group: an address where one request is answered by all, each from its own address.
        silent: nodes that hear requests and do not answer.
    """

    n: int
    mangle: Callable[[int, int, bytes], list[tuple[float, bytes]]] = as_it_is
    said: Callable[[int, int], dict[str, Any]] = sections
    port: int = 0
    asked: list[int] = field(default_factory=list)
    group: str = "127.78.0.1"
    silent: set[int] = field(default_factory=set)

    def host(self, at: int) -> str:
        """Where node `at` answers."""
        return f"127.77.{at + 1 >> 8}.{at + 1 & 255}"

    def answer(self, at: int) -> bytes:
        """What node `at` answers."""
        return deflated(self.said(at, self.n), ended=at % 2 == 0)

    @property
    def hosts(self) -> Sequence[str]:
        """Where they answer."""
        return [self.host(at) for at in range(self.n)]

    def __enter__(self) -> Self:
        self.asked = [0] * self.n
        self._selector = selectors.DefaultSelector()
        self._nodes: list[socket.socket] = []
        self._due: list[tuple[float, float, int, bytes, tuple[str, int]]] = []
        self._ends = False
        self._open(self.group, None)
        for at in range(self.n):
            self._nodes.append(self._open(self.host(at), at))
        self._ready = {at: self.answer(at) for at in range(self.n)}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _open(self, host: str, at: int | None) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((host, self.port))
        self.port = one.getsockname()[1]
        self._selector.register(one, selectors.EVENT_READ, at)
        return one

    def _serve(self) -> None:
        while not self._ends:
            for key, _ in self._selector.select(0.005):
                request, sender = key.fileobj.recvfrom(2048)  # type: ignore[union-attr]
                for at in range(self.n) if key.data is None else (key.data,):
                    self._answer(at, request, sender)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, at, answer, sender = heappop(self._due)
                self._nodes[at].sendto(answer, sender)

    def _answer(self, at: int, request: bytes, sender: tuple[str, int]) -> None:
        turn, self.asked[at] = self.asked[at], self.asked[at] + 1
        words = request.decode().split()
        if at in self.silent or words[:1] != ["GET"] or not set(words[1:]) <= set(KNOWN):
            return
        for delay_s, answer in self.mangle(at, turn, self._ready[at]):
            heappush(self._due, (time.monotonic() + delay_s, random.random(), at, answer, sender))


def serve(n: int, mangle: str) -> None:
    """Answer for `n` nodes until stdin ends; the port is printed first."""
    with Responder(n, {"as_it_is": as_it_is, "troubled": troubled}[mangle]) as nodes:
        sys.stdout.write(f"{nodes.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
