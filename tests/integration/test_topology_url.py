"""Maps by URL, from real HTTP servers on loopback: bounds, retries, polling, secrets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import logging
import threading
import time
import traceback
import tracemalloc
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from actors.topology import download
from actors.topology.errors import TopologyError
from actors.topology.source import TopologyFeed, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANARY = "canary-secret"


def map_body(quality: float = 0.5) -> bytes:
    nodes = [{"node_id": "a"}, {"node_id": "b"}]
    link = {"source": "a", "target": "b", "source_tq": quality, "target_tq": 1, "type": "wifi"}
    return json.dumps({"nodes": nodes, "links": [link]}).encode()


class Server:
    """A loopback HTTP server whose answer is a function; it records the requests' headers."""

    def __init__(self, answer: Callable[[Any], None]) -> None:
        self.seen: list[dict[str, str]] = []
        self.paths: list[str] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                recorder.seen.append(dict(self.headers.items()))
                recorder.paths.append(self.path)
                self.close_connection = True
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients hang up
        self.host = f"127.0.0.1:{self.http.server_port}"
        self.url = f"http://{self.host}/meshviewer.json"


@contextmanager
def serving(answer: Callable[[Any], None]) -> Iterator[Server]:
    server = Server(answer)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def reply(handler: Any, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    # Said before it is done: a client would otherwise reuse a connection that is closing.
    fixed = {"Content-Length": str(len(body)), "Connection": "close"}
    for name, value in {**fixed, **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def refusal(url: str) -> TopologyError:
    with pytest.raises(TopologyError) as caught:
        read(url)
    return caught.value


def test_a_map_is_read_from_a_url() -> None:
    """A map on a server reads as from a file, plain and as gzip."""
    with serving(lambda handler: reply(handler, map_body())) as server:
        plain = read(server.url)
    packed = gzip.compress(map_body()[:40]) + gzip.compress(map_body()[40:])
    with serving(lambda handler: reply(handler, packed, Content_Encoding="gzip")) as server:
        assert read(server.url).topology == plain.topology
    assert plain.topology.quality.tolist() == [[0.5, 1.0]]
    assert server.seen[0]["Accept-Encoding"] == "gzip"


async def test_a_url_may_be_read_beside_a_running_loop() -> None:
    """The blocking read works where an event loop runs already, as in a notebook."""
    with serving(lambda handler: reply(handler, map_body())) as server:
        assert read(server.url).topology.n_links == 1


def test_an_announced_gigabyte_is_refused_unread() -> None:
    """A Content-Length beyond the bound is refused before the body is read."""
    sent = []

    def announce(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(2**30))
        handler.end_headers()
        for _ in range(1024):
            handler.wfile.write(b" " * 2**20)
            sent.append(1)

    with serving(announce) as server:
        error = refusal(server.url)
    assert "larger than 64 MiB" in error.why
    assert server.url in str(error)
    assert len(sent) < 64


def test_an_endless_body_is_refused_while_streaming() -> None:
    """A gigabyte without a Content-Length is cut off soon after the bound."""
    sent = []

    def stream(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1024):
            handler.wfile.write(b" " * 2**20)
            sent.append(1)

    with serving(stream) as server:
        assert "larger than 64 MiB" in refusal(server.url).why
    assert 60 <= len(sent) < 128


def test_a_gzip_bomb_is_refused_within_bounded_memory() -> None:
    """A megabyte that inflates to a gigabyte is refused, holding little more than the bound."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as bomb:
        for _ in range(1024):
            bomb.write(b" " * 2**20)
    body = packed.getvalue()
    assert len(body) < 2 * 2**20
    with serving(lambda handler: reply(handler, body, Content_Encoding="gzip")) as server:
        tracemalloc.start()
        try:
            error = refusal(server.url)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert "larger than 64 MiB" in error.why
    assert peak < 160 * 2**20


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (gzip.compress(map_body())[:-12], "gzip", "cut short"),
        (b"no gzip at all", "gzip", "is not"),
        (map_body(), "br", "encoded as 'br'"),
    ],
    # gzip writes the time into its header: left to pytest, the name would differ between workers
    ids=["cut short", "no gzip", "brotli"],
)
def test_bad_encodings_are_refused(body: bytes, encoding: str, why: str) -> None:
    """A gzip body that is none, or is cut short, and other encodings are refused."""
    with serving(lambda handler: reply(handler, body, Content_Encoding=encoding)) as server:
        assert why in refusal(server.url).why


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (401, 1), (503, 3), (429, 3)])
def test_statuses_are_refused_and_only_passing_ones_retried(status: int, attempts: int) -> None:
    """An error status names the URL and the status; 5xx and 429 are tried three times."""
    with serving(lambda handler: reply(handler, b"", status)) as server:
        error = refusal(server.url)
        assert len(server.seen) == attempts
    assert str(status) in error.why
    assert server.url in str(error)


def test_a_passing_failure_is_overcome() -> None:
    """A server that answers 503 and then hangs up is asked again, and its map is read."""
    calls = []

    def flaky(handler: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            reply(handler, b"", 503)
        elif len(calls) == 3:
            reply(handler, map_body())

    with serving(flaky) as server:
        assert read(server.url).topology.n_links == 1


def test_no_server_is_refused() -> None:
    """A port where nothing listens is refused with the URL, after the attempts."""
    with serving(lambda _: None) as server:
        pass
    error = refusal(server.url)
    assert "no connection" in error.why
    assert "3 attempts" in error.why


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_dripping_server_is_given_up(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a byte now and then, in headers or body, is left at the total bound."""
    monkeypatch.setattr(download, "TOTAL_S", 0.6)
    stop = threading.Event()

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if part == "body" else b"X-Drip: "))
        while not stop.wait(0.05):
            handler.wfile.write(b" ")

    with serving(drip) as server:
        error = refusal(server.url)  # while it goes on
        stop.set()
    assert "longer than" in error.why


