"""What an owner of XDP counts of neighbours is what they sent, and names a lossy link."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.observe.sampling import sampled
from actors.runtime.errors import InvalidInput
from actors.runtime.metrics import MemoryMetrics
from actors.topology.model import Topology
from actors.xdp import attachment, preflight
from actors.xdp.actor import XdpActor
from actors.xdp.contract import MOST_ADDRESSES, Mode, XdpOptions
from cluster.lab.laboratory import Laboratory
from loadtests.lab_observer import LabObserver
from serve_apps.inference.evidence_ranking import EvidenceRanker
from serve_apps.inference.hosts_traffic import Counted, HostsTraffic
from serve_apps.inference.incident_watch import IncidentWatch
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.live_root_cause import Cause
from serve_apps.inference.live_telemetry import MISSING
from serve_apps.inference.neighbour_traffic import NeighbourTraffic
from serve_apps.inference.received_figures import received_figures
from tests.kernel.xdp_frames import datagram
from tests.kernel.xdp_net import LONG_S, namespace, pair, setns, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from actors.observe.contract import ObservedNetwork
    from actors.topology.samples import NetworkSample
    from actors.xdp.contract import ReceivedTraffic

HELLO_S = 0.1
INTERVAL_S = 10 * HELLO_S
MOST_INTERVALS = 120
EMITTED = """
table inet x0test {
    chain sent {
        type filter hook output priority 0;
        oifname "mesh0" numgen inc mod 4 < 3 drop
        oifname "mesh0" ip6 saddr fe80::/10 counter
    }
}
"""


@pytest.fixture(autouse=True)
def _can_use_xdp() -> None:
    found = preflight.facts(attachment.BPFFS)
    if (why := preflight.judge(found, attachment.BPFFS, pin=False)) is not None:
        pytest.skip(str(why))


@contextlib.asynccontextmanager
async def actor(state: Path, *names: str) -> AsyncIterator[XdpActor]:
    """An actor in the network namespace of this thread."""
    options = XdpOptions(
        host="box",
        interfaces=names,
        mode=Mode.AUTO,
        pin=False,
        bpffs=str(attachment.BPFFS),
        log_level="CRITICAL",
        state_dir=str(state),
        session="test",
    )
    made = XdpActor(options, metrics=MemoryMetrics())
    try:
        yield made
    finally:
        for task in tuple(made._tasks):  # as its process ends
            task.cancel()
        await made._done(made._core.close)
        made._thread.shutdown()


async def test_counts_are_those_of_what_was_sent_and_a_swap_costs_one_interval(
    tmp_path: Path,
) -> None:
    """By address, in packets and bytes, IPv4 and IPv6; and gaps are no shorter than they were."""
    sent = {"10.1.2.3": 30, "fe80::7": 12, "10.9.9.9": 5}
    halves = {address: HalfLink(address, 0) for address in ("10.1.2.3", "fe80::7", "10.4.4.4")}
    compared = NeighbourTraffic()
    with namespace():
        pair("x0a", "y0a")
        async with actor(tmp_path, "x0a") as made:
            assert set(await made.addresses()) == {"x0a"}
            before = await made.received("x0a", tuple(halves))
            assert compared.step("box", before, halves) == {}
            size = await asyncio.to_thread(_send, sent)
            after = await _counted(made, tuple(halves), 42)
            traffic = compared.step("box", after, halves)
            elapsed = after.read_at - before.read_at
            assert set(traffic) == {HalfLink("10.1.2.3", 0), HalfLink("fe80::7", 0)}
            for half, one in traffic.items():
                assert one.packet_rate * elapsed == pytest.approx(sent[half.link])
                assert one.throughput * elapsed == pytest.approx(size[half.link])
                assert one.gap_median >= 2**24 / 1e9  # 20 ms lie in the bucket that begins there
            assert traffic[HalfLink("fe80::7", 0)].control_rate * elapsed == pytest.approx(12)
            assert math.isnan(traffic[HalfLink("10.1.2.3", 0)].control_rate)
            assert after.others == 1
            nobody = await made.received("x0a", ())
            assert (nobody.peers, nobody.others) == ((), 3)
            for refused in (("nonsense",), MOST_ADDRESSES * ("10.0.0.1",) + ("10.0.0.2",)):
                with pytest.raises(InvalidInput):
                    await made.received("x0a", refused)
            await made.replace("x0a")
            swapped = await made.received("x0a", tuple(halves))
            assert compared.step("box", swapped, halves) == {}
            calm = compared.step("box", await made.received("x0a", tuple(halves)), halves)
            assert {one.packet_rate for one in calm.values()} == {0.0}  # heard before, and not now


def _send(sent: dict[str, int]) -> dict[str, int]:
    """Send datagrams from these addresses, 20 ms apart; bytes of each."""
    frames = {address: datagram(address) for address in sent}
    with wire("y0a") as opened:
        for turn in range(max(sent.values())):
            for address, frame in frames.items():
                if turn < sent[address]:
                    opened.send(frame)
            time.sleep(0.02)
    return {address: len(frame) * sent[address] for address, frame in frames.items()}


async def _counted(made: XdpActor, addresses: tuple[str, ...], packets: int) -> ReceivedTraffic:
    async with asyncio.timeout(LONG_S):
        while True:
            found = await made.received("x0a", addresses)
            if sum(peer.packets for peer in found.peers) >= packets:
                return found
            await asyncio.sleep(0.05)


class _OneOwner:
    """The actor of one host, as the client asks it."""

    def __init__(self, made: XdpActor) -> None:
        self._of_host = {"box": made}

    async def addresses(self, host: str) -> dict[str, tuple[str, ...]]:
        return await self._of_host[host].addresses()

    async def received(
        self, host: str, interface: str, addresses: tuple[str, ...]
    ) -> ReceivedTraffic:
        return await self._of_host[host].received(interface, addresses)


class _Watched:
    """A laboratory whose sources tell of no link's quality, watched with and without XDP."""

    def __init__(self, observer: LabObserver, made: XdpActor) -> None:
        self._observer = observer
        self._network: ObservedNetwork | None = None
        self._traffic = HostsTraffic(_OneOwner(made), lambda: ["box"], lambda: self._network)
        self.watch, self.without = IncidentWatch(EvidenceRanker()), IncidentWatch(EvidenceRanker())

    async def interval(self) -> Counted:
        until = time.monotonic() + INTERVAL_S
        while time.monotonic() < until:
            self._network = await self._observer.network()
            sample = _without_quality(sampled(self._network))
            self.watch.look(sample)
            self.without.look(sample)
            await asyncio.sleep(INTERVAL_S / 5)
        counted = await self._traffic.read()
        self.watch.close(time.time(), counted.traffic)
        self.without.close(time.time())
        return counted


