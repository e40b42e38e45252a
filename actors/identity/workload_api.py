"""Calls of the Workload API over its Unix socket.

Source: SPIFFE Workload Endpoint, section 5: each call carries the security header. Each attempt has
a connection of its own, so that gRPC's own pauses between attempts never add to ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any, Final

import grpc.aio
from google.protobuf.message import DecodeError
from spiffe._proto import workload_pb2_grpc

from actors.identity.endpoint import socket_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEADER: Final = (("workload.spiffe.io", "true"),)
LARGEST_MESSAGE: Final = 4 * 2**20  # bytes
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.enable_http_proxy", 0),
)


@contextlib.asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[workload_pb2_grpc.SpiffeWorkloadAPIStub]:
    """Stubs over a connection that ends with the block.

    Raises:
        ConfigurationError: the endpoint is no Unix socket.
        OSError: nobody listens there.
    """
    path = socket_path(endpoint)
    await _knock(path)
    async with grpc.aio.insecure_channel(f"unix:{path}", _OPTIONS) as channel:
        yield workload_pb2_grpc.SpiffeWorkloadAPIStub(_Discreet(channel))


async def _knock(path: str) -> None:
    """Find out whether anybody listens.

    In an outage this is what is done again and again, for days maybe: each channel of gRPC that
    finds nobody leaves some memory behind.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.settimeout(0)
        await asyncio.get_running_loop().sock_connect(visitor, path)


class _Discreet:
    """A channel whose calls bring None for a message that cannot be parsed.

    gRPC does that as well, but logs the parser's error with its traceback, whose frames hold the
    message, and so a private key.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_stream(self, path: str, **how: Any) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:  # noqa: ANN401 - gRPC's
        return self._channel.unary_stream(path, **_discreet(how))

    def unary_unary(self, path: str, **how: Any) -> grpc.aio.UnaryUnaryMultiCallable[Any, Any]:  # noqa: ANN401 - gRPC's
        return self._channel.unary_unary(path, **_discreet(how))


def _discreet(how: dict[str, Any]) -> dict[str, Any]:
    parse = how["response_deserializer"]

    def read(message: bytes) -> object:
        try:
            return parse(message)
        except DecodeError:
            return None

    return {**how, "response_deserializer": read}
