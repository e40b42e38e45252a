"""The gateway over mutual TLS: a second port, for peers that prove a SPIFFE ID.

Ray Serve's HAProxy takes the keys of TLS from files, and a private key is in no file here. So the
process of the gateway listens itself, with a holder of its own, and answers with the same
application; what needs the bearer token needs it here as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

import uvicorn

from actors.identity.places import GATEWAY
from actors.identity.process_identity import ProcessIdentity
from actors.identity.tls import Peers
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from serve_apps.gateway.settings import MtlsOptions

_AGAIN_S: Final = 2.0  # between two tries to take the port
_BACKLOG: Final = 1024
_IDLE_S: Final = 75

_log = log.get(__name__)


async def listen(app: FastAPI, options: MtlsOptions) -> None:
    """Answer at the port until cancelled; where it is taken, it is waited for."""
    identity = ProcessIdentity(options.endpoint, GATEWAY, options.renewal_threshold)
    tls, _, supply = identity.begin()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supply)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_IDLE_S,
        )
        config.load()
        config.ssl = tls.server(Peers.of(options.peers))
        with await _taken(options.host, options.port) as listener:
            _log.info("mutual TLS is answered", port=options.port, peers=options.peers)
            await _Server(config).serve([listener])
            raise RuntimeError("the listener of mutual TLS has ended")


class _Server(uvicorn.Server):
    """One among others in a process, whose signals are not its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _taken(host: str, port: int) -> socket.socket:
    """A socket that listens; a replica that is just ending may still have the port."""
    said = ""
    while True:
        try:
            return socket.create_server((host, port), backlog=_BACKLOG)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                _log.warning("mutual TLS cannot listen", host=host, port=port, why=said)
            await asyncio.sleep(_AGAIN_S)
