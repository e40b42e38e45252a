"""`x0` against a real mesh that it has started in the background."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from commands import answer, x0
from standstill import stop

import cluster
from actors.mesh.contract import COORDINATOR
from actors.mesh.membership import Faults
from actors.runtime import spawn
from cluster import processes
from jobs.launch import found, session
from serve_apps.settings import Settings
from tests.exported_names import OF_MESH, wait_exported
from tests.prometheus_servers import prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = 16
WEBHOOK_SECRET = b"1:canary of the webhook, 32 byte"
SECRETS = {
    "TELEGRAM_TOKEN": "1:canary",
    "DATABASE_URL": f"sqlite:////tmp/{os.getpid()}.db",
    "ALERTS_WEBHOOK_SECRET": f"whsec_{base64.b64encode(WEBHOOK_SECRET).decode()}",
}
# The port of `discard`, at which nobody listens.
ALERTS = {"ALERTS": "1", "ALERTS_WEBHOOK_URL": "http://127.0.0.1:9/"}
UP = ("--topology", f"radio:{NODES}", "--hello", "0.2", "--shards", "2", "--detach")


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("x0")


@pytest.fixture(scope="module")
def up(state: Path) -> Iterator[dict[str, Any]]:
    """What `x0 up --detach` said; the mesh is ended after the last test."""
    try:
        yield answer(state, "up", *UP, **SECRETS, **ALERTS)
    finally:
        x0(state, "down", "--purge")


def test_up_returns_when_every_shard_knows_every_node(up: dict[str, Any]) -> None:
    """`x0 up --detach` prints one object and returns with routes to all nodes computed."""
    assert up["nodes"] == NODES
    assert up["healthy"]
    assert len(up["shards"]) == 2
    assert [shard["database"] for shard in up["shards"]] == [NODES, NODES]
    assert all(shard["routes_current"] for shard in up["shards"])
    assert len({shard["digest"] for shard in up["shards"]}) == 1
    assert up["neighbours_up"] > 0
    assert up["dashboard_url"].startswith("http://127.0.0.1:")


def test_status_shows_the_mesh(state: Path, up: dict[str, Any]) -> None:
    """`x0 status` names source, shards with pid, flags and addresses, as text and as JSON."""
    values = answer(state, "status")
    assert values["source"] == f"radio:{NODES}"
    assert values["hello_s"] == 0.2
    assert {s["pid"] for s in values["shards"]} == {s["pid"] for s in up["shards"]}
    assert values["flags"]["byzantine"] == "off"
    assert values["payments"] == []
    assert values["gateway"] == "ready"
    assert (Path(values["logs"]) / "raylet.out").exists()
    text = x0(state, "status").stdout
    assert "\x1b" not in text
    for shown in (
        "off: no wallet",
        "mesh-shard-01",
        "BYZANTINE off, FAILOVER off, PQC_BEACONS off, MINIMAL off",
        up["address"],
        "x0 down",
    ):
        assert shown in text


def members(up: dict[str, Any]) -> list[psutil.Process]:
    """The processes of the mesh's cluster."""
    temp_dir = Path(up["logs"]).parents[1]
    return processes.members(temp_dir, json.loads(cluster_record(up))["session"])


def cluster_record(up: dict[str, Any]) -> str:
    return (Path(up["state_dir"]) / "cluster.json").read_text()


def test_no_process_of_the_cluster_has_a_secret_of_one_part(up: dict[str, Any]) -> None:
    """A secret goes to the actor that needs it, as an argument, and into no environment."""
    found = [process.environ() for process in members(up)]
    assert len(found) > 8
    for environment in found:
        assert not {f"X0TTA6BL4_{name}" for name in SECRETS} & set(environment)
        assert "1:canary" not in environment.values()


