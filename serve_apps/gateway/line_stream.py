"""Messages in lines (NDJSON), sent while they still come.

While one chunk is on its way to the mesh the next one is gathered, and when that is full nothing
more is read: no more than two chunks are held, however long the body is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.runtime.errors import X0Error
from serve_apps.gateway import decoding
from serve_apps.gateway.lines import Lines
from serve_apps.gateway.tally import Tally
from serve_apps.web.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.gateway.send_batcher import SendOutcome


class LineStream:
    """Sends the lines of one body.

    Args:
        gateway: the gateway that takes the messages.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._limits = gateway.limits
        self._tally = Tally()
        self._chunk: list[bytes | None] = []
        self._bytes = 0  # size of the chunk
        self._call: asyncio.Task[SendOutcome] | None = None

    async def send(self, parts: AsyncIterator[bytes]) -> Tally:
        """Send what comes, to its end or to the first error that is not of one message alone.

        Raises:
            X0Error: that error, if nothing was sent before.
        """
        try:
            await self._send(parts)
        except X0Error as error:
            why = await self._last_word(error)
            if not self._tally.count:
                raise why from None
            self._tally.cut(decoding.refusal_of(why))
        finally:
            if self._call is not None:  # the sender has gone
                self._call.cancel()
        return self._tally

    async def _last_word(self, error: X0Error) -> X0Error:
        """What ended the stream, once the chunk under way is settled: that comes first."""
        try:
            await self._settle()
        except X0Error as earlier:
            return earlier
        return error

    async def _send(self, parts: AsyncIterator[bytes]) -> None:
        lines = Lines(self._limits.line_bytes)
        async for part in parts:
            await self._gather(lines.feed(part))
        await self._gather(lines.rest())
        while self._chunk:
            await self._dispatch()
        await self._settle()

    async def _gather(self, lines: list[bytes | None]) -> None:
        self._chunk += lines
        self._bytes += _size(lines)
        limits = self._limits
        while len(self._chunk) >= limits.chunk_lines or self._bytes >= limits.chunk_bytes:
            await self._dispatch()
        if self._chunk and (self._call is None or self._call.done()):
            await self._dispatch()

    async def _dispatch(self) -> None:
        """Send a chunk as soon as the one before it has been taken."""
        await self._settle()
        size = self._limits.chunk_lines
        chunk, self._chunk = self._chunk[:size], self._chunk[size:]
        self._bytes = _size(self._chunk)
        self._check(len(chunk))
        self._call = asyncio.create_task(self._one_chunk(chunk))

    async def _one_chunk(self, chunk: list[bytes | None]) -> SendOutcome:
        naming = self._gateway.view.naming
        found = await asyncio.to_thread(decoding.lines, chunk, naming)
        return await self._gateway.send(found)

    async def _settle(self) -> None:
        if self._call is None:
            return
        call, self._call = self._call, None
        self._tally.add(await call)

    def _check(self, more: int) -> None:
        limits, tally = self._limits, self._tally
        if tally.count + more > limits.upload_messages or tally.refused > limits.upload_refusals:
            raise TooLarge(
                "too many messages in one request",
                f"{limits.upload_messages} are allowed, of which {limits.upload_refusals} refused",
                "Send the others in another request.",
            )


def _size(lines: list[bytes | None]) -> int:
    return sum(len(line) for line in lines if line)
