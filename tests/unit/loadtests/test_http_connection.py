"""The connection of the load generator: it reads what any HTTP server may send, or says why not."""

from __future__ import annotations

import pytest

from loadtests.http_connection import Server
from tests.unit.loadtests.http_server import response, serving


async def test_answers_that_come_in_pieces_are_put_together() -> None:
    """Status, media type and body are read whatever the pieces they come in, again and again."""

    def echo(_head: bytes, body: bytes) -> bytes:
        return response(201, body, "Application/JSON; charset=utf-8")

    async with serving(echo, piece=7) as server, server.connections(1) as (connection,):
        for body in (b"x" * 500, b"y"):
            answer = await connection.ask(server.request("POST", "/", body))
            assert (answer.status, answer.kind, answer.body) == (201, "application/json", body)
            assert answer.seconds > 0


async def test_a_request_says_who_asks_and_how_long_it_is() -> None:
    """A request carries the token, the length of its body and the headers that it was given."""
    request = Server("127.0.0.1", 80, "secret").request("POST", "/p", b"body", {"x-a": "b"})
    head, _, body = request.partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert (first, body) == (b"POST /p HTTP/1.1", b"body")
    assert set(fields) == {
        b"host: 127.0.0.1:80",
        b"x-a: b",
        b"authorization: Bearer secret",
        b"content-length: 4",
    }


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nhalf", b"no"])
async def test_an_answer_that_is_cut_off_raises(sent: bytes) -> None:
    """A server that hangs up before or within its answer, or speaks no HTTP, is an error."""
    async with (
        serving(lambda *_: sent, once=True) as server,
        server.connections(1) as (connection,),
    ):
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await connection.ask(server.request("GET", "/"))


async def test_connection_close_is_heeded() -> None:
    """After an answer that ends the connection it takes no further request."""

    def last(_head: bytes, _body: bytes) -> bytes:
        return b"HTTP/1.1 413 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

    async with serving(last) as server, server.connections(1) as (connection,):
        assert (await connection.ask(server.request("GET", "/"))).status == 413
        assert connection.closed
