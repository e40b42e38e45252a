"""`x0 send` and `x0 what-if` over a gateway on loopback, without Ray, and when Ray is asked."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from typer.testing import CliRunner

from actors.mesh.errors import MailboxFull, NodeSilent, ShardUnavailable
from actors.runtime.errors import X0Error
from actors.topology.etx import COST_UNIT
from actors.topology.link_state import LinkState
from actors.topology.model import Topology
from actors.topology.provenance import Network
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.results import About
from actors.twin.scenario import Failing, Scenario
from jobs import send
from jobs.cli import app
from jobs.launch import twin_questions
from jobs.launch.record import SessionRecord
from jobs.terminal import exit_codes
from serve_apps import probing
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.mesh_view import Snapshot
from serve_apps.web.auth import ensure_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from actors.twin.results import Reply

# a - b - c, and d apart.
WORLD = Topology.of(["a", "b", "c", "d"], [(0, 1), (1, 2)])
ABOUT = About(
    live=True, source="test", nodes=4, links=2, links_down=0, hello_s=1.0, revision=3, age_s=0.1
)
RECORD = SessionRecord(
    address="127.0.0.1:1",
    dashboard_url="",
    namespace="x0",
    own_cluster=True,
    source="test",
    pid=1,
    started_at=2.5,
)
BY_RAY = {"id": 1, "port": 1, "outcome": "delivered", "seconds": 0.0, "route": []}


@dataclass(frozen=True)
class Unread:
    offsets: NDArray[np.int64]
    batch: NDArray[np.object_]


class PostMesh:
    """Delivers at once; gives back what is for `dead`, refuses what is from a node of `refusing`.

    Each inbox holds a message of somebody else already.
    """

    def __init__(self) -> None:
        placement = SimpleNamespace(partition_of=np.arange(4))
        self.membership = SimpleNamespace(topology=WORLD, placement=placement)
        self.dead: set[str] = set()
        self.refusing: dict[str, X0Error] = {}
        self.sent: list[tuple[str, str, bytes, int]] = []
        self.inboxes: dict[int, list[Any]] = {
            node: [SimpleNamespace(id=1, undeliverable=True)] for node in range(4)
        }

    def index_of(self, node: str) -> int:
        return WORLD.index_of(node)

    async def paths(self, source: int, destination: int) -> list[tuple[list[int], int]]:
        both = (source, destination)
        return [([0, 1, 2], 2 * COST_UNIT)] if both == (0, 2) else []

    async def send(self, source: str, to: str, payload: bytes, *, port: int) -> int:
        if source in self.refusing:
            raise self.refusing[source]
        self.sent.append((source, to, payload, port))
        number = 2**53 + len(self.sent)  # which is no float
        back = to in self.dead
        arrived = SimpleNamespace(id=number, undeliverable=back)
        self.inboxes[self.index_of(source if back else to)].append(arrived)
        return number

    async def pending(self, messages: NDArray[np.uint64]) -> NDArray[np.bool_]:
        last = 2**53 + len(self.sent)
        return np.array([message == last and self.sent[-1][1] == "d" for message in messages])

    async def receive_batch(self, partition: int, *, port: int, node: int) -> Unread:
        assert (partition, port) == (node, self.sent[-1][3])
        here = np.array([*self.inboxes[node], None], object)[:-1]
        return Unread(np.arange(len(here)), here)

    def messages_of(self, unread: Unread) -> list[Any]:
        return list(unread.batch)

    async def acknowledge(self, taken: Unread) -> None:
        for message in taken.batch:
            for inbox in self.inboxes.values():
                if message in inbox:
                    inbox.remove(message)


class Running:
    """A gateway that answers on loopback from a thread, as the one of the record in `state`."""

    def __init__(self, state: Path, beside: dict[str, Any] | None = None) -> None:
        """`beside`: other applications, by the path that they are at."""
        self.state = state
        self.mesh = PostMesh()
        self.gateway = Gateway(ensure_token(state))
        self.gateway.mesh = self.mesh  # type: ignore[assignment]
        self.gateway.twins[Network.EMULATED] = self._twin
        self._up = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        paths = {**(beside or {}), "": build(self.gateway)}
        whole = Starlette(routes=[Mount(path, each) for path, each in paths.items()])
        config = uvicorn.Config(whole, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()
        assert self._up.wait(120)
        replace(RECORD, gateway_url=f"http://127.0.0.1:{self.port}").save(state)

    async def _serve(self) -> None:
        cost = np.full(4, COST_UNIT, np.int32)
        links = LinkState(1, 1, np.arange(4, dtype=np.int32), cost, np.ones(4))
        await self.gateway.take(Snapshot(WORLD, np.ones(4, bool), [links], {}))
        self.gateway.ready = True
        self._up.set()
        await self._server.serve([self._listening])

    async def _twin(self, scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
        assert limit_s > 0
        return reply(scenario, ABOUT, Intact(WORLD), plot=plot)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def x0(self, *arguments: str, code: int = 0) -> Any:
        """The JSON that a command prints."""
        env = {"X0TTA6BL4_STATE_DIR": str(self.state)}
        done = CliRunner().invoke(app, [*arguments, "--json"], env=env)
        assert done.exit_code == code, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    found.stop()


def directly(mesh: PostMesh, *asked: Any) -> Any:
    """What the same probe comes to without a gateway, or its error as a command tells it."""
    try:
        return asdict(asyncio.run(probing.probe(mesh, *asked)))  # type: ignore[arg-type]
    except X0Error as error:
        kind = type(error).__name__
        return {"type": kind, "what": error.what, "why": error.why, "remedy": error.remedy}


def test_a_message_is_sent_and_taken_again(running: Running) -> None:
    """The answer is that of a probe without a gateway; with --port the message stays."""
    found = running.x0("send", "a", "c", "h\u00e9llo")
    assert running.mesh.sent == [("a", "c", "h\u00e9llo".encode(), found["port"])]
    assert (found["outcome"], found["route"]) == ("delivered", ["a", "b", "c"])
    assert (found["id"], found["transmissions"]) == (2**53 + 1, 2.0)
    assert found["port"] >= probing.DYNAMIC_PORTS[0]
    same = directly(PostMesh(), "a", "c", b"", found["port"], 1.0)
    assert {**found, "seconds": 0} == {**same, "route": list(same["route"]), "seconds": 0}
    assert [len(inbox) for inbox in running.mesh.inboxes.values()] == [1, 1, 1, 1]
    assert running.x0("send", "a", "c", "", "--port", "7")["port"] == 7
    assert [len(inbox) for inbox in running.mesh.inboxes.values()] == [1, 1, 2, 1]


def test_a_probe_over_http_needs_the_token_and_is_sent_once_by_a_key(running: Running) -> None:
    """POST /v1/mesh/probes: ids are text; the same key sends nothing again; waits are bounded."""
    url = f"http://127.0.0.1:{running.port}/v1/mesh/probes"
    message = {"source": "a", "destination": "c", "payload": "x"}
    assert httpx.post(url, json=message).status_code == 401
    token = {"authorization": f"Bearer {ensure_token(running.state)}"}
    keyed = {**token, "idempotency-key": "k"}
    answers = [httpx.post(url, json=message, headers=keyed).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["id"] == str(2**53 + 1)
    assert len(running.mesh.sent) == 1
    refused = [
        httpx.post(f"{url}?wait_s=31", json=message, headers=token),
        httpx.post(url, json={**message, "port": -1}, headers=token),
        httpx.post(url, json={"source": "a"}, headers=token),
        httpx.post(url, content=b"x", headers=token),
    ]
    assert [answer.status_code for answer in refused] == [422, 422, 422, 415]
    assert len(running.mesh.sent) == 1


def test_what_did_not_arrive_exits_3(running: Running) -> None:
    """The notice of a message that came back is taken; one that is under way is left."""
    running.mesh.dead.add("b")
    found = running.x0("send", "a", "b", "x", "--port", "7", code=exit_codes.NOT_WELL)
    assert (found["outcome"], found["route"], found["transmissions"]) == ("returned", [], None)
    found = running.x0("send", "a", "d", "x", "--wait", "0.05", code=exit_codes.NOT_WELL)
    assert (found["outcome"], found["seconds"] >= 0.05) == ("under way", True)
    assert [len(inbox) for inbox in running.mesh.inboxes.values()] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("source", "refusal", "code"),
    [
        ("a1", None, exit_codes.BAD_INPUT),
        ("a", MailboxFull("a", capacity=5, retry_after_s=1.0), exit_codes.UNAVAILABLE),
        ("a", NodeSilent("a"), exit_codes.UNAVAILABLE),
        ("a", ShardUnavailable("mesh-shard-0"), exit_codes.UNAVAILABLE),
    ],
)
def test_refusals_are_those_of_the_mesh(
    running: Running, source: str, refusal: X0Error | None, code: int
) -> None:
    """Type, words and exit code are the same as without a gateway."""
    if refusal is not None:
        running.mesh.refusing[source] = refusal
    said = running.x0("send", source, "c", "x", code=code)["error"]
    assert said == directly(running.mesh, source, "c", b"x", None, 1.0)


def _no_gateway(running: Running) -> None:
    RECORD.save(running.state)


def _closed(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    replace(RECORD, gateway_url=f"http://127.0.0.1:{port}").save(running.state)


def _no_token(running: Running) -> None:
    (running.state / "gateway.token").unlink()


def _other_token(running: Running) -> None:
    (running.state / "gateway.token").write_text("another-token-than-that")


def _not_ready(running: Running) -> None:
    running.gateway.ready = False


@pytest.mark.parametrize("spoil", [_no_gateway, _closed, _no_token, _other_token, _not_ready])
def test_without_an_answer_ray_is_asked(
    running: Running, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Running], None]
) -> None:
    """Where nothing was sent, the process joins the cluster; the twin is asked so too."""
    spoil(running)
    asked = []
    monkeypatch.setattr(send, "_by_ray", lambda *given: asked.append(given) or BY_RAY | COST)
    assert running.x0("send", "a", "c", "x") == BY_RAY | COST
    assert asked == [("a", "c", b"x", None, 30.0)]

    def by_ray(scenario: Scenario, *_of: object, plot: bool) -> Reply:
        return reply(scenario, ABOUT, Intact(WORLD), plot=plot)

    monkeypatch.setattr(twin_questions, "_by_ray", by_ray)
    assert running.x0("what-if", "--fail", "b")["impact"]["pairs_lost"] == 1
    assert running.mesh.sent == []


COST = {"transmissions": None}


def test_a_long_wait_and_another_cluster_are_for_ray(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway waits 30 s at most, and is of the mesh on record."""
    monkeypatch.setattr(send, "_by_ray", lambda *_given: BY_RAY | COST)
    assert running.x0("send", "a", "c", "x", "--wait", "31") == BY_RAY | COST
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert running.x0("send", "a", "c", "x") == BY_RAY | COST
    assert running.mesh.sent == []


