"""Calls of the Workload API over its Unix socket.

Source: SPIFFE Workload Endpoint, section 5: each call carries the security header. Each attempt has
a connection of its own, so that gRPC's own pauses between attempts never add to ours.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import grpc.aio
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
    """
    async with grpc.aio.insecure_channel(f"unix:{socket_path(endpoint)}", _OPTIONS) as channel:
        yield workload_pb2_grpc.SpiffeWorkloadAPIStub(channel)
