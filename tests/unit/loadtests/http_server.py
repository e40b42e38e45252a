"""A real server on loopback that answers as a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from loadtests.http_connection import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Reply = Callable[[bytes, bytes], bytes | None]


def response(status: int, body: bytes = b"ok", kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextlib.asynccontextmanager
async def serving(
    reply: Reply, *, piece: int = 65_536, once: bool = False
) -> AsyncIterator[Server]:
    """A server that answers each request with `reply(head, body)`, `piece` bytes at a time.

    It hangs up instead where that is None, and after the first answer with `once`.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length:")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                answer = reply(head, body)
                if answer is None:
                    break
                for at in range(0, len(answer), piece):
                    writer.write(answer[at : at + piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                if once:
                    break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield Server("127.0.0.1", server.sockets[0].getsockname()[1], "secret")
    finally:
        server.close()