def test_redirects_are_followed_within_bounds() -> None:
    """A redirect leads to the map, a circle of them is refused, and so is one off http."""

    def route(handler: Any) -> None:
        match handler.path:
            case "/moved":
                reply(handler, b"", 302, Location="/meshviewer.json")
            case "/circle":
                reply(handler, b"", 302, Location="/circle")
            case "/file":
                reply(handler, b"", 302, Location="file:///etc/passwd")
            case _:
                reply(handler, map_body())

    with serving(route) as server:
        assert read(f"http://{server.host}/moved").topology.n_links == 1
        assert "more than 5 times" in refusal(f"http://{server.host}/circle").why
        assert len(server.paths) == 2 + 6
        assert "not http(s)" in refusal(f"http://{server.host}/file").why


def test_credentials_reach_their_server_only() -> None:
    """User and password travel as basic authentication, and not on to another server."""
    with serving(lambda handler: reply(handler, map_body())) as other:

        def away(handler: Any) -> None:
            reply(handler, b"", 302, Location=other.url)

        with serving(away) as server:
            read(f"http://me:p%40{CANARY}@{server.host}/m.json?token={CANARY}")
    sent = server.seen[0]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"me:p@{CANARY}"
    assert server.paths == [f"/m.json?token={CANARY}"]
    assert "Authorization" not in other.seen[0]


@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_credentials_are_never_shown(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Neither errors, nor their tracebacks, nor any log carry what the URL keeps secret."""
    caplog.set_level(logging.DEBUG)
    with serving(lambda handler: reply(handler, b"not a map", status)) as server:
        error = refusal(f"http://me:{CANARY}@{server.host}/m.json?token={CANARY}")
    text = str(error) + repr(error) + error.source + "".join(traceback.format_exception(error))
    assert CANARY not in text
    assert CANARY not in caplog.text
    assert f"http://{server.host}/m.json?..." in str(error)


async def test_polling_asks_for_news_only() -> None:
    """A feed gives a map once, sends its validators, and takes 304 and equal meshes as no news."""
    state = {"etag": '"1"', "body": map_body(0.5)}

    def conditional(handler: Any) -> None:
        if handler.headers.get("If-None-Match") == state["etag"]:
            handler.send_response(304)
            handler.send_header("Connection", "close")
            handler.end_headers()
        else:
            stamp = "Tue, 03 Mar 2020 14:26:09 GMT"
            reply(handler, state["body"], ETag=state["etag"], Last_Modified=stamp)  # type: ignore[arg-type]

    with serving(conditional) as server:
        feed = TopologyFeed(server.url)
        first = await feed.poll()
        assert first is not None
        assert await feed.poll() is None
        assert server.seen[1]["If-None-Match"] == '"1"'
        assert server.seen[1]["If-Modified-Since"] == "Tue, 03 Mar 2020 14:26:09 GMT"

        state.update(etag='"2"', body=map_body(0.5) + b"\n")
        assert await feed.poll() is None  # another version of the same mesh
        assert await feed.poll() is None
        assert server.seen[3]["If-None-Match"] == '"2"'

        state.update(etag='"3"', body=map_body(0.25))
        second = await feed.poll()
        assert second is not None
        assert second.topology.quality[0, 0] == 0.25


async def test_a_failed_poll_leaves_the_feed_as_it_was() -> None:
    """After a bad answer the next poll still asks with the last good version's validators."""
    state = {"etag": '"1"', "body": map_body(0.5)}
    answer = lambda handler: reply(handler, state["body"], ETag=state["etag"])  # type: ignore[arg-type] # noqa: E731 - one line in a closure
    with serving(answer) as server:
        feed = TopologyFeed(server.url)
        assert await feed.poll() is not None
        state.update(etag='"2"', body=b"{half")
        for _ in range(2):
            with pytest.raises(TopologyError, match="not JSON"):
                await feed.poll()
        assert [headers.get("If-None-Match") for headers in server.seen] == [None, '"1"', '"1"']
        state.update(etag='"3"', body=map_body(0.75))
        assert await feed.poll() is not None


async def test_polling_leaves_the_event_loop_free() -> None:
    """While a slow server is polled, other work on the loop goes on."""

    def slow(handler: Any) -> None:
        time.sleep(0.3)
        reply(handler, map_body())

    with serving(slow) as server:
        poll = asyncio.create_task(TopologyFeed(server.url).poll())
        ticks = 0
        while not poll.done():
            await asyncio.sleep(0.01)
            ticks += 1
    assert ticks > 10
    assert (await poll) is not None
