"""One message as JSON, the request that comes most often: taken past the routes.

FastAPI's way to a route (matching, dependencies, exit stacks, a response object) costs as much as
all that the gateway itself does for such a message. So this middleware answers it with the same
checks and the same problem documents; the route of the same path documents it and takes batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from actors.runtime.errors import X0Error
from serve_apps.gateway import decoding
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import bodies, idempotency
from serve_apps.web.request_metrics import ROUTE
from serve_apps.web.strict_json import JSON, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.web.error_answers import ErrorAnswers

PATH: Final = f"{V1}/mesh/messages"
_JSON: Final = (b"content-type", JSON.encode())


class FastPath:
    """Middleware in front of the routes.

    Args:
        app: the routes.
        gateway: the gateway that takes the messages.
        answers: makes the answers to refused messages.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway, answers: ErrorAnswers) -> None:
        self._app = app
        self._gateway = gateway
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with one message, or pass it on."""
        if not _is_for(scope):
            await self._app(scope, receive, send)
            return
        # Of a header that is given twice the first counts, as in Starlette.
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in reversed(scope["headers"])
        }
        if bodies.media_type(headers) != JSON:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = PATH
        try:
            text = await self._take(headers, receive)
        except X0Error as error:
            await self._answers.of(error)(scope, receive, send)
        except ClientDisconnect:
            return  # nobody reads an answer
        else:
            fields = [_JSON, (b"content-length", b"%d" % len(text))]
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": text})

    async def _take(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        gateway = self._gateway
        gateway.access.check(headers)
        body = await bodies.read(headers, receive, gateway.limits.body_bytes)
        key = headers.get(idempotency.HEADER)
        if key is None:
            return await self._send(body)
        return await gateway.idempotent.once(key, body, lambda: self._send(body))

    async def _send(self, body: bytes) -> bytes:
        gateway = self._gateway
        value = loads(body)
        gateway.joined()
        naming = gateway.view.naming
        message = decoding.one(value, naming.exact)
        source = gateway.id_at(message.source)
        number = await gateway.batcher.one(message, naming.label(source))
        gateway.counts.accepted += 1
        return b'{"accepted":1,"refused":0,"ids":["%d"],"refusals":[]}' % number


def _is_for(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
        return False  # the route refuses query parameters
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) == PATH
