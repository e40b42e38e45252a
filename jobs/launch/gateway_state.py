"""Asks the gateway of a mesh how things are. Imports nothing that takes time."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ANSWER_S: Final = 8.0  # the gateway itself waits 5 s for the coordinator
CONNECT_S: Final = 2.0


def get(
    url: str, headers: Mapping[str, str] | None = None, timeout_s: float = CONNECT_S
) -> tuple[int, Any]:
    """Status and JSON of an answer.

    Raises:
        OSError: nobody answers there in time.
        http.client.HTTPException: what answers speaks no HTTP.
        ValueError: what it says is no JSON.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def mesh_state(gateway_url: str, state_dir: Path) -> dict[str, Any] | None:
    """What the gateway answers to the holder of the token; None if it cannot say."""
    try:
        token = token_path(state_dir).read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        status, found = get(f"{gateway_url}/v1/mesh/status", headers, ANSWER_S)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return found if status == http.client.OK and isinstance(found, dict) else None
