"""The UDP sockets that ask respondd: one for IPv6 and one for IPv4, as far as they are needed.

They stay open between polls, since answers to a group may be late: nodes wait a random time, so as
not to answer all at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Final

from actors.observe.sources.respondd_book import Peer
from actors.observe.sources.respondd_datagram import MAX_DATAGRAM, REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BUFFER: Final = 4 * 2**20  # bytes that the kernel keeps for us: the answers of 1,000 nodes at once
_RCVBUFFORCE: Final = 33  # of <asm-generic/socket.h>; Python has no name for it
_AT_ONCE: Final = 64  # datagrams taken before others may run
_PACE: Final = 100  # single nodes asked at once
_PACE_S: Final = 0.05  # pause after them: their answers come without the nodes' random delay


class RespondSocket:
    """Open sockets.

    Args:
        families: `AF_INET6`, `AF_INET` or both.
        received: is told of each datagram: from where, what, and when, Unix time, s.
    """

    def __init__(
        self, families: set[socket.AddressFamily], received: Callable[[Peer, bytes, float], None]
    ) -> None:
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}
        try:
            for family in families:
                self._open(family)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close them."""
        for one in self._sockets.values():
            self._loop.remove_reader(one)
            one.close()
        self._sockets.clear()

    async def ask(self, peers: Sequence[Peer]) -> dict[Peer, str]:
        """Send the request to each address, paced; why it cannot be sent, by address."""
        failed: dict[Peer, str] = {}
        for at, peer in enumerate(peers, 1):
            try:
                if not self._sent(peer):  # the kernel has no room at the moment
                    await asyncio.sleep(_PACE_S)
                    self._send(peer)
            except OSError as error:
                failed[peer] = (error.strerror or type(error).__name__).lower()
            if at % _PACE == 0:
                await asyncio.sleep(_PACE_S)
        return failed

    def _sent(self, peer: Peer) -> bool:
        """Send the request; False if the kernel has no room for it at the moment."""
        try:
            self._send(peer)
        except BlockingIOError:
            return False
        return True

    def _send(self, peer: Peer) -> None:
        one = self._sockets[socket.AF_INET6 if ":" in peer.host else socket.AF_INET]
        if one.family == socket.AF_INET:
            one.sendto(REQUEST, peer[:2])
            return
        # A scope in the address is heeded for link-local ones only, not for ff05::/16.
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, peer.scope)
        one.sendto(REQUEST, (peer.host, peer.port, 0, peer.scope))

    def _open(self, family: socket.AddressFamily) -> None:
        one = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets[family] = one
        one.setblocking(False)  # noqa: FBT003 - its only parameter
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with contextlib.suppress(PermissionError):  # above the limit only with CAP_NET_ADMIN
            one.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        one.bind(("", 0))
        self._loop.add_reader(one, self._readable, one)

    def _readable(self, one: socket.socket) -> None:
        now = time.time()
        for _ in range(_AT_ONCE):
            try:
                # One byte more than is allowed tells an answer that is too large.
                datagram, sender = one.recvfrom(MAX_DATAGRAM + 1)
            except OSError:  # nothing more, or an error of an earlier request
                return
            scope = sender[3] if len(sender) == 4 else 0
            self._received(Peer(sender[0].partition("%")[0], sender[1], scope), datagram, now)
