"""The actor of a host, on the loop that Ray's workers have, in a network namespace of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
from ipaddress import IPv4Address
from subprocess import PIPE
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from actors.runtime.alerting import Alert, AlertName, send_alerts_to
from actors.runtime.errors import InvalidInput
from actors.runtime.metrics import MemoryMetrics
from actors.xdp import attachment, host_owner, interfaces, rules
from actors.xdp.actor import XdpActor
from actors.xdp.contract import Mode, XdpCounters, XdpOptions
from actors.xdp.errors import AlreadyAttached, ForeignProgram, NoInterface, NotAttached
from actors.xdp.host_alerts import WINDOW_S
from actors.xdp.host_owner import HostOwner
from actors.xdp.interfaces import MODE_FLAGS
from actors.xdp.libbpf import objects
from actors.xdp.owner import Owner
from actors.xdp.reconciliation import Wish
from tests.kernel import xdp_net
from tests.kernel.xdp_frames import datagram
from tests.kernel.xdp_net import LONG_S, ip, pair, wait_for, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from actors.xdp.attachment import Host

FRAME = datagram("10.1.2.3")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A namespace with x0a joined to y0a, and a BPF file system of its own."""
    with xdp_net.host(tmp_path_factory.mktemp("bpf"), x0a=1500) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_left(host: Host) -> Iterator[None]:
    """What an actor leaves, if it is not pinned, is nothing."""
    yield
    assert not [one for one in interfaces.interfaces() if one.programs]
    assert not host.directory.is_dir() or not list(host.directory.iterdir())


@pytest.fixture
def alerts() -> Iterator[list[Alert]]:
    """The alerts that are raised, in order."""
    raised: list[Alert] = []
    send_alerts_to(raised.append)
    yield raised
    send_alerts_to(lambda _alert: None)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run it as in a worker of Ray: on uvloop, which knows no netlink."""

    async def bounded() -> None:
        async with asyncio.timeout(LONG_S):
            await scenario()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


@contextlib.asynccontextmanager
async def actor(
    host: Host, *names: str, metrics: MemoryMetrics | None = None, pin: bool = False
) -> AsyncIterator[XdpActor]:
    """An actor that looks by itself once an hour: what it sees sooner, it was told."""
    state_dir, session = str(host.bpffs.with_name("state")), secrets.token_hex(8)
    options = XdpOptions(
        *("box", names, Mode.AUTO, pin, str(host.bpffs), "ERROR", state_dir, session), look_s=3600
    )
    made = XdpActor(options, metrics=metrics or MemoryMetrics())
    try:
        yield made
    finally:
        for task in tuple(made._tasks):  # as its process ends
            task.cancel()
        await made._done(made._core.close)
        made._thread.shutdown()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; `run` has the bound."""
    while not await condition():  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(0.01)


async def programs() -> dict[Mode, int]:
    """What is attached to x0a."""
    return (await asyncio.to_thread(interfaces.interface, "x0a")).programs


def lasting(raised: list[Alert]) -> set[AlertName]:
    """The kinds of alert that were raised and are not over."""
    last = {(alert.name, alert.key): alert for alert in raised}
    return {alert.name for alert in last.values() if alert.ended is None}


def test_what_a_setting_names_is_attached_and_counted(host: Host) -> None:
    """Each packet once, in what Prometheus is told as in what is asked; then what is denied."""

    async def scenario() -> None:
        metrics = MemoryMetrics()
        async with actor(host, "x0a", metrics=metrics) as made:
            status = await made.status()
            assert status.disabled == ""
            assert status.network_namespace == attachment.network_namespace()
            assert status.interfaces["x0a"].state == "attached"
            assert (await made.health()).why == ""
            with pytest.raises(InvalidInput):
                await made.deny("x0a", ("10.0.0.0/8", "nonsense"))
            assert (await made.rules("x0a")).denied == ()
            with wire("y0a") as opened:
                for _ in range(7):
                    opened.send(FRAME)
                await until(lambda: counted(made, "passed", 7))
                denied = await made.deny("x0a", ("10.0.0.0/8",))
                assert denied.denied == ("10.0.0.0/8",)
                for _ in range(5):
                    opened.send(FRAME)
                await until(lambda: counted(made, "denied", 5))
            assert (await made.rate_limit("x0a", 10.0, 2)).limit_burst == 2
            assert (await made.allow("x0a", ("10.0.0.0/8",))).denied == ()
            replaced = await made.replace("x0a")
            assert replaced.program_id != status.interfaces["x0a"].attached.program_id  # type: ignore[union-attr]
            found = await made.counters("x0a", 1)
            assert isinstance(found, XdpCounters)
            assert [peer.address for peer in found.peers] == ["10.1.2.3"]
            with pytest.raises(NotAttached):
                await made.counters("y0a", 1)
            for action, packets in (("passed", 7), ("denied", 5), ("limited", 0)):
                labels = {"action": action, "interface": "x0a"}
                assert metrics.value("x0tta6bl4_xdp_packets_total", **labels) == packets
                size = packets * len(FRAME)
                assert metrics.value("x0tta6bl4_xdp_bytes_total", **labels) == size
            assert metrics.value("x0tta6bl4_xdp_drops_total", interface="x0a") == 5
            runs = {"interface": "x0a", "mode": "drv"}
            assert metrics.value("x0tta6bl4_xdp_mode", **runs) == 1
            peers = {"interface": "x0a", "rank": "1"}
            assert metrics.value("x0tta6bl4_xdp_top_peer_bytes", **peers) == 7 * len(FRAME)
            assert metrics.value("x0tta6bl4_xdp_enabled") == 1
            assert metrics.value("x0tta6bl4_xdp_wanted", interface="x0a") == 1
            await made.detach("x0a")
            assert metrics.value("x0tta6bl4_xdp_attached", interface="x0a") == 0
            assert metrics.value("x0tta6bl4_xdp_wanted", interface="x0a") == 0
            assert metrics.value("x0tta6bl4_xdp_mode", **runs) == 0

    run(scenario)


