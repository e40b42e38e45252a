"""The sandbox behind HTTP on loopback: uvicorn in a thread, with connections that can be broken."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from actors.payments.sandbox import app
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from actors.payments.sandbox.app import Sandbox

HOST: Final = "127.0.0.1"
START_S: Final = 10.0
STOP_S: Final = 5.0
_LINGER: Final = struct.pack("ii", 1, 0)  # closing forgets what is not sent, and says RST


class _Breakable(H11Protocol):
    """HTTP/1.1 that hands the application a way to break the connection."""

    def connection_made(  # type: ignore[override]  # as in the class itself
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)

        def break_connection(*, reset: bool) -> None:
            if reset:
                peer = transport.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
                transport.abort()
            else:
                transport.close()  # once everything is sent

        self.app_state = {**self.app_state, "break_connection": break_connection}


@contextlib.contextmanager
def serving(sandbox: Sandbox, *, port: int = 0) -> Iterator[str]:
    """Serve in a thread for the block; the URL.

    Args:
        sandbox: the sandbox to serve.
        port: port on loopback; 0 picks a free one.

    Raises:
        InvalidInput: the port is taken.
    """
    listener = _listen(port)
    config = uvicorn.Config(
        app.create(sandbox),
        http=_Breakable,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
    )
    thread.start()
    try:
        deadline = time.monotonic() + START_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise RuntimeError("the sandbox's server did not start")
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        listener.close()


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise InvalidInput(
            f"the sandbox cannot listen on port {port}",
            (error.strerror or str(error)).lower(),
            "Choose another with --port, or none.",
        ) from None