def test_metrics_answer_on_loopback_and_prometheus_may_read_where(
    state: Path, up: dict[str, Any]
) -> None:
    """The list of targets is readable by all; each of them answers, and no other address does."""
    listed = state / "prometheus" / "x0tta6bl4.json"
    assert stat.S_IMODE(listed.stat().st_mode) == 0o644
    assert stat.S_IMODE(listed.parent.stat().st_mode) == 0o755
    groups = json.loads(listed.read_text())
    targets = [target for group in groups for target in group["targets"]]
    assert len(targets) == 3
    assert up["gateway_url"] == f"http://{targets[-1]}"
    for target in targets:
        assert httpx.get(f"http://{target}/metrics", trust_env=False, timeout=20).is_success
    ports = {int(target.rpartition(":")[2]) for target in targets}
    bound = {
        (found.laddr.port, found.laddr.ip)
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port in ports
    }
    assert bound == {(port, "127.0.0.1") for port in ports}


def test_status_fits_80_columns(state: Path, up: dict[str, Any]) -> None:
    """On a terminal of 80 columns each shard has one row in each table, and nothing is cut."""
    output, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    shown = subprocess.Popen(
        [str(Path(sys.executable).with_name("x0")), "status"],
        env={**os.environ, "X0TTA6BL4_STATE_DIR": str(state), "NO_COLOR": "1", "TERM": "xterm"},
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    said = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while part := os.read(output, 65536):
            said += part
    assert shown.wait() == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).splitlines()
    assert max(map(len, lines)) <= 80
    for shard in up["shards"]:
        assert sum(shard["name"] in line for line in lines) == 2
    assert ["gateway", up["gateway_url"]] in [line.split() for line in lines]


def imported(state: Path, *arguments: str) -> set[str]:
    """What slow packages `x0` with these arguments imports."""
    program = (
        "import json, sys\n"
        "from jobs import cli\n"
        f"sys.argv = {['x0', *arguments, '--json']!r}\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "heavy = {'ray', 'numpy', 'scipy', 'torch', 'httpx', 'sqlalchemy'} & set(sys.modules)\n"
        "print(json.dumps(sorted(heavy)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "X0TTA6BL4_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.strip().splitlines()[-1]))


@pytest.mark.usefixtures("up")
def test_send_and_what_if_ask_the_gateway_and_import_no_ray(state: Path) -> None:
    """`what-if` imports what its questions are made of, and that needs numpy and scipy."""
    assert imported(state, "send", "n0000", "n0015", "hello") == set()
    assert imported(state, "what-if", "--fail", "n0003") == set()


def test_status_asks_the_gateway_and_imports_no_ray(state: Path, up: dict[str, Any]) -> None:
    """It joins no cluster and imports nothing that takes long; the actors themselves, asked
    through Ray, say the same."""
    assert imported(state, "status") == set()
    running = session.running(Settings.load(state_dir=state))
    try:
        by_ray = asyncio.run(running.found())
    finally:
        running.close()
    by_gateway = found.by_gateway(state)
    assert by_gateway is not None
    assert by_gateway.record == by_ray.record
    moving = {"shards", "neighbours_up"}
    for name in by_ray.state.keys() - moving:
        assert by_gateway.state[name] == by_ray.state[name], name
    shards = [by_gateway.state["shards"], by_ray.state["shards"]]
    assert [[one.keys() for one in each] for each in shards[:1]] == [
        [one.keys() for one in each] for each in shards[1:]
    ]
    assert up["companions"]["twin"]["state"] in {"ready", "starting"}


