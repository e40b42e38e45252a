"""`x0 watch` and `x0 up --from-observed` as their users run them, on a map that changes."""

from __future__ import annotations

import json
import platform
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from commands import answer, popen, x0

from actors.xdp.contract import xdp_actor
from jobs.terminal import exit_codes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A chain from the gateway to the school, by way of the tower; the mill is beside the town hall.
NAMES = {"n1": "gateway", "n2": "town-hall", "n3": "church-tower", "n4": "school", "n5": "mill"}
LINKS = [("n1", "n2"), ("n2", "n3"), ("n3", "n4"), ("n2", "n5"), ("n1", "n5")]
PATIENCE_S = 180.0
NO_INTERFACE = "x0-none"


def publish(path: Path, links: list[tuple[str, str]], silent: str = "") -> None:
    """Write the map, as of now, in one step; some nodes are offline, and so are their links."""
    links = [link for link in links if silent not in link]
    document = {
        "timestamp": datetime.now(UTC).isoformat(),
        "nodes": [
            {"node_id": each, "hostname": name, "is_online": each != silent,
             "is_gateway": each == "n1", "clients": 3}
            for each, name in NAMES.items()
        ],
        "links": [
            {"source": a, "target": b, "source_tq": 0.9, "target_tq": 0.8, "type": "wifi"}
            for a, b in links
        ],
    }  # fmt: skip
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(document))
    beside.replace(path)


