"""Takes updates that Telegram sends, and says that they were taken only once they are answered.

An update that was not is sent again by Telegram, which does no harm: the same question makes no
second order. A request proves to be Telegram's by a secret in a header, which is derived from the
bot's token, so that it need not be kept anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from actors.runtime import log
from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr
    from starlette.requests import Request

    from actors.payments.bot.reception import Reception
    from actors.payments.bot.telegram import TelegramClient

HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
MAX_BYTES: Final = 2**20  # largest update; real ones are far smaller
BODY_S: Final = 20.0  # time for the whole body of an update to arrive
_CONNECTIONS: Final = 64
_ENDING_S: Final = 5  # time for requests under way when the bot ends

_log = log.get(__name__)


def secret(token: SecretStr) -> str:
    """What proves that a request is Telegram's: 1 to 256 of A-Z a-z 0-9 _ -."""
    key = token.get_secret_value().encode()
    return hmac.new(key, b"x0tta6bl4 webhook", hashlib.sha256).hexdigest()


def application(path: str, secret_: str, client: TelegramClient, reception: Reception) -> Starlette:
    """Takes updates at a path, and answers everything else with 404."""

    async def take(request: Request) -> Response:
        given = request.headers.get(HEADER, "").encode()
        if not hmac.compare_digest(given, secret_.encode()):
            return Response(status_code=404)  # strangers cannot tell that the bot listens here
        try:
            async with asyncio.timeout(BODY_S):
                body = await _whole(request)
        except TimeoutError:
            return Response(status_code=408, headers={"connection": "close"})
        if body is None:
            return Response(status_code=413, headers={"connection": "close"})
        try:
            update = client.read(json.loads(body))
        except (ValueError, RecursionError) as error:
            _log.warning("an update cannot be read", error=type(error).__name__)
            update = None
        if update is not None:
            await reception.take(update)
        return Response(status_code=200)  # also to what cannot be read: it would only come again

    return Starlette(routes=[Route(path, take, methods=["POST"])])


async def _whole(request: Request) -> bytes | None:
    """The body; None if it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            return None
    return bytes(body)


async def serve(application_: Starlette, host: str, port: int) -> None:
    """Serve until cancelled.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            application_,
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_ENDING_S,
            server_header=False,
        )
        await _Server(config).serve(sockets=[listener])


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise ConfigurationError(
            f"the webhook cannot listen on {host}:{port}",
            error.strerror or str(error),
            "Give another address with --listen.",
            variable="--listen",
        ) from None
    with listener:
        yield listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the loop."""
        yield