def _without_quality(sample: NetworkSample) -> NetworkSample:
    figures = {name: np.full_like(each, np.nan) for name, each in sample.links.figures.items()}
    return replace(sample, links=replace(sample.links, figures=figures))


async def test_a_lossy_link_is_named_by_what_its_end_receives(tmp_path: Path) -> None:
    """Of babeld's own packets three in four are lost one way; no source tells of it."""
    lab = Laboratory.up(tmp_path, Topology.of(("a", "b", "c"), [(0, 1), (1, 2), (0, 2)]), HELLO_S)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    half = HalfLink("a,b,wifi", 0)
    try:
        setns(f"/run/netns/{lab.namespace(0)}")  # the host of node a
        async with (
            LabObserver(lab, INTERVAL_S / 4) as observer,
            actor(tmp_path, "mesh1", "mesh2") as made,
        ):
            await observer.settled(LONG_S)
            watched = _Watched(observer, made)
            for _ in range(MOST_INTERVALS):
                counted = await watched.interval()
                assert not watched.watch.incidents.open
                if _figure(watched, half) is not None:
                    break
            assert (counted.neighbours, counted.ambiguous, counted.strange) == (2, 0, 0)
            # A packet for each Hello: what babeld sends is known, and nothing of it is missing.
            assert counted.traffic[half].control_rate == pytest.approx(1 / HELLO_S, rel=0.5)

            before = await _packets(made)
            await asyncio.to_thread(_nft, lab.namespace(1), "-f", "-", given=EMITTED)
            for _ in range(MOST_INTERVALS):
                await watched.interval()
                if watched.watch.incidents.open:
                    break
            (incident,) = watched.watch.incidents.open
            root = incident.root
            assert root is not None
            assert (root.cause, root.link, root.one_way) == (Cause.LINK, ("a", "b"), True)
            assert MISSING in incident.known
            assert (incident.halves[half].missing or 0.0) > 0.5
            assert not watched.without.incidents.open
            received = await _packets(made) - before
            assert received == pytest.approx(await asyncio.to_thread(_emitted, lab), abs=3)
    finally:
        setns(f"/proc/self/fd/{home}")
        os.close(home)
        lab.down()


def _figure(watched: _Watched, half: HalfLink) -> float | None:
    """How much is missing at a half-link, once that is known."""
    telemetry = watched.watch.telemetry()
    assert telemetry is not None
    a, b, _ = half.link.split(",")
    for one in received_figures(telemetry):
        if (one.name, one.heard_by, one.sender) == (MISSING, a, b):
            return one.value
    return None


async def _packets(made: XdpActor) -> int:
    """What b has sent to a in all."""
    found = await made.addresses()
    assert set(found) == {"mesh1", "mesh2"}
    counters = await made.counters("mesh1", 10)
    assert counters.source == "xdp"
    return sum(peer.packets for peer in counters.peers)


def _nft(name: str, *words: str, given: str = "") -> str:
    command = ["ip", "netns", "exec", name, "nft", *words]
    done = subprocess.run(command, input=given, text=True, capture_output=True, check=True)
    return done.stdout


def _emitted(lab: Laboratory) -> int:
    """Packets that b has put on the wire to a since it loses some."""
    told = json.loads(_nft(lab.namespace(1), "-j", "list", "table", "inet", "x0test"))
    rules = [each["rule"] for each in told["nftables"] if "rule" in each]
    (count,) = (part["counter"] for rule in rules for part in rule["expr"] if "counter" in part)
    return int(count["packets"])
