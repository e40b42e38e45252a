"""The crowd at the start: who counts as answered, and when it has heard enough."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from cluster.ray_start import free_ports
from loadtests import crowd
from loadtests.http_connection import HttpAnswer, Server
from tests.unit.loadtests.http_server import response, serving

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status", "kind", "why"),
    [
        ("/healthz", 200, "application/json", None),
        ("/readyz", 200, "application/json", None),
        ("/readyz", 503, PROBLEM, None),
        ("/healthz", 503, PROBLEM, f"/healthz: 503 {PROBLEM}"),
        ("/readyz", 503, "text/html", "/readyz: 503 text/html"),
        ("/readyz", 404, "text/plain", "/readyz: 404 text/plain"),
        ("/readyz", 500, PROBLEM, f"/readyz: 500 {PROBLEM}"),
    ],
)
def test_only_the_gateway_counts(path: str, status: int, kind: str, why: str | None) -> None:
    """While a mesh starts, /healthz is 200 and /readyz 200 or a problem that says 503."""
    assert crowd.fault(path, HttpAnswer(status, kind, b"", 0.0)) == why


async def test_it_asks_until_all_hear_that_the_mesh_is_ready() -> None:
    """Waves go on through wrong answers, a dropped connection and 503; each is counted once."""
    turns = {path: itertools.count() for path in crowd.PATHS}

    def reply(head: bytes, _body: bytes) -> bytes | None:
        path = head.split()[1].decode()
        wave = next(turns[path]) // 2  # two of the four ask for each path
        if wave == 0:
            return response(404)
        if path == "/healthz":
            return response(200)
        if wave == 1:
            return response(503, kind=PROBLEM)
        return None if wave == 2 else response(200)

    async with serving(reply) as server:
        told = await crowd.gather(server, 4, threading.Event())
    assert told.waves == 4
    assert told.answers == {
        "/healthz 404": 2,
        "/readyz 404": 2,
        "/healthz 200": 6,
        "/readyz 503": 2,
        "/readyz 200": 2,
    }
    assert told.errors == {
        "/healthz: 404 text/plain": 2,
        "/readyz: 404 text/plain": 2,
        "/readyz: ConnectionResetError": 2,
    }


async def test_it_waits_for_the_port_until_told_not_to() -> None:
    """Nobody is refused by a port that is not open yet; a start that fails ends the waiting."""
    over = threading.Event()
    waiting = asyncio.create_task(crowd.gather(Server("127.0.0.1", free_ports(1)[0]), 2, over))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    over.set()
    told = await waiting
    assert (told.waves, told.errors) == (0, {})