def test_env_is_for_eval(state: Path, up: dict[str, Any]) -> None:
    """`eval "$(x0 env)"` sets what the README's examples use, and works in a POSIX shell."""
    exports = x0(state, "env").stdout
    script = f'{exports}\nprintf %s "$GATEWAY $DASHBOARD $(cat "$GATEWAY_TOKEN_FILE")"'
    done = subprocess.run(
        ["/bin/sh", "-euc", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    token = Path(up["gateway_token"]).read_text()
    assert done.stdout == f"{up['gateway_url']} {up['dashboard_url']} {token}"
    assert answer(state, "env")["X0_ADDRESS"] == up["address"]


@pytest.mark.usefixtures("up")
def test_a_probe_is_delivered_and_leaves_nothing_behind(state: Path) -> None:
    """`x0 send` without --port says the route and takes its message out of the inbox again."""
    sent = answer(state, "send", "n0000", "n0015", "hello")
    assert sent["outcome"] == "delivered"
    assert (sent["route"][0], sent["route"][-1]) == ("n0000", "n0015")
    assert sent["transmissions"] >= len(sent["route"]) - 1
    assert sent["port"] >= 49152
    assert sum(shard["unread_messages"] for shard in answer(state, "status")["shards"]) == 0


def test_the_program_in_the_readme_works(up: dict[str, Any]) -> None:
    """Copied as it stands, with the mesh's own address and nodes; unjoined, it is told to join."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    program = readme.partition("```python\n")[2].partition("```")[0]
    for placeholder, own in (("HOST:PORT", up["address"]), ("n0100", "n0015")):
        assert placeholder in program
        program = program.replace(placeholder, own)

    def run(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
        )

    done = run(program)
    assert "payload=b'hello'" in done.stdout, done.stderr
    assert "a notebook, whose event loop runs already: await talk()" in program
    cell = program.replace("asyncio.run(talk())", "await talk()")
    notebook = (
        "import ast, asyncio, inspect, sys\n"
        f"code = compile({cell!r}, 'cell', 'exec', flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)\n"
        "async def run():\n"
        "    found = eval(code, {'__name__': '__main__'})\n"
        "    assert inspect.iscoroutine(found)\n"
        "    await found\n"
        "asyncio.run(run())\n"
    )
    done = run(notebook)
    assert "payload=b'hello'" in done.stdout, done.stderr
    unjoined = "\n".join(line for line in program.splitlines() if "spawn.connect(" not in line)
    assert "Join one first: spawn.connect" in run(unjoined).stderr


@pytest.mark.usefixtures("up")
def test_a_message_to_a_dead_node_comes_back(state: Path) -> None:
    """`x0 send` to a node that has died says returned, exits 3 and takes the notice away."""
    running = session.running(Settings.load(state_dir=state))
    try:
        coordinator = spawn.find(COORDINATOR)

        async def silence(nodes: set[int]) -> None:
            await coordinator.inject.remote(Faults(silent=frozenset(nodes)))

        asyncio.run(silence({15}))
        try:
            sent = answer(state, "send", "n0000", "n0015", "hello", code=3)
            assert sent["outcome"] == "returned"
            silent = answer(state, "send", "n0015", "n0000", "hello", code=4)
            assert silent["error"]["type"] == "NodeSilent"
        finally:
            asyncio.run(silence(set()))
    finally:
        running.close()
    assert sum(shard["unread_messages"] for shard in answer(state, "status")["shards"]) == 0


@pytest.mark.usefixtures("up")
def test_an_unknown_node_is_named(state: Path) -> None:
    """`x0 send` to a node that does not exist exits 2 with a typed error on both streams."""
    done = x0(state, "send", "n0000", "n0o1", "hello", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "UnknownNode"
    assert set(error) == {"type", "what", "why", "remedy"}
    assert done.stderr.strip().splitlines()[-1].startswith("error: no mesh node n0o1: ")


def test_what_if_asks_about_the_running_mesh(
    state: Path, tmp_path: Path, up: dict[str, Any]
) -> None:
    """Without a topology `x0 what-if` is about the mesh that runs; with one, about the map."""
    picture = tmp_path / "night.png"
    found = answer(state, "what-if", "--fail", "n0003", "--plot", str(picture))
    assert found["mesh"]["live"]
    assert (found["mesh"]["source"], found["mesh"]["hello_s"]) == (up["source"], 0.2)
    assert found["mesh"]["links"] + found["mesh"]["links_down"] == up["links"]
    assert found["impact"]["failed_nodes"] == ["n0003"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = x0(state, "what-if", "--fail", "n0003").stdout
    assert f"the emulated mesh, as its nodes know it now: {NODES} nodes" in text
    mapped = answer(state, "what-if", "--all-single", "--topology", "radio:24")
    assert (mapped["mesh"]["live"], mapped["mesh"]["nodes"]) == (False, 24)
    unknown = answer(state, "what-if", "--fail", "n003", code=2)["error"]
    assert unknown["type"] == "UnknownNode"
    assert "n0003" in unknown["remedy"]


def test_alerts_are_tried_silenced_and_listed(state: Path, up: dict[str, Any]) -> None:
    """A channel that nobody answers at is down and says so; a maintenance asks the twin."""
    tried = answer(state, "alert", "test", code=3)["channels"]
    assert [(one["channel"], one["delivered"]) for one in tried] == [("webhook", False)]
    assert "1:canary" not in tried[0]["why"]
    planned = ("alert", "maintenance", "n0003", "--until", "1h", "--comment", "new cable")
    (made,) = answer(state, *planned)["silences"]
    assert "n0003" in made["subjects"]
    assert (made["labels"], made["comment"]) == ({"network": "emulated"}, "new cable")
    assert answer(state, "alert", "silences") == {"silences": [made]}
    url = f"{up['gateway_url']}/v1/alerts"
    assert httpx.get(f"{url}/silences", trust_env=False, timeout=20).json() == {"silences": [made]}
    listed = answer(state, "alert", "list", code=3)
    assert httpx.get(url, trust_env=False, timeout=20).json().keys() == listed.keys()
    (channel,) = listed["channels"]
    assert (channel["name"], channel["state"]) == ("webhook", "down")
    assert answer(state, "alert", "unsilence", made["id"])["silences"] == [made]
    assert answer(state, "alert", "silences") == {"silences": []}
    for asks in ("resolve", "acknowledge"):
        unknown = answer(state, "alert", asks, "0f" * 16, code=2)["error"]
        assert unknown["type"] == "UnknownAlert"
    anything = answer(state, "alert", "silence", "--until", "1h", code=2)["error"]
    assert "any alert" in anything["why"]


def test_a_drill_that_was_killed_is_mended_by_name(state: Path, up: dict[str, Any]) -> None:
    """What a drill leaves broken when it is killed is said, and `x0 drill --mend` takes it back."""
    running = session.running(Settings.load(state_dir=state))
    try:
        with subprocess.Popen(
            [str(Path(sys.executable).with_name("x0")), "drill", "--target", "n0003"],
            env={**os.environ, "X0TTA6BL4_STATE_DIR": str(state)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as drill:
            while not asyncio.run(running.status()).faults.silent:
                assert drill.poll() is None
            drill.kill()
    finally:
        running.close()
    assert "x0 drill --mend" in x0(state, "status").stdout
    refused = answer(state, "drill", "--target", "n0004", code=5)
    assert "--mend" in refused["error"]["remedy"]
    mended = answer(state, "drill", "--mend")
    assert mended == {"mended": {"nodes": ["n0003"], "links": []}, "names": {}}
    now = answer(state, "status")
    assert (now["silenced"], now["neighbours_up"]) == (0, up["neighbours_up"])
    assert "nothing was broken" in x0(state, "drill", "--mend").stdout
    assert answer(state, "drill", "--mend", "--target", "n0003", code=2)["error"]["remedy"]


@pytest.mark.usefixtures("up")
def test_prometheus_reads_the_session_with_the_shipped_configuration(
    state: Path, tmp_path: Path
) -> None:
    """All its addresses answer, and the metrics of rules are there; no rule finds it dead."""
    listed = state / "prometheus" / "x0tta6bl4.json"
    shipped = Path(cluster.__file__).parent / "observability"
    config = tmp_path / "prometheus.yml"
    text = (shipped / "prometheus.yml").read_text()
    text = text.replace("/var/lib/x0-targets/x0tta6bl4.json", str(listed)).replace("15s", "1s")
    config.write_text(text)
    shutil.copy(shipped / "rules.yaml", tmp_path)
    (ray, _), (gateway,) = (one["targets"] for one in json.loads(listed.read_text()))
    wait_exported(ray, OF_MESH)
    with prometheus(tmp_path, config) as server:
        deadline = time.monotonic() + 120
        while True:
            targets = server.get("/api/v1/targets")["data"]["activeTargets"]
            healthy = {one["labels"]["instance"] for one in targets if one["health"] == "up"}
            if len(healthy) == 3:
                break
            assert time.monotonic() < deadline, targets
            time.sleep(0.2)
        assert {ray, gateway} < healthy
        known = set(server.get("/api/v1/label/__name__/values")["data"])
        groups = server.get("/api/v1/rules")["data"]["groups"]
    assert known >= OF_MESH | {"x0tta6bl4_gateway_ready"}
    assert all(rule["health"] != "err" for group in groups for rule in group["rules"])


def test_a_gateway_that_is_gone_is_said_and_comes_back(state: Path, up: dict[str, Any]) -> None:
    """Without HAProxy `x0 status` says that nothing answers there, until Serve has another."""
    here = str(Path(up["logs"]).parents[2])

    def proxies() -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "haproxy"
            and any(here in a for a in process.info["cmdline"] or ())
        ]

    assert proxies()
    deadline = time.monotonic() + 180
    said = ""
    while said != "no answer (ConnectionRefusedError)":  # Serve may be quicker than `x0 status`
        assert time.monotonic() < deadline, said
        for process in proxies():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        said = answer(state, "status")["gateway"]
    while answer(state, "status")["gateway"] != "ready":
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.usefixtures("up")
def test_a_second_mesh_in_the_same_place_is_refused(state: Path) -> None:
    """A second `x0 up` exits 5, names the remedy, and leaves the first mesh alone."""
    error = answer(state, "up", *UP, code=5)["error"]
    assert error["type"] == "Conflict"
    assert "x0 down" in error["remedy"]
    assert answer(state, "status")["healthy"]


def test_a_shard_that_does_not_answer_is_reported(state: Path, up: dict[str, Any]) -> None:
    """`x0 status` exits 3 and names the shard that is down."""
    stopped = psutil.Process(up["shards"][1]["pid"])
    stop(stopped.pid)
    try:
        values = answer(state, "status", code=3)  # while the shard stands still
    finally:
        stopped.send_signal(signal.SIGCONT)
    assert list(values["down"]) == ["mesh-shard-01"]
    assert not values["healthy"]
    assert [shard["name"] for shard in values["shards"]] == ["mesh-shard-00"]


def test_down_ends_all_and_messages_survive_it(state: Path, up: dict[str, Any]) -> None:
    """After `x0 down` no process is left, and the next `x0 up` still has what was accepted."""
    temp_dir = json.loads((state / "cluster.json").read_text())["temp_dir"]
    assert answer(state, "send", "n0000", "n0015", "kept", "--port", "7")["port"] == 7
    ended = answer(state, "down")["ended"]
    assert ended == {"mesh": f"radio:{NODES}", "cluster": up["address"]}
    assert not Path(temp_dir).exists()
    assert not [shard["pid"] for shard in up["shards"] if lives(shard["pid"])]
    assert {path.name for path in state.iterdir()} == {
        *("cluster.lock", "mesh.lock", "mesh", "history", "alerts", "identity"),
        *("gateway.lock", "gateway.token", "prometheus"),
    }
    error = answer(state, "status", code=1)["error"]
    assert error["type"] == "NotRunning"
    assert "x0 up" in error["remedy"]

    default = x0(state, "what-if", "--all-single", "--json")
    assert json.loads(default.stdout)["mesh"]["source"] == "radio:144"
    assert "no session is running: this is about radio:144" in default.stderr

    again = x0(state, "down")
    assert (again.returncode, again.stdout) == (0, "nothing was running\n")

    fresh = answer(state, "up", *UP)
    inbox = httpx.get(
        f"{fresh['gateway_url']}/v1/mesh/nodes/n0015/inbox",
        params={"port": 7, "wait_s": 10},
        headers={"authorization": f"Bearer {Path(fresh['gateway_token']).read_text().strip()}"},
        trust_env=False,
        timeout=30,
    )
    assert [message["payload"] for message in inbox.json()["messages"]] == ["kept"]
    assert answer(state, "down", "--purge")["purged"]
    assert not (state / "mesh").exists()