def test_a_message_whose_answer_is_lost_is_not_sent_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be under way, which is said; Ray is not asked."""
    monkeypatch.setattr(send, "_by_ray", lambda *_given: pytest.fail("sent twice"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        replace(RECORD, gateway_url=url).save(running.state)

        def hang_up() -> None:
            with server.accept()[0] as connection:
                connection.recv(65536)

        hanging = threading.Thread(target=hang_up)
        hanging.start()
        error = running.x0("send", "a", "c", "x", code=exit_codes.UNAVAILABLE)["error"]
        hanging.join()
    assert error["type"] == "Unavailable"
    assert "may have been sent" in error["remedy"]


def test_what_if_is_answered_as_by_the_twin(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same values and the same words, whichever way the twin is asked."""
    questions = ("--fail", "b", "--all-single", "--random", "1", "--advise", "2")
    env = {"X0TTA6BL4_STATE_DIR": str(running.state)}
    values, text = [], []

    def by_ray(scenario: Scenario, *_of: object, plot: bool) -> Reply:
        return reply(scenario, ABOUT, Intact(WORLD), plot=plot)

    for way in (pytest.fail, by_ray):
        monkeypatch.setattr(twin_questions, "_by_ray", way)
        values.append(running.x0("what-if", *questions, "--availability"))
        text.append(CliRunner().invoke(app, ["what-if", *questions], env=env).stdout)
        running.gateway.ready = False
    assert values[0] == values[1]
    assert text[0] == text[1]
    assert "What if b fails?" in text[0]
    asked = Scenario(fail=Failing(nodes=("b",)))
    assert values[0]["impact"] == reply(asked, ABOUT, Intact(WORLD), plot=False).as_dict()["impact"]


def test_what_if_asks_the_actor_for_what_the_gateway_refuses(
    running: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pictures and many draws; a node that is not there, the gateway tells itself."""
    asked = []

    def by_ray(scenario: Scenario, *_of: object, plot: bool) -> Reply:
        asked.append((scenario.random is not None, plot))
        return reply(Scenario(fail=scenario.fail, singles=True), ABOUT, Intact(WORLD), plot=plot)

    monkeypatch.setattr(twin_questions, "_by_ray", by_ray)
    running.x0("what-if", "--fail", "b", "--plot", str(tmp_path / "b.png"))
    running.x0("what-if", "--random", "1", "--samples", "100001")
    error = running.x0("what-if", "--fail", "bb", code=exit_codes.BAD_INPUT)["error"]
    assert (error["type"], error["remedy"]) == ("UnknownNode", "Did you mean b?")
    assert asked == [(False, True), (True, False)]
