"""Answers that go on: each message once, no further than the reader, and no place lost."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.mesh import batch as messages
from actors.mesh.client import Mesh, Received
from actors.mesh.message_inbox import Inbox
from actors.runtime.bell import Bell
from serve_apps.gateway.inbox_stream import WINDOW, InboxStream
from serve_apps.gateway.limits import Limits
from serve_apps.web.admission import Slots
from serve_apps.web.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCOPE = {"type": "http", "asgi": {"spec_version": "2.3"}}


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x"


async def _nobody_leaves() -> dict[str, Any]:
    return await asyncio.Event().wait()  # type: ignore[return-value]


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_a_reader_that_takes_nothing_loses_its_stream(version: str) -> None:
    """Nothing is made for a reader that does not take what was made before; then it is left."""
    made = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal made
        async for part in _endless():
            made += 1
            yield part

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    slots = Slots(1, "streams")
    stream = Stream(content(), slots, 0.05, "text/plain")
    assert slots.taken == 1
    scope = {"type": "http", "asgi": {"spec_version": version}}
    async with asyncio.timeout(60):
        await stream(scope, _nobody_leaves, send)  # type: ignore[arg-type]
    assert (made, slots.taken) == (1, 0)


async def test_a_reader_that_leaves_gives_its_place_back() -> None:
    """A stream ends with its reader's connection, between two messages."""

    async def quiet() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def leaves() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(_message: dict[str, Any]) -> None:
        return

    slots = Slots(1, "streams")
    stream = Stream(quiet(), slots, 30.0, "text/plain")
    async with asyncio.timeout(60):
        await stream(SCOPE, leaves, send)  # type: ignore[arg-type]
    assert slots.taken == 0


class ReadableMesh:
    """A node's inbox, as the shard has it; a read waits as one at the shard does."""

    def __init__(self, gateway: Any) -> None:
        self.membership = gateway.mesh.membership
        self.inbox = Inbox(3)
        self.changed = Bell()
        self.reads = 0

    def arrive(self, *payloads: str) -> None:
        n = len(payloads)
        batch = messages.build([0] * n, [2] * n, [p.encode() for p in payloads], sent_at=0.0)
        self.inbox.append(batch)
        self.changed.ring()

    async def receive_batch(
        self, partition: int, *, port: int, node: int, limit: int, after: int, wait_s: float
    ) -> Any:
        self.reads += 1
        end = time.monotonic() + wait_s
        while True:
            offsets, batch = self.inbox.read(port, node, limit)
            new = offsets > after
            if new.any() or time.monotonic() >= end:
                return Received(partition, port, offsets[new], batch.take(new))
            await self.changed.wait(end - time.monotonic())

    def messages_of(self, read: Any) -> Any:
        return Mesh.messages_of(self, read)  # type: ignore[arg-type]

    async def acknowledge(self, read: Any) -> None:
        self.inbox.consume(read.port, read.offsets)
        self.changed.ring()


async def readable(start: Any) -> tuple[Any, ReadableMesh]:
    gateway, _ = await start(Limits(keep_alive_s=0.05))
    gateway.mesh = ReadableMesh(gateway)
    return gateway, gateway.mesh


async def test_each_message_is_offered_once(start: Any) -> None:
    """Messages that are not acknowledged are not offered again, and new ones are, up to `limit`."""
    gateway, mesh = await readable(start)
    mesh.arrive("1", "2")
    stream = InboxStream(gateway, "c", 0).follow(4)
    seen = [m["payload"] for m in await anext(stream)]
    assert await anext(stream) == []  # a sign of life, with both unacknowledged
    mesh.arrive("3")
    mesh.arrive("4", "5")
    async with asyncio.timeout(60):
        async for found in stream:
            seen += [m["payload"] for m in found]
    assert seen == ["1", "2", "3", "4"]


async def test_a_reader_that_does_not_acknowledge_gets_no_more(start: Any) -> None:
    """No more is offered than the window, until acknowledgements make room in it."""
    gateway, mesh = await readable(start)
    mesh.arrive(*map(str, range(WINDOW + 10)))
    stream = InboxStream(gateway, "c", 0).follow(None)
    first = await anext(stream)
    assert len(first) == WINDOW
    assert await anext(stream) == []
    assert mesh.reads == 2  # it waits at the mesh, and does not ask again and again meanwhile
    await gateway.acknowledge("c", [message["receipt"] for message in first[:4]])
    async with asyncio.timeout(60):
        while not (more := await anext(stream)):
            pass
    assert [m["payload"] for m in more] == [str(WINDOW + n) for n in range(4)]
    await stream.aclose()


async def test_who_comes_back_is_offered_again_what_is_not_acknowledged(start: Any) -> None:
    """A stream that broke took nothing with it; what was acknowledged does not come again."""
    gateway, mesh = await readable(start)
    mesh.arrive("1", "2", "3")
    first = InboxStream(gateway, "c", 0).follow(None)
    found = await anext(first)
    await first.aclose()
    await gateway.acknowledge("c", [found[1]["receipt"]])
    again = InboxStream(gateway, "c", 0).follow(None)
    assert [m["payload"] for m in await anext(again)] == ["1", "3"]
    await again.aclose()


async def test_a_stream_is_lines(start: Any) -> None:
    """Over HTTP a stream is NDJSON, of a node that exists, and only if it is asked for."""
    gateway, client = await start()
    gateway.mesh = ReadableMesh(gateway)
    gateway.mesh.arrive("1", "2")
    headers = {"authorization": "Bearer a-token-of-the-tests"}
    asked = headers | {"accept": "application/x-ndjson; q=1, */*"}
    answer = await client.get("/v1/mesh/nodes/c/inbox", params={"limit": 2}, headers=asked)
    assert answer.headers["content-type"] == "application/x-ndjson"
    found = [json.loads(line) for line in answer.text.splitlines() if line]
    assert [m["payload"] for m in found] == ["1", "2"]
    polled = await client.get("/v1/mesh/nodes/c/inbox", headers=headers | {"accept": "*/*"})
    assert polled.json()["messages"] == found
    assert (await client.get("/v1/mesh/nodes/nobody/inbox", headers=asked)).status_code == 404
    assert gateway.inbox_streams.taken == 0
