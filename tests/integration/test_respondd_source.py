"""The source `respondd` asks nodes on loopback, and over real multicast in network namespaces."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources.respondd import RespondSource
from actors.observe.sources.respondd_targets import Target
from actors.topology.errors import TopologyError
from loadtests import respondd
from loadtests.respondd_nodes import Responder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.topology.network import Reading

N = 1000


def of_hosts(nodes: Responder, window_s: float = 6.0) -> RespondSource:
    return RespondSource([Target(host, nodes.port) for host in nodes.hosts], window_s)


def of_group(nodes: Responder, window_s: float = 4.0) -> RespondSource:
    """All answer one request, as nodes do that hear a multicast group."""
    return RespondSource([Target(nodes.group, nodes.port)], window_s, groups=[nodes.group])


def accounted(reading: Reading) -> Reading:
    found = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
    assert reading.records + reading.implied == found
    return reading


def reasons(reading: Reading) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in reading.left_out:
        found[each.reason] = found.get(each.reason, 0) + 1
    return found


async def test_a_thousand_nodes_are_read() -> None:
    """Each with its name, and each link in both directions."""
    with Responder(N) as nodes:
        source = of_hosts(nodes)
        reading = accounted(await source.poll())
        await source.close()
    assert len(reading.nodes) == N
    assert len(reading.links) == N + N // 2
    assert not reading.left_out
    assert all(None not in link.quality for link in reading.links)
    assert {node.online for node in reading.nodes} == {True}
    assert [node.name for node in reading.nodes if node.gateway] == ["node-0"]
    assert max(nodes.asked) == 1


def troubled(at: int, turn: int, answer: bytes) -> list[tuple[float, bytes]]:
    """By the last digit: 0 loses its first answer, 1 is slow, 2 cuts its first one short, 3 always,
    4 sends too much, 5 twice, 6 nonsense before a good one, 7 nothing at all."""
    digit = at % 10
    if digit == 0:
        return [(0.0, answer)] if turn else []
    if digit == 1:
        return [(0.6, answer)]
    if digit in {2, 3}:
        return [(0.0, answer if digit == 2 and turn else answer[: len(answer) // 2])]
    return {
        4: [(0.0, answer + bytes(9000))],
        5: [(0.0, answer), (0.1, answer)],
        6: [(0.0, b"nonsense"), (0.0, answer)],
        7: [],
    }.get(digit, [(0.0, answer)])


async def test_lost_late_truncated_and_oversized_answers_cost_their_nodes() -> None:
    """Who can be asked again successfully is; the others are named with their reason."""
    with Responder(N, troubled) as nodes:
        source = of_hosts(nodes)
        reading = accounted(await source.poll())
        await source.close()
    ids = {int(node.id, 16) for node in reading.nodes}
    assert {at % 10 for at in ids} == {0, 1, 2, 5, 6, 8, 9}
    assert len(ids) == 7 * N // 10
    found = reasons(reading)
    assert found["truncated answers"] == found["oversized answers"] == N // 10
    assert nodes.asked[0] == nodes.asked[3] == nodes.asked[7] == 2
    assert nodes.asked[5] == nodes.asked[9] == 1
    said = " ".join(reading.notes)
    assert f"{N // 10} duplicate answers" in said
    # Nodes 2 and 3 at the first question, node 3 at the second.
    assert f"{3 * N // 10} truncated answers" in said
    assert f"{2 * N // 10} oversized answers" in said


async def test_a_group_is_learned_and_who_is_silent_is_asked_alone() -> None:
    """A first poll knows nobody; later ones know whom they miss."""

    def shy(at: int, turn: int, answer: bytes) -> list[tuple[float, bytes]]:
        # Node 7 never hears the group again after the first time; alone it answers (even turns).
        return [] if at == 7 and turn % 2 == 1 else [(0.0, answer)]

    with Responder(50, shy) as nodes:
        source = of_group(nodes, 2.0)
        first = accounted(await source.poll())
        assert len(first.nodes) == 50
        second = accounted(await source.poll())
        await source.close()
    assert nodes.asked[7] == 3
    assert nodes.asked[8] == 2
    assert any("50 nodes answered" in note for note in second.notes)


async def test_an_answer_after_the_poll_is_in_the_next_reading() -> None:
    """Nodes wait a random time before they answer a group."""

    def slow(at: int, turn: int, answer: bytes) -> list[tuple[float, bytes]]:
        return [(1.3 if at == 3 and turn == 0 else 0.0, answer)]

    with Responder(10, slow) as nodes:
        source = of_group(nodes, 1.0)
        first = await source.poll()
        assert len(first.nodes) == 9
        await asyncio.sleep(1.0)
        nodes.silent = {3}
        second = accounted(await source.poll())
        await source.close()
    assert len(second.nodes) == 10
    assert any("1 late answers" in note for note in second.notes)


async def test_a_node_that_falls_silent_goes_offline_and_comes_back() -> None:
    """Not at the first lost poll; its neighbours' word of it is theirs."""
    with Responder(10) as nodes:
        source = of_hosts(nodes, 0.6)
        await source.poll()
        nodes.silent = {4}
        states = []
        for _ in range(3):
            reading = accounted(await source.poll())
            states.append({int(n.id, 16): n.online for n in reading.nodes}[4])
        assert states == [True, True, False]
        nodes.silent = set()
        back = await source.poll()
        assert {int(n.id, 16): n.online for n in back.nodes}[4] is True
        await source.close()