async def counted(made: XdpActor, action: str, packets: int) -> bool:
    found = await made.counters("x0a", 0)
    return isinstance(found, XdpCounters) and found.actions[action].packets == packets


def test_what_a_command_attaches_follows_the_interface(host: Host, alerts: list[Alert]) -> None:
    """Nothing is attached by itself. It is told at once when the interface is gone, and is back."""

    async def scenario() -> None:
        async with actor(host) as made:
            assert (await made.status()).interfaces == {}
            assert not await programs()
            with pytest.raises(NoInterface):
                await made.attach("x0z", Mode.AUTO, pin=False)
            assert (await made.attach("x0a", Mode.SKB, pin=False)).mode is Mode.SKB
            with pytest.raises(AlreadyAttached):
                await made.attach("x0a", Mode.SKB, pin=False)
            await made.deny("x0a", ("192.0.2.0/24",))
            ip("link del x0a")
            await until(lambda: state(made, "waiting"))
            assert "x0a is waiting" in (await made.health()).why
            pair("x0a", "y0a")
            await until(lambda: state(made, "attached"))
            assert (await made.rules("x0a")).denied == ("192.0.2.0/24",)
            ip("link del x0a")
            await until(lambda: state(made, "waiting"))
            assert await made.detach("x0a") is None  # it is not waited for any more
            pair("x0a", "y0a")
            assert (await made.status()).interfaces == {}
            with pytest.raises(NoInterface):
                await made.detach("x0z")
            assert lasting(alerts) == set()

    run(scenario)


