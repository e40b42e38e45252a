"""Asks the gateway of a mesh. Imports nothing that takes time."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from actors.mesh.errors import MailboxFull, NodeSilent, NoEmulatedMesh, ShardUnavailable
from actors.runtime.errors import ActorUnavailable, Conflict, Unavailable, X0Error
from actors.topology.errors import AmbiguousNode, UnknownNode
from serve_apps.gateway.errors import NoObserver, NoRoute
from serve_apps.inference.errors import ModelFileCorrupt, ModelSchemaMismatch
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jobs.launch.record import SessionRecord

ANSWER_S: Final = 8.0  # the gateway itself waits 5 s for the coordinator
CONNECT_S: Final = 2.0
# What the mesh and inference say, whoever asks; what only a gateway says, such as TooBusy, is not
# among it.
_OF_THE_MESH: Final[Mapping[str, type[X0Error]]] = {
    kind.__name__: kind
    for kind in (
        *(UnknownNode, AmbiguousNode, MailboxFull, NodeSilent, NoRoute),
        *(NoEmulatedMesh, NoObserver),
        *(ModelFileCorrupt, ModelSchemaMismatch),
        *(ShardUnavailable, ActorUnavailable, Unavailable, Conflict),
    )
}


class NoAnswer(Exception):  # noqa: N818 - named by its condition
    """The gateway gives no answer that counts.

    Attributes:
        without_effect: whether the request has certainly had no effect.
    """

    def __init__(self, why: object, *, without_effect: bool) -> None:
        super().__init__(str(why))
        self.without_effect = without_effect


def get(url: str) -> tuple[int, Any]:
    """Status and JSON of an answer that needs no token.

    Raises:
        OSError: nobody answers there in time.
        http.client.HTTPException: what answers speaks no HTTP.
        ValueError: what it says is no JSON.
    """
    connection = _connection(url)
    try:
        return _answer(connection, "GET", urlsplit(url).path)
    finally:
        connection.close()


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CONNECT_S)


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """The gateway of a mesh, as the holder of its token asks it.

    Attributes:
        url: of the gateway.
        token: bearer token.
    """

    url: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, record: SessionRecord | None, state_dir: Path) -> Self | None:
        """The gateway on record; None if there is none, or RAY_ADDRESS names another mesh."""
        if record is None or not record.gateway_url or os.environ.get("RAY_ADDRESS"):
            return None
        try:
            token = token_path(state_dir).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return cls(record.gateway_url, token)

    def ask(
        self, method: str, path: str, body: object = None, answer_s: float = ANSWER_S
    ) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            X0Error: what the mesh says about it.
            NoAnswer: the gateway does not answer, or refuses it by rules of its own.
        """
        status, found = self._exchange(method, path, body, answer_s)
        if not isinstance(found, dict):
            raise NoAnswer("it is no object", without_effect=False)
        if status == http.client.OK:
            return found
        kind = str(found.get("type")).rpartition(":")[2]
        what, _, why = str(found.get("detail")).partition(": ")
        if kind in _OF_THE_MESH:
            raise _made(_OF_THE_MESH[kind], what, why, str(found.get("remedy")))
        refused = status < http.client.INTERNAL_SERVER_ERROR or kind == "MeshNotReady"
        raise NoAnswer(f"{status} {kind}", without_effect=refused)

    def _exchange(self, method: str, path: str, body: object, answer_s: float) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        text = None if body is None else json.dumps(body).encode()
        connection = _connection(self.url)
        try:
            connection.connect()
        except OSError as error:
            raise NoAnswer(error, without_effect=True) from error
        try:
            connection.sock.settimeout(answer_s)
            return _answer(connection, method, path, text, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(error, without_effect=False) from error
        finally:
            connection.close()


def _made(kind: type[X0Error], what: str, why: str, remedy: str) -> X0Error:
    """An error as a problem document tells it; its own fields stay where it was raised."""
    error = kind.__new__(kind)
    X0Error.__init__(error, what, why, remedy)
    return error
