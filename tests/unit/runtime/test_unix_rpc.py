"""Calls over a Unix socket: answers, errors, ends, and what is refused. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import uvloop

from actors.mesh.errors import MailboxFull
from actors.runtime import packing, unix_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from actors.runtime.unix_rpc import Caller, Listener

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


@pytest.fixture(autouse=True)
def private_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sockets of this test alone; their paths have to be short (107 bytes, unix(7))."""
    with tempfile.TemporaryDirectory(prefix="x0-") as made:
        directory = Path(made) / "own"
        directory.mkdir(mode=0o700)
        monkeypatch.setattr(unix_rpc, "directories", lambda: (directory,))
        yield directory


def path_of(name: str) -> str:
    return str(unix_rpc.directories()[0] / name)


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Actor, str, Listener]]:
    actor, where = Actor(), unix_rpc.socket_name("test", uuid.uuid4().hex)
    server = await unix_rpc.serve(where, actor, METHODS)
    try:
        yield actor, where, server
    finally:
        server.close()


async def joined(where: str) -> Caller:
    caller = await unix_rpc.connect(where)
    assert caller is not None
    return caller


def plugged(where: str) -> socket.socket:
    """A connection without our protocol on it."""
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(path_of(where))
    raw.setblocking(False)  # noqa: FBT003 - its name for it
    return raw


async def test_an_answer_is_what_the_method_returned() -> None:
    """Arguments and results pass with their arrays, small ones and large ones."""
    async with served() as (_, where, _server):
        caller = await joined(where)
        column = np.arange(1_000_000)
        one, back, none = await caller.call("echo", (1, column, None))
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
        assert await caller.call("echo", ("still there",)) == ("still there",)
        caller.close()


async def test_calls_overtake_each_other() -> None:
    """A call that waits holds nobody up, and gets its own answer."""
    async with served() as (actor, where, _server):
        caller = await joined(where)
        slow = asyncio.create_task(caller.call("wait"))
        assert [await caller.call("echo", (n,)) for n in range(100)] == [(n,) for n in range(100)]
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
        assert await caller.call("echo", (1,)) == (1,)
        caller.close()


async def test_where_nobody_listens_there_is_no_caller() -> None:
    """The actor may be on another machine."""
    assert await unix_rpc.connect(unix_rpc.socket_name("nobody")) is None


async def test_the_newest_of_a_name_is_called() -> None:
    """A predecessor that is still ending keeps its callers and gets no new ones."""
    async with served() as (old, where, server):
        before = await joined(where)
        new = Actor()
        successor = await unix_rpc.serve(where, new, METHODS)
        new.release.set()
        caller = await joined(where)
        assert await caller.call("wait") == "released"
        assert await before.call("echo", (1,)) == (1,)
        assert not old.waiting
        server.close()  # and leaves the socket of its successor alone
        assert await (await joined(where)).call("wait") == "released"
        successor.close()
        assert await unix_rpc.connect(where) is None


async def test_sockets_of_processes_that_were_killed_are_removed(private_directory: Path) -> None:
    """They would pile up, one for each actor of each cluster that ended."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(private_directory / "left"))
    async with served() as (_, where, _server):
        assert not (private_directory / "left").exists()
        assert (private_directory / where).exists()
        assert await unix_rpc.connect("left") is None


async def test_a_directory_that_others_could_use_is_not_used(
    private_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others may enter, and a link, could lead callers to somebody else's socket."""
    open_to_all, link, good = (private_directory / name for name in ("open", "link", "good"))
    open_to_all.mkdir(mode=0o755)
    good.mkdir(mode=0o700)
    link.symlink_to(good)
    monkeypatch.setattr(unix_rpc, "directories", lambda: (open_to_all, link))
    with pytest.raises(OSError, match="no directory that is this user's alone"):
        await unix_rpc.serve("name", Actor(), METHODS)
    monkeypatch.setattr(unix_rpc, "directories", lambda: (open_to_all, good))
    listener = await unix_rpc.serve("name", Actor(), METHODS)
    assert (good / "name").is_socket()
    caller = await joined("name")
    assert await caller.call("echo", (1,)) == (1,)
    caller.close()
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_what_another_user_was_quicker_to_make_is_not_used(private_directory: Path) -> None:
    """Neither to listen, nor to call: the directory's name can be guessed."""
    os.chown(private_directory, 65534, 65534)
    with pytest.raises(OSError, match="no directory"):
        await unix_rpc.serve("name", Actor(), METHODS)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(private_directory / "name"))
        stranger.listen()
        assert await unix_rpc.connect("name") is None


