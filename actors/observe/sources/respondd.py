"""The source `respondd`: asks Gluon's nodes themselves, as yanic does.

One poll lasts `window_s` at most: a group is asked at once; after half of the time, everybody who
was heard lately and has not answered is asked once more, each by itself. It ends early when all
have answered, with groups not before the half, since nodes that are new answer these only.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Final, NoReturn

from actors.observe.sources import respondd_reading
from actors.observe.sources.respondd_book import Peer, RespondentBook
from actors.observe.sources.respondd_datagram import PORT
from actors.observe.sources.respondd_socket import RespondSocket
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from actors.observe.sources.respondd_targets import Target
    from actors.topology.network import Reading

WINDOW_S: Final = 6.0  # for one poll
_TICK_S: Final = 0.1  # between two looks at what has come
_AT_ONCE: Final = 100  # answers read before others may run: 10 ms


class RespondSource:
    """Nodes that are asked over UDP.

    Args:
        targets: who is asked.
        window_s: longest time of a poll, s.
        groups: hosts among the targets that many answer for, as those do for a multicast address.
    """

    kind = "respondd"

    def __init__(
        self,
        targets: Sequence[Target],
        window_s: float = WINDOW_S,
        groups: Collection[str] = (),
    ) -> None:
        self.name = f"respondd:{','.join(map(str, targets[:3]))}{',...' if targets[3:] else ''}"
        self._groups = tuple(t for t in targets if t.is_group or t.host in groups)
        self._hosts = tuple(t for t in targets if t not in self._groups)
        self._window_s = window_s
        ports = {target.port for target in targets}
        self._book = RespondentBook(ports, anybody=bool(self._groups))
        self._socket: RespondSocket | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but the sockets, which are of this process."""
        return self.__dict__ | {"_socket": None}

    async def poll(self) -> Reading:
        """Ask everybody, and say what is known then. One poll at a time.

        Raises:
            TopologyError: nobody could be asked, or nobody has answered.
        """
        groups = [self._peer(target) for target in self._groups]
        hosts = [self._peer(target) for target in self._hosts]
        if self._socket is None:
            self._socket = self._open([*groups, *hosts])
        began = asyncio.get_running_loop().time()
        self._book.begin(time.time(), hosts)
        failed = await self._socket.ask([*groups, *hosts])
        if len(failed) == len(groups) + len(hosts):
            self._refuse_all(failed)
        half = began + self._window_s / 2
        await self._gather(half, wait=bool(groups))
        again = self._book.missing()
        if again:
            failed |= await self._socket.ask(again)
            await self._gather(began + self._window_s, wait=False)
        self._book.end()
        if not self._book.heard_now:
            self._refuse_silence()
        told = respondd_reading.Told.of(self._book, failed)
        return await asyncio.to_thread(respondd_reading.read, self.name, told)

    async def close(self) -> None:
        """Close the sockets."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _gather(self, until: float, *, wait: bool) -> None:
        """Read answers until a time of the loop, or until everybody known has answered."""
        clock = asyncio.get_running_loop().time
        while True:
            more = True
            while more:
                more = self._book.read_waiting(_AT_ONCE)
                await asyncio.sleep(0)
            left = until - clock()
            if left <= 0 or not (wait or self._book.missing()):
                return
            await asyncio.sleep(min(_TICK_S, left))

    def _open(self, asked: Sequence[Peer]) -> RespondSocket:
        families = {socket.AF_INET6 if ":" in peer.host else socket.AF_INET for peer in asked}
        try:
            return RespondSocket(families, self._book.offer)
        except OSError as error:
            raise TopologyError(
                f"cannot ask {self.name}",
                (error.strerror or str(error)).lower(),
                "Check that this host has IPv6 and may open UDP sockets.",
                source=self.name,
            ) from None

    def _peer(self, target: Target) -> Peer:
        if not target.interface:
            return Peer(target.host, target.port)
        try:
            return Peer(target.host, target.port, socket.if_nametoindex(target.interface))
        except OSError:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise TopologyError(
                f"cannot ask {self.name}",
                f"this host has no network interface {target.interface}",
                f"It has {there}.",
                source=self.name,
            ) from None

    def _refuse_all(self, failed: dict[Peer, str]) -> NoReturn:
        peer, why = next(iter(failed.items()))
        raise TopologyError(
            f"cannot ask {self.name}",
            f"the request to {respondd_reading.shown(peer)} cannot be sent: {why}",
            "Check the addresses, and that the interface is up and has an address.",
            source=self.name,
        )

    def _refuse_silence(self) -> NoReturn:
        faults = self._book.unreadable()
        said = f"; {len(faults):,} answered what cannot be read" if faults else ""
        raise TopologyError(
            f"cannot read {self.name}",
            f"no node has answered within {self._window_s:g} s{said}",
            f"This host must be in the mesh, and UDP from port {PORT} must not be filtered; try "
            f"`gluon-neighbour-info -d ff02::2:1001 -p {PORT} -i INTERFACE -r nodeinfo`.",
            source=self.name,
        )
