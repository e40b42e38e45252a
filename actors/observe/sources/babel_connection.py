"""The connection to one babeld's control socket; it only reads.

It stays open between polls. Bounds: `MAX_LINE` bytes a line, `MAX_LINES` lines an answer; the
caller bounds the time.

With `monitor`, changes are taken in as they come, and `losses` counts the neighbours that were lost
meanwhile; a poll still asks for a dump, since a daemon that hangs sends no changes either.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from actors.observe.sources.babel_table import BabelTable

if TYPE_CHECKING:
    from actors.observe.sources.babel_sockets import ControlSocket

MAX_LINE: Final = 4096
MAX_LINES: Final = 400_000


class BadAnswer(Exception):  # noqa: N818 - named by its condition
    """What answers is no babeld, or refuses; the text says which."""


class BabelConnection:
    """A connection that is made when it is needed, and anew if it broke since.

    Args:
        where: the socket.
        monitor: take in changes between two polls.

    Attributes:
        losses: number of neighbours that were lost since the last call of `read`.
    """

    def __init__(self, where: ControlSocket, *, monitor: bool) -> None:
        self.where = where
        self.losses = 0
        self._monitor = monitor
        self._table = BabelTable()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()  # an answer is complete

    async def read(self) -> BabelTable:
        """The state of the router now.

        Raises:
            OSError: there is no connection, or it broke.
            BadAnswer: what answers is no babeld, or refuses.
        """
        kept = self._streams is not None
        try:
            try:
                await self._read()
            except OSError:
                if not kept:
                    raise
                # The daemon may have been restarted since the last poll.
                await self.close()
                await self._read()
        except BaseException:
            await self.close()
            raise
        return self._table.snapshot()

    async def _read(self) -> None:
        """Bring the table up to date."""
        if self._streams is None:
            await self._connect()
        if self._listening is not None:
            await self._check()
            return
        await self._ask("monitor" if self._monitor else "dump")
        if self._monitor:
            self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Close the connection; the next `read` makes a new one."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def _connect(self) -> None:
        where = self.where
        if where.path:
            self._streams = await asyncio.open_unix_connection(where.path, limit=MAX_LINE)
        else:
            self._streams = await asyncio.open_connection(where.host, where.port, limit=MAX_LINE)
        self._table = BabelTable()
        await self._answer()
        if not self._table.router_id:
            raise BadAnswer("it does not greet as babeld does")

    async def _ask(self, request: str) -> None:
        """Have everything told anew."""
        self._table.begin_dump()
        await self._send(request)
        await self._answer()

    async def _check(self) -> None:
        """See that the daemon still answers; `_listen` reads what it says."""
        assert self._listening is not None  # noqa: S101 - the caller has looked
        if self._listening.done():
            await self._listening  # tells why it has ended
        self._ended.clear()
        await self._send("dump")
        waiting = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({waiting, self._listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._listening.done():
            await self._listening

    async def _listen(self) -> None:
        """Take in changes until the connection breaks."""
        while True:
            line = await self._line()
            if line == "ok":
                self._ended.set()
                continue
            if line.startswith("flush neighbour"):
                self.losses += 1
            self._table.feed(line)

    async def _answer(self) -> None:
        """Read one answer to its end."""
        for _ in range(MAX_LINES):
            line = await self._line()
            if line == "ok":
                return
            if line == "bad" or line.partition(" ")[0] == "no":
                raise BadAnswer(f"it answers {line[:80]!a}")
            self._table.feed(line)
        raise BadAnswer(f"its answer has more than {MAX_LINES:,} lines")

    async def _line(self) -> str:
        assert self._streams is not None  # noqa: S101 - it is connected
        try:
            line = await self._streams[0].readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise ConnectionResetError("it has closed the connection") from None
        except asyncio.LimitOverrunError:
            raise BadAnswer(f"it sends lines of more than {MAX_LINE:,} bytes") from None
        return line.decode(errors="replace").strip()

    async def _send(self, request: str) -> None:
        assert self._streams is not None  # noqa: S101 - it is connected
        self._streams[1].write(f"{request}\n".encode())
        await self._streams[1].drain()