async def test_nobody_answers() -> None:
    """That is an error, not an empty network; what was known stays with whoever asked."""
    with Responder(3) as nodes:
        source = of_hosts(nodes, 0.6)
        nodes.silent = {0, 1, 2}
        with pytest.raises(TopologyError, match=r"no node has answered within 0\.6 s"):
            await source.poll()
        nodes.silent = set()
        assert len((await source.poll()).nodes) == 3
        await source.close()


async def test_strangers_are_not_heard() -> None:
    """Of hosts that are listed, only these may answer, and only from the port that was asked."""
    with Responder(3) as nodes:
        source = RespondSource([Target(nodes.host(0), nodes.port)], 1.0)
        await source.poll()
        assert source._socket is not None
        (asking,) = source._socket._sockets.values()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(nodes._ready[1], ("127.0.0.1", asking.getsockname()[1]))
        await asyncio.sleep(0.2)
        assert len((await source.poll()).nodes) == 1
        await source.close()


async def test_an_interface_that_is_not_there() -> None:
    """The error says which there are."""
    source = RespondSource([Target("ff02::2:1001", 1001, "x0nosuch")])
    with pytest.raises(TopologyError, match=r"no network interface x0nosuch.*lo"):
        await source.poll()


async def test_being_cancelled_leaves_it_usable() -> None:
    """A poll that was given up does not disturb the next."""

    def slow(_at: int, _turn: int, answer: bytes) -> list[tuple[float, bytes]]:
        return [(0.3, answer)]

    with Responder(20, slow) as nodes:
        source = of_hosts(nodes, 4.0)
        task = asyncio.create_task(source.poll())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len((await source.poll()).nodes) == 20
        await source.close()


def test_the_benchmark_measures() -> None:
    """All kinds of poll, each by the nodes of another process, and the comparator."""
    found = respondd.measure.measure(lambda _: None, nodes=20, runs=1)
    assert not found.shortcomings
    assert set(found.values) >= {"wall_s", "cpu_s", "cpu_times_bare"}
    assert len(found.tables[0].rows) == 4


# -- real multicast ------------------------------------------------------------------------------

_NODES = """
import socket, struct, sys
from loadtests.respondd_nodes import deflated, sections
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.bind(("::", 1001))
index = socket.if_nametoindex("mesh0")
for group in ("ff02::2:1001", "ff05::2:1001"):
    member = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index)
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
print("ready", flush=True)
while True:
    request, sender = one.recvfrom(2048)
    assert request.startswith(b"GET ")
    for at in range(5):  # one host speaks for five nodes
        one.sendto(deflated(sections(at, 5)), sender)
"""
_ASK = """
import asyncio, json, sys
from actors.observe.sources import opening, source_spec
from dataclasses import replace
spec = replace(source_spec.parse(sys.argv[1]), timeout_s=2.0)
reading = asyncio.run(opening.open_source(spec).poll())
print(json.dumps([len(reading.nodes), len(reading.links)]))
"""


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces that share a link, `mesh0` at both ends."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2, to make network namespaces")
    one, other = (f"x0respondd{os.getpid()}{end}" for end in "ab")
    with ExitStack() as stack:
        for name in (one, other):
            made = subprocess.run(["ip", "netns", "add", name], check=False)
            if made.returncode:
                pytest.skip("the kernel gives no network namespaces here")
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        for command in (
            f"ip link add mesh0 netns {one} type veth peer name mesh0 netns {other}",
            *(
                f"ip netns exec {name} sh -c 'echo 0 > /proc/sys/net/ipv6/conf/mesh0/accept_dad;"
                " ip link set lo up; ip link set mesh0 up'"
                for name in (one, other)
            ),
        ):
            subprocess.run(["sh", "-c", command], check=True)
        for name in (one, other):
            _wait_for_address(name)
        yield one, other


def _wait_for_address(namespace: str) -> None:
    """The kernel gives an interface its link-local address when it has carrier."""
    show = f"ip -n {namespace} -6 -o addr show dev mesh0 scope link -tentative"
    for _ in range(2400):
        if subprocess.run(show.split(), capture_output=True, check=True).stdout:
            return
        time.sleep(0.05)
    raise AssertionError(f"no address in {namespace}")


@pytest.mark.parametrize("where", ["mesh0", "ff05::2:1001%mesh0"])
def test_nodes_answer_over_real_multicast(namespaces: tuple[str, str], where: str) -> None:
    """Link-local addresses with their scope, and both groups that Gluon joins."""
    nodes, asking = namespaces
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*inside(nodes), "-c", _NODES], stdout=subprocess.PIPE, cwd=root
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        try:
            done = subprocess.run(
                [*inside(asking), "-c", _ASK, f"respondd:{where}"],
                capture_output=True,
                text=True,
                cwd=root,
                timeout=60,
                check=False,
            )
        finally:
            running.kill()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [5, len(set(_pairs(5)))]


def inside(namespace: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, sys.executable]


def _pairs(n: int) -> list[tuple[int, int]]:
    near = (((at + step) % n, at) for at, step in itertools.product(range(n), (1, -1, n // 2)))
    return [(min(pair), max(pair)) for pair in near]