async def test_a_full_queue_holds_nobody_up(
    private_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener that is stopped: the caller gives up in time, and its loop goes on meanwhile."""
    monkeypatch.setattr(unix_rpc, "CONNECT_S", 0.3)
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    with socket.socket(socket.AF_UNIX) as stopped, contextlib.ExitStack() as waiting:
        stopped.bind(str(private_directory / "stopped"))
        stopped.listen(1)
        for _ in range(2):
            waiting.enter_context(plugged("stopped"))
        ticking = asyncio.create_task(tick())
        async with asyncio.timeout(60):
            assert await unix_rpc.connect("stopped") is None
        ticking.cancel()
    assert turns > 5


async def test_a_call_can_be_taken_back() -> None:
    """With `cancels`, what nobody waits for any more is cancelled at the actor; else it goes on."""
    async with served() as (actor, where, _server):
        caller = await joined(where)
        for cancels in False, True:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(caller.call("wait", cancels=cancels), 0.05)
            assert await caller.call("echo", (1,)) == (1,)
            await asyncio.sleep(0)
            assert actor.cancelled.is_set() == cancels
        caller.close()


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
        async with asyncio.timeout(60):
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
        assert await other.call("echo", (1,)) == (1,)
        other.close()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-frame"),
        pytest.param(packing.PREFIX.pack(unix_rpc.LARGEST + 1, 1), id="too-large"),
        pytest.param(b"".join(packing.pack("not a call")), id="no-call"),
        pytest.param(b"".join(packing.pack((1, ["echo"], (), {}))), id="no-method"),
    ],
)
async def test_what_is_no_call_ends_the_connection(sent: bytes) -> None:
    """The actor goes on serving others."""
    async with served() as (_, where, _server):
        reader, writer = await asyncio.open_unix_connection(sock=plugged(where))
        writer.write(sent)
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):  # aborted with our bytes unread
                assert await reader.read() == b""
        writer.close()
        caller = await joined(where)
        assert await caller.call("echo", (1,)) == (1,)
        caller.close()


async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    """Its answers do not pile up in the actor; another client is served meanwhile."""
    async with served() as (_, where, _server):
        raw = plugged(where)
        call = b"".join(packing.pack((0, "echo", (np.zeros(100_000, np.uint8),), {})))
        loop = asyncio.get_running_loop()

        async def call_without_end() -> None:
            while True:
                await loop.sock_sendall(raw, call)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call_without_end(), 2)
        caller = await joined(where)
        assert await caller.call("echo", (1,)) == (1,)
        caller.close()
        raw.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_other_users_are_refused() -> None:
    """The directory keeps them out; were it open, the kernel would still say who calls."""
    ask = (
        "import socket, os, sys; os.chdir(sys.argv[1]); os.setuid(65534);"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2]);"
        "s.settimeout(5); print(s.recv(1))"
    )

    async def try_as_another_user(name: str) -> tuple[str, str]:
        answer = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", ask, str(unix_rpc.directories()[0]), name],
            capture_output=True,
            text=True,
            check=False,
        )
        return answer.stdout.strip(), answer.stderr

    async with served() as (_, where, _server):
        assert "PermissionError" in (await try_as_another_user(where))[1]
        unix_rpc.directories()[0].chmod(0o755)
        os.chmod(path_of(where), 0o777)  # noqa: PTH101, S103 - the fault that is tried
        for _ in range(3):
            said, failed = await try_as_another_user(where)
            assert said == "b''" or "ConnectionResetError" in failed
        unix_rpc.directories()[0].chmod(0o700)
        caller = await joined(where)
        assert await caller.call("echo", (1,)) == (1,)
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
