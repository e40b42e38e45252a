"""One keep-alive HTTP/1.1 connection that costs the load generator little.

General clients spend more on a request than the server does, and would be measured in its place.
This one writes requests that are bytes already and leaves answers to the parser in C that uvicorn
uses. Invariants: one request is under way at a time; an answer that is cut off raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

TOKEN: Final = "GATEWAY_TOKEN"  # noqa: S105 - the variable that other load generators read it from
_LOST: Final = "the server closed the connection before its answer was whole"


class HttpAnswer(NamedTuple):
    """What came back.

    Attributes:
        status: HTTP status code.
        kind: media type without parameters, or "".
        body: whole.
        seconds: time from the request until the answer was whole.
    """

    status: int
    kind: str
    body: bytes
    seconds: float


class Server(NamedTuple):
    """Where to connect, and what requests to it carry.

    Attributes:
        host: address.
        port: TCP.
        token: bearer token, or "".
    """

    host: str
    port: int
    token: str = ""

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        """A request as it goes over the wire."""
        fields = {"host": f"{self.host}:{self.port}", **(headers or {})}
        if self.token:
            fields["authorization"] = f"Bearer {self.token}"
        if body:
            fields["content-length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    @contextlib.asynccontextmanager
    async def connections(self, count: int) -> AsyncIterator[list[Connection]]:
        """So many connections for the length of a block.

        Raises:
            OSError: the server refuses one.
        """
        opened = await asyncio.gather(*(self.connect() for _ in range(count)))
        try:
            yield opened
        finally:
            for connection in opened:
                connection.close()

    async def connect(self) -> Connection:
        """A new connection.

        Raises:
            OSError: the server refuses it.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self.host, self.port)
        return connection


class Connection(asyncio.Protocol):
    """A connection to a server; `Server.connect` makes one."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[HttpAnswer] | None = None
        self._asked_at = 0.0
        self._kind = ""
        self._parts: list[bytes] = []
        self.closed = False

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send a request and wait for its answer.

        Raises:
            ConnectionError: the connection ended first.
        """
        if self._transport is None or self.closed:
            raise ConnectionResetError(_LOST)
        self._answer = asyncio.get_running_loop().create_future()
        self._asked_at = time.monotonic()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End it; an answer that is waited for is lost."""
        if self._transport is not None:
            self._transport.close()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of create_connection
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._lose(ConnectionError(f"the answer is not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self.closed = True
        self._lose(exc or ConnectionResetError(_LOST))

    def _lose(self, why: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(why)

    # -- httptools -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Another answer."""
        self._kind, self._parts = "", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the media type; servers of a load send no other header that matters."""
        if name.lower() == b"content-type":
            self._kind = value.partition(b";")[0].decode("latin-1").strip().lower()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        answer = HttpAnswer(
            self._parser.get_status_code(),
            self._kind,
            b"".join(self._parts),
            time.monotonic() - self._asked_at,
        )
        if not self._parser.should_keep_alive():
            self.close()
            self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
