"""Commands ask the actors of a session by their sockets: real sockets, and no Ray at all."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from actors.observe.contract import (
    OBSERVER,
    LinkCondition,
    NodeState,
    ObservedLink,
    ObservedNetwork,
    ObservedNode,
)
from actors.runtime import remote, unix_rpc
from actors.runtime.actor_health import ActorContract, ActorHealth
from actors.runtime.errors import NotRunning
from actors.topology.errors import UnknownNode
from actors.topology.model import Topology
from actors.twin.contract import TWIN
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.results import About, Reply
from jobs.launch.record import SessionRecord
from jobs.terminal import exit_codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from actors.twin.scenario import Scenario

SESSION, NAMESPACE = "session_of_a_test", "x0"
WORLD = Topology.of(["a", "b", "c"], [[0, 1], [1, 2]], [[1.0, 1.0], [0.5, 0.5]], [0, 0])
RECORD = SessionRecord(
    address="127.0.0.1:1",
    dashboard_url="",
    namespace=NAMESPACE,
    own_cluster=True,
    source="",
    pid=1,
    started_at=0.0,
    observed="a map",
    session=SESSION,
)


class Twin:
    """Answers as the twin does."""

    async def ask(self, scenario: Scenario, plot: bool, _limit_s: float) -> Reply:  # noqa: FBT001 - as the actor's
        about = About(
            live=True,
            source="a map",
            nodes=3,
            links=2,
            links_down=0,
            hello_s=1.0,
            network="observed",
        )
        return reply(scenario, about, Intact(WORLD), plot=plot)

    async def health(self) -> ActorHealth:
        return ActorHealth("ready", "", 1, os.getpid())


class Observer:
    """Tells a network of two nodes."""

    async def network(self) -> ObservedNetwork:
        rest = (
            0.0,
            0.0,
            None,
            1,
            None,
            None,
            False,
            3,
            "",
            "",
            "",
            "",
            "",
            None,
            {},
            (),
            (),
            (),
            {},
        )
        nodes = tuple(
            ObservedNode(each, f"name-{each}", NodeState.UP, *rest) for each in ("a", "b")
        )
        link = ObservedLink(
            "a", "b", "wifi", LinkCondition.UP, 0.0, (0.5, None), None, "", (None, None), 1, ()
        )
        return ObservedNetwork(0.0, 0, 1, nodes, (link,))


@contextmanager
def served(actors: Mapping[str, tuple[object, tuple[str, ...]]]) -> Iterator[None]:
    """Actors that answer on sockets, from a thread."""
    loop, up = asyncio.new_event_loop(), threading.Event()
    listeners: list[unix_rpc.Listener] = []

    async def serve() -> None:
        for name, (actor, methods) in actors.items():
            where = unix_rpc.socket_name(SESSION, NAMESPACE, name)
            listeners.append(await unix_rpc.serve(where, actor, methods))
        up.set()

    def run() -> None:
        loop.create_task(serve())
        loop.run_forever()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(30)
        yield
    finally:
        for listener in listeners:
            loop.call_soon_threadsafe(listener.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state directory of a session with a twin and an observer, and no gateway."""
    RECORD.save(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with served({TWIN: (Twin(), ("ask", "health")), OBSERVER: (Observer(), ("network",))}):
        yield tmp_path


_NO_RAY = """
import sys
sys.modules["ray"] = None  # an import of it fails
from jobs.cli import main
try:
    main()
finally:
    heavy = {"numpy", "scipy"} & sys.modules.keys()
    assert not heavy, heavy
"""


def x0(state: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """What a command answers, in a process that can import no Ray."""
    done = subprocess.run(
        [sys.executable, "-c", _NO_RAY, *words, "--json"],
        env={**os.environ, "X0TTA6BL4_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_commands_ask_by_socket_and_import_nothing_slow(session: Path) -> None:
    """What if, nodes and links; what the actor refuses is said as by the actor itself."""
    told = x0(session, "what-if", "--fail", "b")
    assert told["mesh"]["network"] == "observed"
    assert told["impact"]["pairs_lost"] == 1
    error = x0(session, "what-if", "--fail", "zz", code=exit_codes.BAD_INPUT)["error"]
    assert error["type"] == UnknownNode.__name__
    nodes = x0(session, "nodes")
    assert [(one["id"], one["name"], one["state"], one["links"]) for one in nodes["nodes"]] == [
        ("a", "name-a", "up", 1),
        ("b", "name-b", "up", 1),
    ]
    (link,) = x0(session, "links")["links"]
    assert (link["a"], link["b"], link["quality"]) == ("a", "b", [0.5, None])


async def test_an_actor_is_called_by_socket_in_no_cluster() -> None:
    """One that has a socket answers; one that has none is not running, and Ray is not asked."""
    with (
        served({TWIN: (Twin(), ("health",))}),
        remote.by_sockets(SESSION, NAMESPACE),
    ):
        assert await remote.to(TWIN).has_socket()
        assert (await remote.proxy(ActorContract, TWIN).health()).pid == os.getpid()
        assert not await remote.to("nobody").has_socket()
        with pytest.raises(NotRunning, match="no socket"):
            await remote.proxy(ActorContract, "nobody").health()