def until(state: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """The state, once it is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(seen := state()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    return seen


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("map") / "meshviewer.json"
    publish(path, LINKS)
    return path


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Iterator[Path]:
    """The state directory of a session that observes the map each second."""
    state = tmp_path_factory.mktemp("watching")
    # Nothing can be pinned or attached.
    xdp = {"XDP": "1", "XDP_BPFFS": str(state), "XDP_INTERFACES": NO_INTERFACE}
    started = answer(state, "watch", str(published), "--poll", "1", "--detach", **xdp)
    try:
        assert started["observed"]["members"] == len(NAMES)
        yield state
    finally:
        assert x0(state, "down", "--purge").returncode == exit_codes.OK
    for asked in (("status",), ("drill", "--expect", "mill")):
        assert x0(state, *asked).returncode == exit_codes.NO_MESH


@pytest.fixture(scope="module")
def gateway(watching: Path) -> str:
    """Where the gateway of the session answers; it opens a while after the twin."""
    told = until(lambda: answer(watching, "status"), lambda one: one["gateway"] == "ready")
    return str(told["gateway_url"])


def test_what_follows_is_not_waited_for_and_is_told(watching: Path) -> None:
    """Nodes are listed at once; the historian and the gateway are starting, and then are there."""
    told = answer(watching, "nodes")
    assert [node["name"] for node in told["nodes"]] == sorted(NAMES.values())
    states = answer(watching, "status")["companions"]
    assert "off" not in {states[name]["state"] for name in ("historian", "gateway")}
    until(
        lambda: answer(watching, "status")["companions"],
        lambda seen: seen["historian"]["state"] == seen["gateway"]["state"] == "ready",
    )


def test_the_actor_of_this_host_owns_xdp_or_says_why_not(watching: Path) -> None:
    """It waits for the interface that a setting names, until a command tells it by its socket."""
    name = xdp_actor(platform.node())

    def actor() -> dict[str, str]:
        found = answer(watching, "status")["companions"]
        return dict(found.get(name, {"state": "not there", "why": ""}))

    seen = until(actor, lambda one: one["state"] == "ready")
    if "disabled" in seen["why"]:
        assert seen["why"].startswith("disabled (")
        return
    assert seen["why"] == f"{NO_INTERFACE} is waiting (there is no interface {NO_INTERFACE})"
    detach = ("xdp", "detach", "--interface", NO_INTERFACE)
    assert answer(watching, *detach)["detached"] is None
    assert actor() == {"state": "ready", "why": ""}
    again = x0(watching, *detach)
    assert again.returncode == exit_codes.BAD_INPUT, again.stderr
    assert f"there is no interface {NO_INTERFACE}" in again.stderr


def test_the_twin_answers_about_the_observed_network_by_name(watching: Path) -> None:
    """The tower's failure costs the school its gateway, and says that this is the real network."""
    told = answer(watching, "what-if", "--fail", "church-tower")
    assert told["mesh"]["network"] == "observed"
    text = x0(watching, "what-if", "--fail", "church-tower").stdout
    assert "church-tower (n3)" in text
    assert "observed" in text


def test_what_emulates_says_that_nothing_is_emulated(watching: Path, gateway: str) -> None:
    """Sending and drilling are refused, and so are the routes of the emulated mesh."""
    emulated = ("--network", "emulated")
    for refused in (
        *(("send", "n1", "n2", "hello"), ("drill",)),
        *(("what-if", "--fail", "n1", *emulated), ("nodes", *emulated)),
    ):
        done = x0(watching, *refused)
        assert done.returncode == exit_codes.CONFLICT, done.stderr
        assert "Traceback" not in done.stderr
    problem = httpx.get(f"{gateway}/v1/mesh/nodes")
    assert problem.status_code == 409
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_second_session_is_refused(watching: Path, published: Path) -> None:
    """A state directory has one session at a time, of whatever kind."""
    for second in (("watch", str(published)), ("up", "--topology", "radio:12")):
        assert x0(watching, *second, "--detach").returncode == exit_codes.CONFLICT


def test_a_lost_link_is_seen_told_and_found_again(
    watching: Path, gateway: str, published: Path
) -> None:
    """The map loses a link: its ends, the node behind it and the events say so; then it is back."""

    def states() -> dict[str, str]:
        nodes = httpx.get(f"{gateway}/v1/network/nodes").raise_for_status().json()["nodes"]
        return {node["name"]: node["state"] for node in nodes}

    until(states, lambda seen: set(seen.values()) == {"up"})
    publish(published, [link for link in LINKS if link != ("n3", "n4")])
    until(states, lambda seen: seen["school"] == "cut_off")
    down = until(
        lambda: answer(watching, "events", "--since", "1h", "--node", "school")["events"],
        lambda events: any(event["kind"] == "link_down" for event in events),
    )
    assert all("n4" in event["nodes"] or "n4" in (event["link"] or ()) for event in down)
    publish(published, LINKS)
    until(states, lambda seen: set(seen.values()) == {"up"})


def expecting(state: Path, *arguments: str) -> subprocess.Popen[str]:
    """`x0 drill --expect`, once it has said that the plug may be pulled."""
    process = popen(state, "drill", *arguments, "--json")
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("Now have"):
            return process
    raise AssertionError(said)


def test_a_plug_that_is_pulled_by_hand_is_timed_beside_the_prediction(
    watching: Path, published: Path
) -> None:
    """As predicted, by name; another failure besides is named; Ctrl-C leaves nothing behind."""
    process = expecting(watching, "--expect", "church-tower")
    publish(published, LINKS, "n3")
    told = json.loads(process.communicate(timeout=PATIENCE_S)[0])
    assert process.returncode == exit_codes.OK
    assert told["verdict"] == "as_predicted"
    assert told["predicted"]["cut_off"] == ["n4"]
    assert told["predicted"]["clients_without_gateway"] == 3
    assert told["names"]["n3"] == "church-tower"
    assert told["fault"]["timeline"][0]["what"].startswith("church-tower (n3) is silent")
    publish(published, LINKS)

    process = expecting(watching, "--expect", "town-hall,church-tower", "--within", "60")
    publish(published, [link for link in LINKS if link != ("n2", "n3")], "n5")
    told = json.loads(process.communicate(timeout=PATIENCE_S)[0])
    assert process.returncode == exit_codes.NOT_WELL
    assert told["verdict"] == "network_changed"
    assert any("mill (n5) is silent" in change for change in told["fault"]["changes"])
    publish(published, LINKS)

    until(
        lambda: {one["state"] for one in answer(watching, "nodes")["nodes"]},
        lambda states: states == {"up"},
    )
    process = expecting(watching, "--expect", "mill")
    process.send_signal(signal.SIGINT)
    assert json.loads(process.communicate(timeout=PATIENCE_S)[0])["error"]["type"] == "Interrupted"
    assert process.returncode == 128 + signal.SIGINT
    refused = x0(watching, "drill", "--expect", "nobody")
    assert refused.returncode == exit_codes.BAD_INPUT


def test_a_map_that_cannot_be_read_is_not_healthy(
    watching: Path, gateway: str, published: Path
) -> None:
    """What was known stays; status, exit code and readiness say that it is not to be trusted."""
    published.write_text("<html>504 Gateway Time-out</html>")
    until(lambda: x0(watching, "status").returncode, lambda code: code == exit_codes.NOT_WELL)
    told = answer(watching, "status", code=exit_codes.NOT_WELL)
    assert told["healthy"] is False
    assert told["observed"]["members"] == len(NAMES)
    until(lambda: httpx.get(f"{gateway}/readyz").status_code, lambda code: code == 503)
    publish(published, LINKS)
    until(lambda: x0(watching, "status").returncode, lambda code: code == exit_codes.OK)


def test_the_laboratory_is_a_copy_of_what_is_observed(
    tmp_path: Path, published: Path, watching: Path
) -> None:
    """Both networks in one session, each by its name."""
    assert watching != tmp_path
    given = ("--from-observed", "--source", str(published), "--hello", "0.2", "--detach")
    started = answer(tmp_path, "up", *given)
    try:
        assert started["nodes"] == len(NAMES)
        told = answer(tmp_path, "what-if", "--fail", "church-tower")
        assert told["mesh"]["network"] == "emulated"
        told = answer(tmp_path, "what-if", "--fail", "church-tower", "--network", "observed")
        assert told["mesh"]["network"] == "observed"
        assert told["impact"]["cut_off"] == {"nodes": 1, "clients": 3, "clients_known": 1}
        for network in ("observed", "emulated"):
            listed = answer(tmp_path, "nodes", "--network", network)
            assert (listed["about"]["network"], len(listed["nodes"])) == (network, len(NAMES))
        sent = answer(tmp_path, "send", "n1", "n4", "hello")
        assert sent["outcome"] == "delivered"
    finally:
        assert x0(tmp_path, "down", "--purge").returncode == exit_codes.OK