def test_a_flood_of_made_up_sources_is_an_alert_until_it_is_over(
    host: Host, alerts: list[Alert], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More new flows than the tables take in a minute; Prometheus is told as many."""
    now = [1000.0]
    monkeypatch.setattr(host_owner, "time", SimpleNamespace(time=lambda: now[0]))
    metrics = MemoryMetrics()
    given = ("box", ("x0a",), Mode.AUTO, False, str(host.bpffs), "ERROR", str(tmp_path), "one")
    with contextlib.closing(HostOwner(XdpOptions(*given), metrics)) as owner:
        owner.look()
        program = attachment.opened("x0a")
        sources = (str(IPv4Address(0x0A000000 + number)) for number in range(40_000))
        xdp_net.send("y0a", [datagram(source) for source in sources], program)
        program.close()
        assert lasting(alerts) == set()
        now[0] += WINDOW_S
        owner.look()
        (alert,) = [one for one in alerts if one.ended is None]
        assert (alert.name, alert.subjects) == (AlertName.XDP_MAP_CHURN, ("x0a",))
        churn = owner.counters("x0a", 0)
        assert isinstance(churn, XdpCounters)
        assert f"{churn.churn.untabled:,} packets" in alert.summary
        untabled = metrics.value("x0tta6bl4_xdp_untabled_packets_total", interface="x0a")
        evicted = metrics.value("x0tta6bl4_xdp_evicted_flows_total", interface="x0a")
        assert (untabled, evicted) == (churn.churn.untabled, churn.churn.evicted_flows)
        flows = {"interface": "x0a", "table": "flows"}
        assert metrics.value("x0tta6bl4_xdp_table_entries", **flows) == churn.churn.flows
        now[0] += WINDOW_S
        owner.look()
        assert lasting(alerts) == set()


async def state(made: XdpActor, wanted: str) -> bool:
    return (await made.status()).interfaces["x0a"].state == wanted


def test_what_somebody_detaches_is_an_alert_until_it_is_back(
    host: Host, alerts: list[Alert]
) -> None:
    """It stays detached: that was meant. What a command detaches is no alert."""

    async def scenario() -> None:
        async with actor(host, "x0a") as made:
            await made.status()
            await asyncio.to_thread(attachment.detach, host, "x0a")
            await until(lambda: state(made, "detached"))
            assert lasting(alerts) == {AlertName.XDP_DETACHED}
            assert "somebody detached it" in (await made.health()).why
            await made.attach("x0a", Mode.AUTO, pin=False)
            assert lasting(alerts) == set()
            assert await made.detach("x0a") is not None
            assert await made.detach("x0a") is None
            assert lasting(alerts) == set()
            assert (await made.health()).why == ""

    run(scenario)


def test_a_foreign_program_stays_and_is_an_alert_until_it_goes(
    host: Host, alerts: list[Alert]
) -> None:
    """Whose it is stands in the alert."""
    foreign = objects.load_pass()
    flags = MODE_FLAGS[Mode.DRV]
    at = interfaces.interface("x0a").index
    interfaces.netlink_attach(at, foreign, flags)
    there = interfaces.interface("x0a").programs

    async def scenario() -> None:
        async with actor(host, "x0a") as made:
            assert await state(made, "refused")
            assert lasting(alerts) == {AlertName.XDP_ATTACH_FAILED}
            assert f"program {there[Mode.DRV]}" in alerts[-1].summary
            assert alerts[-1].labels == {"host": "box", "interface": "x0a"}
            with pytest.raises(ForeignProgram):
                await made.attach("x0a", Mode.AUTO, pin=False)
            with pytest.raises(ForeignProgram):
                await made.detach("x0a")
            assert lasting(alerts) == set()  # it is not wished any more
            assert await programs() == there
        async with actor(host, "x0a") as made:
            assert await state(made, "refused")
            await asyncio.to_thread(interfaces.netlink_attach, at, -1, flags)
            await until(lambda: state(made, "attached"))
            assert lasting(alerts) == set()

    try:
        run(scenario)
    finally:
        os.close(foreign)


def test_an_interface_made_anew_before_it_was_looked_at_is_attached_to(host: Host) -> None:
    """With the tables of the one that is gone."""
    with contextlib.closing(Owner(host, {})) as owner:
        owner.attach("x0a", Wish(Mode.SKB, pin=False))
        rules.deny(owner.held("x0a").program, rules.network("192.0.2.0/24"))  # type: ignore[union-attr]
        ip("link del x0a")
        pair("x0a", "y0a")
        made = owner.attach("x0a", Wish(Mode.DRV, pin=False))
        assert interfaces.interface("x0a").programs == {Mode.DRV: made.program_id}
        assert rules.rules(owner.held("x0a").program).denied == ("192.0.2.0/24",)  # type: ignore[union-attr]


def test_one_actor_a_host_owns_xdp_and_the_next_adopts_what_is_pinned(host: Host) -> None:
    """The second says that it is disabled, and takes over once the first has ended."""

    async def scenario() -> None:
        async with actor(host, "x0a", pin=True) as first:
            before = (await first.status()).interfaces["x0a"].attached
            async with actor(host, "x0a") as second:
                status = await second.status()
                assert status.interfaces == {}
                assert "another session" in status.disabled
                health = await second.health()
                assert (health.state, health.why) == ("ready", f"disabled ({status.disabled})")
        assert before is not None
        assert await programs() == {Mode.DRV: before.program_id}
        async with actor(host) as third:
            after = (await third.status()).interfaces["x0a"].attached
            assert after is not None
            assert (after.program_id, after.pin) == (before.program_id, before.pin)
            await third.detach("x0a")

    run(scenario)


# Does what it is told, a line each, and says what came of it. Its alerts go into a file.
_LIFE = """
import asyncio, json, sys
from dataclasses import asdict
from actors.runtime.alerting import send_alerts_to
from actors.runtime.metrics import MemoryMetrics
from actors.xdp.actor import XdpActor
from actors.xdp.contract import Mode, XdpOptions

async def main():
    bpffs, state_dir, session, raised, *names = sys.argv[1:]
    file = open(raised, "w", buffering=1)
    send_alerts_to(lambda alert: print(json.dumps(asdict(alert)), file=file))
    options = XdpOptions(
        "box", tuple(names), Mode.AUTO, False, bpffs, "ERROR", state_dir, session, look_s=0.2
    )
    actor = XdpActor(options, metrics=MemoryMetrics())
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *values = json.loads(line)
        values = [Mode(one) if one in list(Mode) else one for one in values]
        named = {"pin": False} if name == "attach" else {}
        found = await getattr(actor, name)(*values, **named)
        print(json.dumps(asdict(found) if found is not None else None), flush=True)

asyncio.run(main())
"""


class Life:
    """One life of an actor in a process of its own."""

    def __init__(self, host: Host, state_dir: Path, *names: str) -> None:
        self._raised = state_dir.with_name("raised")
        given = [host.bpffs, state_dir, "one", self._raised, *names]
        command = [sys.executable, "-c", _LIFE, *map(str, given)]
        self._process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)

    def ask(self, *question: object) -> Any:
        """Call a method, and return what it returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def state(self) -> Any:
        """How x0a is."""
        return self.ask("status")["interfaces"].get("x0a")

    def kill(self) -> list[dict[str, Any]]:
        """End it by SIGKILL; the alerts that it has raised and that are not the end of one."""
        self._process.kill()
        self._process.communicate()
        alerts = [json.loads(line) for line in self._raised.read_text().splitlines()]
        wait_for(lambda: not interfaces.interface("x0a").programs, "the kernel has detached it")
        return [one for one in alerts if one["ended"] is None]


def test_what_was_asked_for_holds_over_a_sigkill(host: Host, tmp_path: Path) -> None:
    """Mode and rules too; an alert says how long nothing was attached. A detachment holds as well.

    A foreign program that came meanwhile is waited for.
    """
    state_dir = tmp_path / "state"
    first = Life(host, state_dir)
    assert first.ask("attach", "x0a", "skb")["mode"] == "skb"
    first.ask("deny", "x0a", ["10.0.0.0/8"])
    before = first.ask("rate_limit", "x0a", 500.0, 3)
    program = attachment.opened("x0a")
    rules.deny(program, rules.network("192.0.2.0/24"))  # as a command does, asking nobody,
    program.close()
    first.ask("rules", "x0a")  # by which it tells the owner
    assert first.kill() == []

    foreign = objects.load_pass()
    at = interfaces.interface("x0a").index
    interfaces.netlink_attach(at, foreign, MODE_FLAGS[Mode.DRV])
    second = Life(host, state_dir)
    assert second.state()["state"] == "refused"
    interfaces.netlink_attach(at, -1, MODE_FLAGS[Mode.DRV])
    os.close(foreign)
    wait_for(lambda: second.state()["state"] == "attached", "the foreign program is gone")
    assert second.state()["attached"]["mode"] == "skb"
    denied = ["10.0.0.0/8", "192.0.2.0/24"]
    assert second.ask("rules", "x0a") == {**before, "denied": denied}
    program = attachment.opened("x0a")
    xdp_net.send("y0a", [FRAME] * 3, program)
    program.close()
    assert second.ask("counters", "x0a", 0)["actions"]["denied"]["packets"] == 3
    attachment.detach(host, "x0a")
    wait_for(lambda: second.state()["state"] == "detached", "it is seen")
    found = second.kill()
    assert [one["name"] for one in found] == [
        AlertName.XDP_DETACHED,
        AlertName.XDP_REATTACHED,
        AlertName.XDP_DETACHED,
    ]
    assert found[1]["subjects"] == ["x0a"]
    assert "for at most" in found[1]["summary"]

    third = Life(host, state_dir, "x0a")
    assert third.state()["state"] == "detached"  # somebody meant it, before the crash
    third.kill()


_WITHOUT_RIGHTS = """
import asyncio, sys
from actors.runtime.metrics import MemoryMetrics
from actors.xdp.actor import XdpActor
from actors.xdp.contract import Mode, XdpOptions

async def main():
    options = XdpOptions("box", ("x0a",), Mode.AUTO, False, *sys.argv[1:])
    metrics = MemoryMetrics()
    actor = XdpActor(options, metrics=metrics)
    print((await actor.status()).disabled)
    health = await actor.health()
    print(health.state, health.why)
    print((await actor.counters("x0a", 1)).source, metrics.value("x0tta6bl4_xdp_enabled"))
    try:
        await actor.attach("x0a", Mode.AUTO, pin=False)
    except Exception as error:
        print(type(error).__name__, error.missing_caps)

asyncio.run(main())
"""


def test_without_rights_the_actor_is_ready_and_says_what_is_missing(host: Host) -> None:
    """It has not failed; the kernel's counters are shown as such, and none of XDP."""
    drop = ["setpriv", "--bounding-set=-net_admin", "--"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", _WITHOUT_RIGHTS, str(host.bpffs), "CRITICAL", "/", "one"],
        capture_output=True,
        text=True,
        check=True,
    )
    reason = "this process lacks CAP_NET_ADMIN"
    assert done.stdout.splitlines() == [
        reason,
        f"ready disabled ({reason})",
        "kernel 0.0",
        "XdpUnavailable ('CAP_NET_ADMIN',)",
    ]
