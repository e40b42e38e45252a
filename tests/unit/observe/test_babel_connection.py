"""The control socket of babeld, over real sockets: daemons that answer oddly, hang or vanish."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources import babel_connection
from actors.observe.sources.babel_sockets import ControlSocket
from actors.observe.sources.babeld import BabelSource
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HELLO = "BABEL 1.0\nversion babeld-1.12.1\nhost vm\nmy-id {}\nok\n"
NEAR = "{} neighbour 1 address fe80::b if e0 reach ffff ureach 0000 rxcost {} txcost 256 cost 256\n"
DUMP = (
    "add interface e0 up true ipv6 fe80::a\n"
    + NEAR.format("add", 256)
    + "add route 2 prefix fd00::b/128 from ::/0 installed yes id bb metric 256 refmetric 0 "
    "via fe80::b if e0\nok\n"
)


class Daemon:
    """Answers like babeld; what it says can be changed."""

    def __init__(self) -> None:
        self.greeting = HELLO.format("aa")
        self.answer: str | None = DUMP
        self.requests: list[str] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        writer.write(self.greeting.encode())
        while request := await reader.readline():
            self.requests.append(request.decode().strip())
            if self.answer is not None:
                writer.write(self.answer.encode())
        writer.close()

    def say(self, text: str) -> None:
        self.writers[-1].write(text.encode())

    async def drop(self) -> None:
        for writer in self.writers:
            writer.close()
        await asyncio.sleep(0.05)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "b.sock")


@asynccontextmanager
async def running(path: str) -> AsyncIterator[Daemon]:
    daemon = Daemon()
    server = await asyncio.start_unix_server(daemon.serve, path)
    try:
        yield daemon
    finally:
        server.close()
        await daemon.drop()
        await asyncio.to_thread(Path(path).unlink)


def source(*paths: str, monitor: bool = False, timeout_s: float = 60) -> BabelSource:
    return BabelSource([ControlSocket(path=each) for each in paths], timeout_s, monitor=monitor)


async def test_one_connection_serves_many_polls(path: str) -> None:
    """It asks for a dump each time, and sends nothing else."""
    async with running(path) as daemon:
        asking = source(path)
        for _ in range(3):
            assert len((await asking.poll()).links) == 1
        await asking.close()
    assert daemon.requests == ["dump"] * 3
    assert daemon.connections == 1


async def test_it_connects_again_after_the_daemon_was_restarted(path: str) -> None:
    """While it is down the poll fails, and what was known is not told as if it were new."""
    asking = source(path)
    async with running(path):
        await asking.poll()
    with pytest.raises(TopologyError, match="no such file"):
        await asking.poll()
    async with running(path) as daemon:
        assert len((await asking.poll()).links) == 1
        assert daemon.connections == 1
        await asking.close()


async def test_monitor_takes_in_changes_and_counts_losses(path: str) -> None:
    """Between polls it listens; a neighbour that came and went is told of."""
    async with running(path) as daemon:
        asking = source(path, monitor=True)
        assert (await asking.poll()).links[0].cost == (256, 256)
        daemon.say("flush neighbour 1 address fe80::b\n" + NEAR.format("add", 512))
        daemon.answer = NEAR.format("add", 512) + "ok\n"
        reading = await asking.poll()
        assert reading.links[0].cost == (256, 512)
        assert any("lost 1 times" in note for note in reading.notes)
        assert not any("lost" in note for note in (await asking.poll()).notes)
        await asking.close()
    assert daemon.requests == ["monitor", "dump", "dump"]


@pytest.mark.parametrize("monitor", [False, True])
async def test_a_daemon_that_hangs_does_not_answer(path: str, *, monitor: bool) -> None:
    """What it said before is not what is so now."""
    async with running(path) as daemon:
        asking = source(path, monitor=monitor)
        await asking.poll()
        daemon.answer = None
        asking._timeout_s = 0.5
        with pytest.raises(TopologyError, match=r"no answer within 0\.5 s"):
            await asking.poll()
        daemon.answer = DUMP
        asking._timeout_s = 60
        assert len((await asking.poll()).links) == 1
        await asking.close()
    assert daemon.connections == 2


@pytest.mark.parametrize("monitor", [False, True])
async def test_a_connection_that_broke_meanwhile_is_made_anew(path: str, *, monitor: bool) -> None:
    """A daemon that was restarted between two polls answers the second."""
    async with running(path) as daemon:
        asking = source(path, monitor=monitor)
        await asking.poll()
        await daemon.drop()
        assert len((await asking.poll()).links) == 1
        await asking.close()
    assert daemon.connections == 2


def greeting(text: str) -> Callable[[Daemon], None]:
    return lambda daemon: setattr(daemon, "greeting", text)


def answering(text: str) -> Callable[[Daemon], None]:
    return lambda daemon: setattr(daemon, "answer", text)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (greeting("SSH-2.0-OpenSSH_9.2\nok\n"), "does not greet as babeld"),
        (greeting("x" * 10_000), "lines of more than"),
        (answering("bad\n"), "it answers 'bad'"),
        (answering("no not allowed\n"), "it answers 'no not allowed'"),
        (answering("x" * 10_000 + "\n"), "lines of more than"),
        (answering("add x\n" * 200), "more than 100 lines"),
    ],
)
async def test_what_is_no_babeld_is_said(
    path: str, odd: Callable[[Daemon], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And bounded."""
    monkeypatch.setattr(babel_connection, "MAX_LINES", 100)
    async with running(path) as daemon:
        odd(daemon)
        with pytest.raises(TopologyError, match=said):
            await source(path).poll()


async def test_one_router_of_two_that_does_not_answer_costs_itself(path: str) -> None:
    """The other is read, and the reason is in the notes."""
    async with running(path):
        asking = BabelSource(
            [ControlSocket(path=path), ControlSocket("roof", path="/no/such.sock")], 60
        )
        reading = await asking.poll()
        await asking.close()
    assert [(node.id, node.online) for node in reading.nodes] == [
        ("aa", True),
        ("roof", False),
        ("bb", True),
    ]
    assert any("roof (/no/such.sock) does not answer: no such file" in n for n in reading.notes)
