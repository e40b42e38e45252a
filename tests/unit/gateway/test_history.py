"""History over HTTP: pages, series, and a stream that goes on where it was left."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.topology.events import EventKind, EventSeverity
from actors.topology.provenance import Network
from serve_apps.gateway.limits import Limits
from tests.unit.gateway.test_answers import is_problem
from tests.unit.history.happenings import event, sample

if TYPE_CHECKING:
    from actors.history.archive import Archive

REAL = Network.OBSERVED
EVENTS = "/v1/events"
STREAM = "/v1/events/stream"


def archive_of(gateway: Any) -> Archive:
    archive: Archive = gateway.history._archive
    return archive


def happened(archive: Archive, *numbers: int, ago_s: float = 60, **given: Any) -> None:
    at = time.time() - ago_s
    made = [event(n, at, what=f"event {n}", **given) for n in numbers]
    archive.events.record("observer", REAL, 7, made)


@pytest.fixture
async def kept(start: Any) -> Any:
    """A gateway with a history of five events and ten minutes."""
    gateway, client = await start(Limits(keep_alive_s=1.0))
    archive = archive_of(gateway)
    happened(archive, 1, ago_s=3 * 86_400, nodes=("x",))
    happened(archive, 2, 3, nodes=("a",))
    happened(archive, 4, kind=EventKind.SPLIT, severity=EventSeverity.CRITICAL, nodes=("b",))
    now = time.time()
    for minute in range(10, 0, -1):
        taken = sample({("a", "b"): 0.5, ("b", "c"): 1.0}, clients=[3, 0, 1])
        archive.metrics.write(REAL, taken, now - 60 * minute)
    return gateway, client


async def told(client: Any, query: str = "") -> list[int]:
    answer = await client.get(f"{EVENTS}{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["events"]]


async def test_events_are_listed_in_pages(kept: Any) -> None:
    """Of the last day unless asked otherwise; `next` leads through all of them once."""
    _, client = kept
    assert await told(client) == [2, 3, 4]
    assert await told(client, "?since=1w") == [1, 2, 3, 4]
    assert await told(client, "?since=1w&until=2d") == [1]
    assert await told(client, "?kind=split&kind=drill") == [4]
    assert await told(client, "?severity=critical") == [4]
    assert await told(client, "?node=node-a&node=b") == [2, 3, 4]
    assert await told(client, "?node=x&since=1w") == [1]
    assert await told(client, "?network=emulated") == []
    found, after = [], 0
    for _ in range(3):
        page = (await client.get(f"{EVENTS}?since=1w&limit=2&after={after}")).json()
        found += [one["id"] for one in page["events"]]
        after = page["next"]
        if after is None:
            break
    assert found == [1, 2, 3, 4]
    assert (await client.get(f"{EVENTS}?after=3")).json()["events"][0]["what"] == "event 4"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{EVENTS}?since=tomorrow", 422),
        (f"{EVENTS}?until=x", 422),
        (f"{EVENTS}?kind=x", 422),
        (f"{EVENTS}?limit=0", 422),
        (f"{EVENTS}?node=nobody", 404),
        ("/v1/history/node?id=nobody", 404),
        ("/v1/history/node?id=a&network=emulated", 404),
        ("/v1/history/node?id=a&since=2h&until=3h", 422),
        ("/v1/history/node?id=a&since=30d&step_s=60", 422),
        ("/v1/history/node?id=a&step_s=61", 422),
        ("/v1/history/link?a=a&b=c", 404),
        ("/v1/history/diff", 422),
        ("/v1/history/diff?since=2h&until=3h", 422),
        ("/v1/history/diff?since=1w", 404),
        ("/v1/history/diff?since=5m&network=emulated", 404),
        ("/v1/history/link?a=a", 422),
    ],
)
async def test_what_cannot_be_told_is_a_problem(kept: Any, path: str, status: int) -> None:
    """With what to do instead."""
    _, client = kept
    assert is_problem(await client.get(path), status)


async def test_series_of_nodes_and_links(kept: Any) -> None:
    """By id or whole name; a link from either end; unknown is null."""
    _, client = kept
    answer = (await client.get("/v1/history/node?id=node-a&since=20m&step_s=60")).json()
    (node,) = answer["series"]
    assert (answer["network"], node["id"], node["step_s"]) == ("observed", "a", 60)
    assert set(node["figures"]["clients"]) == {3.0, None}
    assert sum(node["samples"]) == 10
    one, answer = [
        (await client.get(f"/v1/history/link?{ends}&since=20m&until=now")).json()
        for ends in ("a=b&b=a", "a=node-a&b=node-b")
    ]
    assert one["series"][0]["figures"] == answer["series"][0]["figures"]
    assert (answer["series"][0]["a"], answer["series"][0]["kind"]) == ("a", "wifi")


async def test_what_is_not_as_it_was(kept: Any) -> None:
    """As `x0 diff` tells it: states, links, qualities; no more than asked for, and the count."""
    gateway, client = kept
    changed = sample({("a", "b"): 0.9}, clients=[3, 0])
    await asyncio.to_thread(archive_of(gateway).metrics.write, REAL, changed, time.time())
    query = {"since": "5m", "network": "observed"}
    found = (await client.get("/v1/history/diff", params=query)).json()
    links = {
        one["a"] + one["b"]: (one["what"], one["before"], one["now"]) for one in found["links"]
    }
    assert found["network"] == "observed"
    (left,) = found["nodes"]
    assert (left["what"], left["id"], left["before"], left["now"]) == ("left", "c", "up", None)
    assert links["ab"][0] == "quality"
    assert links["bc"] == ("gone", "up", None)
    assert (found["different_links"], found["now"]["links"], found["before"]["links"]) == (2, 1, 2)
    few = (await client.get("/v1/history/diff", params=query | {"limit": 1})).json()
    assert (few["links"], few["different_links"]) == (found["links"][:1], 2)
    calm = (await client.get("/v1/history/diff", params=query | {"quality": 0.5})).json()
    assert [one["what"] for one in calm["links"]] == ["gone"]
    same = (await client.get("/v1/history/diff", params={"since": "8m", "until": "5m"})).json()
    assert (same["nodes"], same["links"]) == ([], [])


async def test_without_a_history_it_is_said(start: Any) -> None:
    """Nothing that can be asked hangs or is empty."""
    _, client = await start(archive=None)
    for path in (EVENTS, STREAM, "/v1/history/node?id=a", "/v1/history/diff?since=1h"):
        assert is_problem(await client.get(path), 503)
    _, client = await start()
    assert is_problem(await client.get("/v1/history/node?id=a"), 404)
    assert await told(client) == []


async def _read(client: Any, query: str = "", **headers: str) -> list[tuple[str, str, Any]]:
    """All that a stream tells before it ends: id, kind and data of each."""
    async with asyncio.timeout(60):
        answer = await client.get(f"{STREAM}{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if fields:
            found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return found


async def _begun(gateway: Any) -> None:
    """Until a stream is open: what is new from then on is told."""
    async with asyncio.timeout(60):
        while not gateway.streams.taken:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)


async def test_a_stream_goes_on_after_the_last_event_that_was_read(kept: Any, start: Any) -> None:
    """By the number in the history, also at another gateway, as after a restart."""
    gateway, client = kept
    first = await _read(client, "?since=1w&limit=2")
    assert [(one[0], one[2]["what"]) for one in first] == [("1", "event 1"), ("2", "event 2")]
    assert first[0][2]["at"].endswith("Z")
    _, other = await start(archive=archive_of(gateway))
    rest = await _read(other, "?limit=2", **{"last-event-id": "2"})
    assert [(one[0], one[1]) for one in rest] == [("3", "node_silent"), ("4", "split")]


async def test_a_stream_without_an_id_tells_what_is_new(kept: Any) -> None:
    """And only what fits; what does not is passed."""
    gateway, client = kept
    reading = asyncio.create_task(_read(client, "?limit=1&severity=critical"))
    await _begun(gateway)
    await asyncio.to_thread(happened, archive_of(gateway), 5, ago_s=0)
    await asyncio.sleep(1.2)
    critical = {"severity": EventSeverity.CRITICAL, "kind": EventKind.SPLIT}
    await asyncio.to_thread(lambda: happened(archive_of(gateway), 6, ago_s=0, **critical))
    ((id_, kind, _),) = await reading
    assert (id_, kind) == ("6", "split")


async def test_what_was_deleted_is_a_gap(kept: Any) -> None:
    """With the true number of missed events; an id that was never given is said to be foreign."""
    gateway, client = kept
    archive_of(gateway).events.expire(time.time() - 30)  # leaves the newest
    (gap, last) = await _read(client, "?limit=1", **{"last-event-id": "1"})
    assert gap[1:] == ("gap", {"missed": 2, "why": "they are older than what is kept"})
    assert last[0] == "4"
    reading = asyncio.create_task(_read(client, "?limit=1", **{"last-event-id": "999"}))
    await _begun(gateway)
    await asyncio.to_thread(happened, archive_of(gateway), 9, ago_s=0)
    (gap, last) = await reading
    assert (gap[2]["missed"], last[0]) == (None, "5")
    assert is_problem(await client.get(STREAM, headers={"last-event-id": "x"}), 422)


async def test_the_path_of_before_leads_to_the_stream(kept: Any) -> None:
    """With its query; browsers and curl -L send Last-Event-ID again."""
    _, client = kept
    moved = await client.get("/v1/mesh/events?limit=1")
    assert (moved.status_code, moved.headers["location"]) == (308, f"{STREAM}?limit=1")


async def test_a_history_that_fails_for_a_while_keeps_its_readers(
    kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are told in a comment, and the stream goes on."""
    from actors.runtime.errors import Unavailable

    gateway, client = kept
    find = gateway.history.find
    failed = []

    async def once(query: Any) -> Any:
        if not failed:
            failed.append(query)
            raise Unavailable("the database does not answer", "away", "", retry_after_s=1)
        return await find(query)

    monkeypatch.setattr(gateway.history, "find", once)
    assert [one[0] for one in await _read(client, "?limit=1", **{"last-event-id": "3"})] == ["4"]
    assert failed
