"""Messages in lines: cut, sent while they come, and told of one by one."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import Unavailable
from serve_apps.gateway.limits import Limits
from serve_apps.gateway.lines import Lines
from serve_apps.web import bodies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LINES = {
    "authorization": "Bearer a-token-of-the-tests",
    "content-type": "application/x-ndjson",
}
GOOD = json.dumps({"source": "a", "destination": "c", "payload": "hi"}).encode()


@given(
    st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=12),
    st.lists(st.integers(0, 150), max_size=8),
)
def test_lines_do_not_depend_on_how_they_come(given: list[bytes], cuts: list[int]) -> None:
    """However a body is parted its lines are the same; a long one is None, a blank one nothing."""
    body = b"\n".join(given)
    lines = Lines(longest=8)
    found = []
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, stop in itertools.pairwise(bounds):
        found += lines.feed(body[start:stop])
    found += lines.rest()
    expected = [line.strip() if len(line) <= 8 else None for line in given]
    assert found == [line for line in expected if line != b""]


def test_of_a_line_without_end_little_is_held() -> None:
    """However long a line goes on, no more of it is held than a line may have."""
    lines = Lines(longest=100)
    for _ in range(1000):
        assert lines.feed(b"x" * 30) == []
        assert sum(map(len, lines._begun)) <= 100
    assert lines.feed(b"\nx\n") == [None, b"x"]


async def test_a_line_is_sent_before_the_next_one_comes(start: Any) -> None:
    """Each line is with the mesh while the body goes on, and the answer tells of all."""
    gateway, client = await start()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            gateway.mesh.asked.clear()
            yield GOOD + b"\n"
            async with asyncio.timeout(60):
                await gateway.mesh.asked.wait()
            await asyncio.sleep(0.01)  # the answer to it comes
        yield GOOD

    answer = await client.post("/v1/mesh/messages", content=body(), headers=LINES)
    assert (answer.json()["accepted"], len(gateway.mesh.batches)) == (4, 4)
    assert "connection" not in answer.headers


async def test_a_long_body_goes_in_chunks(start: Any) -> None:
    """Bad lines keep their place over chunks, and no chunk is longer than it may be."""
    limits = Limits(chunk_lines=100, line_bytes=200)
    gateway, client = await start(limits)
    lines = [GOOD] * 1000
    lines[3], lines[555], lines[998] = b"\xff", b"x" * 201, b"[]"
    body = b"\n\n".join(lines)

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 777):
            yield body[at : at + 777]

    found = (await client.post("/v1/mesh/messages", content=parts(), headers=LINES)).json()
    assert (found["accepted"], found["refused"]) == (997, 3)
    told = [(r["index"], r["status"]) for r in found["refusals"]]
    assert told == [(3, 422), (555, 413), (998, 422)]
    assert [row for row, number in enumerate(found["ids"]) if number is None] == [3, 555, 998]
    assert max(map(len, gateway.mesh.batches)) <= 100
    assert sum(map(len, gateway.mesh.batches)) == 997


async def test_a_body_of_too_many_lines_is_cut(start: Any) -> None:
    """What came before the bound is sent and told; the last refusal says that the rest was not."""
    limits = Limits(chunk_lines=10, upload_messages=25)
    gateway, client = await start(limits)
    answer = await client.post("/v1/mesh/messages", content=b"\n".join([GOOD] * 40), headers=LINES)
    found = answer.json()
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert (found["accepted"], len(found["ids"])) == (20, 21)
    assert [(r["index"], r["status"]) for r in found["refusals"]] == [(20, 413)]
    assert sum(map(len, gateway.mesh.batches)) == 20


@pytest.mark.parametrize("accepting", [0, 3])
async def test_a_mesh_that_fails_midway_is_told(start: Any, accepting: int) -> None:
    """If the mesh goes while a body comes, what it had accepted is told, and why the rest is not.

    If it had accepted nothing, the answer is its problem.
    """
    gateway, client = await start(Limits(chunk_lines=10))
    send_batch = gateway.mesh.send_batch

    async def failing(batch: Any) -> Any:
        if len(gateway.mesh.batches) == accepting:
            raise Unavailable("the shard is down", "it was killed", "Retry.", retry_after_s=1.0)
        return await send_batch(batch)

    gateway.mesh.send_batch = failing
    answer = await client.post("/v1/mesh/messages", content=b"\n".join([GOOD] * 100), headers=LINES)
    found = answer.json()
    if accepting:
        assert (answer.status_code, found["accepted"], len(found["ids"])) == (200, 30, 31)
        assert [(r["index"], r["status"]) for r in found["refusals"]] == [(30, 503)]
    else:
        assert (answer.status_code, found["status"]) == (503, 503)
    assert gateway.uploads.taken == 0


async def test_a_sender_that_leaves_gives_its_place_back(start: Any) -> None:
    """What was accepted before the sender left stays accepted."""
    gateway, client = await start()

    async def body() -> AsyncIterator[bytes]:
        yield GOOD + b"\n"
        await asyncio.Event().wait()

    post = asyncio.create_task(client.post("/v1/mesh/messages", content=body(), headers=LINES))
    async with asyncio.timeout(60):
        await gateway.mesh.asked.wait()
    assert gateway.uploads.taken == 1
    post.cancel()
    await asyncio.wait([post])
    assert gateway.uploads.taken == 0
    assert [len(batch) for batch in gateway.mesh.batches] == [1]


async def test_a_body_that_stalls_is_given_up(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of which nothing comes any more is a 408, and holds no place."""
    monkeypatch.setattr(bodies, "STALL_S", 0.05)
    gateway, client = await start()

    async def body() -> AsyncIterator[bytes]:
        yield b" "
        await asyncio.Event().wait()

    for kind in ("application/json", "application/x-ndjson", "application/msgpack"):
        headers = LINES | {"content-type": kind}
        answer = await client.post("/v1/mesh/messages", content=body(), headers=headers)
        assert (answer.status_code, answer.headers["connection"]) == (408, "close")
        assert answer.json()["remedy"]
    assert (gateway.uploads.taken, gateway.in_flight.taken) == (0, 0)


async def test_a_body_that_trickles_is_given_up(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a byte comes, a body that is read as a whole must come at some rate."""
    monkeypatch.setattr(bodies, "STALL_S", 0.05)
    gateway, client = await start()

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    headers = LINES | {"content-type": "application/json"}
    answer = await client.post("/v1/mesh/messages", content=body(), headers=headers)
    assert (answer.status_code, gateway.in_flight.taken) == (408, 0)
