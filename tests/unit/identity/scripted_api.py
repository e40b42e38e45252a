"""A Workload API on a Unix socket that says what a test tells it to, right or wrong."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from spiffe._proto import workload_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PATIENCE_S = 60.0  # for a condition, on a slow machine
_SERVICE = "SpiffeWorkloadAPI"

# What a stream is told to do: send a message or bytes that are none, end with a status.
Saying = messages.X509SVIDResponse | messages.JWTBundlesResponse | bytes | grpc.StatusCode


class Stream:
    """What one method of the API says to all who follow it.

    Attributes:
        first: what a new stream is told, in order.
        opened: number of streams so far.
    """

    def __init__(self) -> None:
        self.first: list[Saying] = []
        self.opened = 0
        self._open: set[asyncio.Queue[Saying]] = set()

    @property
    def followers(self) -> int:
        """Number of streams that are open."""
        return len(self._open)

    def say(self, *sayings: Saying) -> None:
        """Tell all who follow now."""
        for queue in self._open:
            for one in sayings:
                queue.put_nowait(one)

    def always(self, *sayings: Saying) -> None:
        """Tell all who follow now, and the same to whoever follows from now on."""
        self.first = list(sayings)
        self.say(*sayings)

    async def serve(self, _: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        self.opened += 1
        queue: asyncio.Queue[Saying] = asyncio.Queue()
        for one in self.first:
            queue.put_nowait(one)
        self._open.add(queue)
        try:
            while True:
                saying = await queue.get()
                if saying is grpc.StatusCode.OK:
                    return
                if isinstance(saying, grpc.StatusCode):
                    await context.abort(saying, "as the test says")
                yield saying
                del saying  # a frame in the traceback of its end is to hold no key
        finally:
            self._open.discard(queue)


class ScriptedApi:
    """The server.

    Attributes:
        svids: the stream of SVIDs.
        jwt_bundles: the stream of JWT bundles.
        jwt: answers requests for tokens, with a response, bytes or a status.
        metadata: of each call, in order.
    """

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.svids = Stream()
        self.jwt_bundles = Stream()
        self.jwt: Callable[[messages.JWTSVIDRequest], Any] = lambda _: grpc.StatusCode.UNAVAILABLE
        self.jwt_requests: list[tuple[str, ...]] = []
        self.metadata: list[tuple[str, dict[str, Any]]] = []
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"unix://{self.socket}"

    async def start(self) -> None:
        """Answer from now on."""
        self.socket.unlink(missing_ok=True)
        server = grpc.aio.server()
        streams = {"FetchX509SVID": self.svids, "FetchJWTBundles": self.jwt_bundles}
        handlers = {
            name: grpc.unary_stream_rpc_method_handler(
                self._noting(name, stream.serve), response_serializer=_bytes
            )
            for name, stream in streams.items()
        }
        handlers["FetchJWTSVID"] = grpc.unary_unary_rpc_method_handler(
            self._fetch_jwt,
            request_deserializer=messages.JWTSVIDRequest.FromString,
            response_serializer=_bytes,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break all streams, and refuse connections from now on."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
        self.socket.unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedApi]:
        """Answer for the block."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    def _noting(self, name: str, serve: Any) -> Any:
        async def noted(request: bytes, context: Any) -> AsyncIterator[Any]:
            self.metadata.append((name, dict(context.invocation_metadata())))
            async for one in serve(request, context):
                yield one
                del one

        return noted

    async def _fetch_jwt(self, request: messages.JWTSVIDRequest, context: Any) -> Any:
        self.metadata.append(("FetchJWTSVID", dict(context.invocation_metadata())))
        self.jwt_requests.append(tuple(request.audience))
        await asyncio.sleep(0)
        answer = self.jwt(request)
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "as the test says")
        return answer


def _bytes(saying: Any) -> bytes:
    return saying if isinstance(saying, bytes) else saying.SerializeToString()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - whatever it is, it tells nobody
            await asyncio.sleep(0.005)
