"""Calls over a Unix socket: answers, errors, ends, and what is refused. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import uvloop

from actors.runtime import direct, packing
from actors.runtime.errors import MailboxFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from actors.runtime.direct import Caller

METHODS = ("echo", "fail", "wait")


class Actor:
    """What is called."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.waiting = 0
        self.cancelled = asyncio.Event()

    async def echo(self, *values: Any) -> Any:
        return values

    async def fail(self) -> None:
        raise MailboxFull("n7", capacity=3, retry_after_s=0.5)

    async def wait(self) -> str:
        self.waiting += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "released"

    async def hidden(self) -> None:
        raise AssertionError("it is not offered")


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Actor, str, asyncio.Server]]:
    actor, where = Actor(), direct.address("test", uuid.uuid4().hex)
    server = await direct.serve(where, actor, METHODS)
    try:
        yield actor, where, server
    finally:
        server.close()


async def joined(where: str) -> Caller:
    caller = await direct.connect(where)
    assert caller is not None
    return caller


def plugged(where: str) -> socket.socket:
    """A connection without our protocol on it."""
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(where)
    raw.setblocking(False)  # noqa: FBT003 - its name for it
    return raw


async def test_an_answer_is_what_the_method_returned() -> None:
    """Arguments and results pass with their arrays, small ones and large ones."""
    async with served() as (_, where, _server):
        caller = await joined(where)
        column = np.arange(1_000_000)
        one, back, none = await caller.call("echo", 1, column, None)
        assert (one, none) == (1, None)
        np.testing.assert_array_equal(back, column)
        assert await caller.call("echo") == ()
        caller.close()


async def test_an_error_is_the_error_that_the_method_raised() -> None:
    """A typed error keeps its fields; the connection goes on."""
    async with served() as (_, where, _server):
        caller = await joined(where)
        with pytest.raises(MailboxFull, match="n7") as caught:
            await caller.call("fail")
        assert caught.value.capacity == 3
        assert await caller.call("echo", "still there") == ("still there",)
        caller.close()


async def test_calls_overtake_each_other() -> None:
    """A call that waits holds nobody up, and gets its own answer."""
    async with served() as (actor, where, _server):
        caller = await joined(where)
        slow = asyncio.create_task(caller.call("wait"))
        assert [await caller.call("echo", n) for n in range(100)] == [(n,) for n in range(100)]
        assert not slow.done()
        actor.release.set()
        assert await slow == "released"
        caller.close()


async def test_a_caller_that_waits_no_longer_harms_nobody() -> None:
    """The late answer of a call that timed out is dropped."""
    async with served() as (actor, where, _server):
        caller = await joined(where)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(caller.call("wait"), 0.05)
        actor.release.set()
        assert await caller.call("echo", 1) == (1,)
        caller.close()


async def test_where_nobody_listens_there_is_no_caller() -> None:
    """The actor may be on another machine."""
    assert await direct.connect(direct.address("nobody")) is None


async def test_one_address_is_for_one_actor() -> None:
    """A second one is told."""
    async with served() as (actor, where, _server):
        with pytest.raises(OSError, match="in use"):
            await direct.serve(where, actor, METHODS)


async def test_callers_learn_that_the_actor_has_gone() -> None:
    """Also those who are waiting; and the next."""
    async with served() as (_actor, where, _server):
        caller = await joined(where)
        slow = asyncio.create_task(caller.call("wait"))
        await caller.call("echo")
        caller.close()
        with pytest.raises(ConnectionError):
            await slow
        assert not caller.is_open
        with pytest.raises(ConnectionError):
            await caller.call("echo")


async def test_calls_end_with_their_caller() -> None:
    """What nobody waits for is cancelled."""
    async with served() as (actor, where, _server):
        caller = await joined(where)
        slow = asyncio.create_task(caller.call("wait"))
        while not actor.waiting:
            await caller.call("echo")
        caller.close()
        await asyncio.wait([slow])
        async with asyncio.timeout(5):
            await actor.cancelled.wait()
        assert isinstance(slow.exception(), ConnectionError)


async def test_only_offered_methods_can_be_called() -> None:
    """Another name ends the connection, and only that one."""
    async with served() as (_, where, _server):
        caller, other = await joined(where), await joined(where)
        with pytest.raises(ConnectionError):
            await caller.call("hidden")
        with pytest.raises(ConnectionError):
            await (await joined(where)).call("__init__")
        assert await other.call("echo", 1) == (1,)
        other.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-frame"),
        pytest.param(packing.PREFIX.pack(direct.LARGEST + 1, 1), id="too-large"),
        pytest.param(b"".join(packing.pack("not a call")), id="no-call"),
        pytest.param(b"".join(packing.pack((1, ["echo"], ()))), id="no-method"),
    ],
)
async def test_what_is_no_call_ends_the_connection(sent: bytes) -> None:
    """The actor goes on serving others."""
    async with served() as (_, where, _server):
        reader, writer = await asyncio.open_unix_connection(sock=plugged(where))
        writer.write(sent)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):  # aborted with our bytes unread
                assert await reader.read() == b""
        writer.close()
        caller = await joined(where)
        assert await caller.call("echo", 1) == (1,)
        caller.close()


async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    """Its answers do not pile up in the actor; another client is served meanwhile."""
    async with served() as (_, where, _server):
        raw = plugged(where)
        call = b"".join(packing.pack((0, "echo", (np.zeros(100_000, np.uint8),))))
        loop = asyncio.get_running_loop()

        async def call_without_end() -> None:
            while True:
                await loop.sock_sendall(raw, call)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call_without_end(), 2)
        caller = await joined(where)
        assert await caller.call("echo", 1) == (1,)
        caller.close()
        raw.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_other_users_are_refused() -> None:
    """The kernel says who calls."""
    async with served() as (_, where, _server):
        ask = (
            "import socket, os, sys; os.setuid(65534);"
            "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + sys.argv[1]);"
            "s.settimeout(5); print(s.recv(1))"
        )
        answer = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", ask, where[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.stdout.strip() == "b''" or "ConnectionResetError" in answer.stderr
        caller = await joined(where)
        assert await caller.call("echo", 1) == (1,)
        caller.close()


@pytest.mark.parametrize(
    "scenario",
    [
        test_an_answer_is_what_the_method_returned,
        test_callers_learn_that_the_actor_has_gone,
        test_calls_end_with_their_caller,
        test_a_client_that_does_not_read_is_not_read_either,
    ],
)
def test_all_this_holds_on_the_event_loop_of_actors(
    scenario: Callable[[], Awaitable[None]],
) -> None:
    """Ray runs actors on uvloop, whose transports differ in detail from asyncio's own."""

    async def run() -> None:
        await scenario()

    uvloop.run(run())
