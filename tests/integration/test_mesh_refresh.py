"""The map changes under a running mesh, or goes bad: from a file and from a server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from living_mesh import MeshStarter, ask, inject, status, until

from actors.mesh.client import Mesh, NodeRef
from actors.mesh.contract import COORDINATOR
from actors.mesh.membership import Faults
from actors.mesh.status_document import document
from actors.topology.diff import LinkAdded, LinkRemoved, NodeAdded, NodeRemoved
from actors.topology.errors import TopologyError, UnknownNode
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.watching import MeshWatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from pathlib import Path

    from actors.topology.diff import Event

RING = tuple(f"r{number}" for number in range(8))
UNREAD = (b"unread", b"unread too")
RING_LINKS = tuple(zip(RING, (*RING[1:], RING[0]), strict=True))


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


def map_of(nodes: Iterable[str], links: Iterable[tuple[str, str]]) -> bytes:
    """A meshviewer map whose links lose one frame in ten."""
    return json.dumps(
        {
            "nodes": [{"node_id": node} for node in nodes],
            "links": [
                {"source": a, "target": b, "source_tq": 0.9, "target_tq": 0.9, "type": "wifi"}
                for a, b in links
            ],
        }
    ).encode()


class Published:
    """What the server answers with; assign to change it."""

    def __init__(self, body: bytes) -> None:
        self.status = 200
        self.body = body
        self.requests = 0


@contextmanager
def serving(published: Published) -> Iterator[str]:
    """A server on loopback; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.requests += 1
            self.send_response(published.status)
            self.send_header("Content-Length", str(len(published.body)))
            self.end_headers()
            self.wfile.write(published.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/meshviewer.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def refresh() -> list[Event]:
    events: list[Event] = await ask(COORDINATOR, "refresh")
    return events


async def delivered(mesh: Mesh, source: str, to: str) -> bool:
    """Whether a message arrives; one that comes back was sent before there was a route."""
    await mesh.send(source, to, b"probe", port=3)
    while not (found := await mesh.node(to).receive(port=3)):
        if await mesh.node(source).receive(port=3):
            return False
        await asyncio.sleep(0.05)
    return [m.payload for m in found] == [b"probe"]


async def test_nodes_join_and_leave_with_the_file(starter: MeshStarter, tmp_path: Path) -> None:
    """A node added to the file joins and is reachable, one removed is gone."""
    path = tmp_path / "map.json"
    path.write_bytes(map_of(RING, RING_LINKS))
    async with starter.running(topology=str(path)):
        early = await Mesh.attach()
        assert await refresh() == []
        links = [*RING_LINKS, ("new", "r0"), ("new", "r4")]
        path.write_bytes(map_of((*RING, "new"), links))
        events = await refresh()
        assert NodeAdded("new") in events
        assert {(e.a, e.b) for e in events if isinstance(e, LinkAdded)} == {
            ("new", "r0"),
            ("new", "r4"),
        }
        mesh = await Mesh.attach()
        assert mesh.nodes() == [*RING, "new"]
        for source, to in ("r2", "new"), ("new", "r6"):
            await until(lambda s=source, t=to: delivered(mesh, s, t), f"{to} is reachable")
        indices = [mesh.index_of(node) for node in RING]
        ((way, _),) = await early.paths(early.index_of("r0"), early.index_of("r4"))
        assert [early.membership.topology.ids[row] for row in way] == ["r0", "new", "r4"]

        path.write_bytes(map_of(RING[:7], RING_LINKS[:6]))  # r7 and new leave; the ring is a line
        assert NodeRemoved("r7") in (gone := await refresh())
        assert {e.node for e in gone if isinstance(e, NodeRemoved)} == {"r7", "new"}
        assert len([e for e in gone if isinstance(e, LinkRemoved)]) == 4
        mesh = await Mesh.attach()
        assert mesh.nodes() == list(RING[:7])
        assert [mesh.index_of(node) for node in RING[:7]] == indices[:7]
        for node in "r7", "new":
            with pytest.raises(UnknownNode):
                await mesh.send("r0", node, b"")
        await until(lambda: delivered(mesh, "r0", "r6"), "routes go the long way round")
        assert (await status()).nodes == 7


async def test_the_map_is_held_while_faults_are_injected(starter: MeshStarter) -> None:
    """A drill is judged by the map that it began with; the new one is taken when it has ended."""
    published = Published(map_of(RING, RING_LINKS))
    with serving(published) as url:
        async with starter.running(topology=url, refresh_s=1):
            await inject(Faults(silent=frozenset({0})))
            published.body = map_of(RING[:7], RING_LINKS[:6])

            async def held() -> bool:
                return (await status()).last_refresh_error.startswith("held")

            await until(held, "the refresh is held")
            assert (await status()).nodes == 8
            await inject(Faults())

            async def taken() -> bool:
                found = await status()
                return (found.nodes, found.last_refresh_error) == (7, "")

            await until(taken, "the new map is taken")


async def test_what_a_node_that_left_has_not_read_can_be_read(
    starter: MeshStarter, tmp_path: Path
) -> None:
    """Its inbox stays and can be emptied; it is counted apart from the nodes that the map has."""
    path = tmp_path / "map.json"
    path.write_bytes(map_of(RING, RING_LINKS))
    async with starter.running(topology=str(path)) as mesh:
        sent = [await mesh.send("r0", "r7", text, port=port) for port, text in enumerate(UNREAD)]

        async def arrived() -> bool:
            return sum(shard.unread_messages for shard in (await status()).shards) == 2

        await until(arrived, "the messages have arrived")
        path.write_bytes(map_of(RING[:7], RING_LINKS[:6]))
        await refresh()
        shards = (await status()).shards
        assert sum(shard.nodes for shard in shards) == 7
        assert sum(shard.left for shard in shards) == 1
        assert sum(shard.unread_of_left for shard in shards) == 2
        read = await NodeRef("r7").receive(port=0)
        assert [(m.id, m.payload) for m in read] == [(sent[0], UNREAD[0])]
        async with gateway_of_this_process() as client:
            inbox = "/v1/mesh/nodes/r7/inbox"
            (left,) = (await client.get(inbox, params={"port": 1})).json()["messages"]
            assert (left["id"], left["payload"].encode()) == (str(sent[1]), UNREAD[1])
            taken = await client.post(f"{inbox}/ack", json={"receipts": [left["receipt"]]})
            assert taken.status_code == 200, taken.text
            # It is of the mesh no more: nothing can be sent to it.
            message = {"source": "r0", "destination": "r7", "payload": "x"}
            assert (await client.post("/v1/mesh/messages", json=message)).status_code == 404
        assert [shard.unread_messages for shard in (await status()).shards] == [0, 0]


@contextlib.asynccontextmanager
async def gateway_of_this_process() -> AsyncIterator[httpx.AsyncClient]:
    """A gateway over the running mesh, and a client with its token."""
    gateway = Gateway("a-token-of-the-tests")
    watching = asyncio.create_task(MeshWatcher(gateway).run())
    headers = {"authorization": "Bearer a-token-of-the-tests"}
    transport = httpx.ASGITransport(build(gateway))
    try:

        async def ready() -> bool:
            return gateway.ready

        await until(ready, "the gateway knows the mesh")
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            yield client
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def test_a_mesh_whose_nodes_are_silent_is_not_healthy(starter: MeshStarter) -> None:
    """A silent node or two are no fault of the mesh; more than one in ten are, and are told."""
    async with starter.running() as mesh:
        options = starter.options()
        assert document(await status(), options)["healthy"]
        for silent, well in ((1, True), (24, False)):
            await inject(Faults(silent=frozenset(range(silent))))

            async def unheard(count: int = silent) -> bool:
                return sum(shard.unheard for shard in (await status()).shards) >= count

            await until(unheard, "the silence is noticed")
            told = document(await status(), options)
            assert told["healthy"] == well
            assert bool(told["unwell"]) != well
        assert told["unwell"] == ["no neighbour hears 24 of 24 nodes"]
        assert len(mesh.nodes()) == 24


async def test_a_bad_answer_changes_nothing(starter: MeshStarter) -> None:
    """Answers that are no map leave the mesh as it was and show in its status until a good one."""
    published = Published(map_of(RING, RING_LINKS))
    with serving(published) as url:
        async with starter.running(topology=url, refresh_s=86400) as mesh:
            before = mesh.membership
            for code, body in ((200, b"<html>"), (200, b'{"nodes": 3}'), (500, b"oops")):
                published.status, published.body = code, body
                with pytest.raises(TopologyError) as refused:
                    await refresh()
                assert (await status()).last_refresh_error == str(refused.value)
                after = (await Mesh.attach()).membership
                assert after.placement.version == before.placement.version
                assert after.topology == before.topology
            assert await delivered(mesh, "r1", "r5")
            published.status, published.body = 200, map_of(RING, RING_LINKS[:-1])
            assert await refresh() == [LinkRemoved("r7", "r0")]
            assert (await status()).last_refresh_error == ""


async def test_the_server_is_polled(starter: MeshStarter) -> None:
    """A changed answer of the server reaches the mesh without anybody's doing."""
    published = Published(map_of(RING, RING_LINKS))
    with serving(published) as url:
        async with starter.running(topology=url, refresh_s=1):
            published.body = map_of((*RING, "new"), [*RING_LINKS, ("new", "r3")])

            async def joined() -> bool:
                return "new" in (await Mesh.attach()).nodes()

            await until(joined, "the new node has joined")
            seen = published.requests

            async def asked_again() -> bool:
                return published.requests > seen + 1

            await until(asked_again, "polling goes on")


async def test_a_change_loses_no_message_under_way(starter: MeshStarter, tmp_path: Path) -> None:
    """Messages sent while links and nodes come and go arrive once each."""
    path = tmp_path / "map.json"
    path.write_bytes(map_of(RING, RING_LINKS))
    changes = [
        map_of((*RING, "new"), [*RING_LINKS, ("new", "r0"), ("new", "r4")]),
        map_of(RING, [*RING_LINKS, ("r1", "r5")]),
        map_of(RING, RING_LINKS[1:]),
        map_of(RING, RING_LINKS),
    ]
    # So patient that what waits for new routes is not returned meanwhile.
    async with starter.running(topology=str(path), hello_s=2.0) as mesh:
        sent: dict[int, bytes] = {}

        async def send(number: int) -> None:
            source, to = RING[number % 8], RING[(number * 3 + 1) % 8]
            payload = b"%d" % number
            sent[await mesh.send(source, to, payload)] = payload

        for change in changes:
            sending = [asyncio.create_task(send(len(sent) + i)) for i in range(40)]
            await asyncio.sleep(0.05)
            path.write_bytes(change)
            assert await refresh() != []
            await asyncio.gather(*sending)
        ids = np.array(list(sent), np.uint64)

        async def settled() -> bool:
            return not (await mesh.pending(ids)).any()

        await until(settled, "everything is settled")
        found = [m for node in RING for m in await mesh.node(node).receive()]
        assert len(found) == len(sent) == 160
        fates = {m.id: m for m in found}
        assert set(fates) == set(sent)
        # A node whose links all changed at once may be without a route for a moment too long.
        delivered = [m for m in found if not m.undeliverable]
        assert all(m.payload == sent[m.id] for m in delivered)
        assert len(delivered) >= 150
