"""The program counts every packet once, drops what it should, and judges frames as RFCs say."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import threading
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.errors import Conflict, InvalidInput
from actors.xdp import attachment, counters, interfaces, layout, rules
from actors.xdp.errors import XdpUnavailable
from actors.xdp.layout import Action
from actors.xdp.libbpf import maps, objects
from actors.xdp.libbpf.library import BpfError
from actors.xdp.program import OBJECT, Program, table_sizes
from tests.examples import share
from tests.kernel import xdp_frames as frames
from tests.kernel import xdp_net
from tests.kernel import xdp_reference as reference
from tests.kernel.xdp_net import counted, on_cpu, send, wait_for, wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.xdp.attachment import Host

FLOOD = 100_000
FUZZED = 100_000
DENIED = [ip_network("198.51.100.0/24"), ip_network("2001:db8:bad::/48")]
XDP_DROP, XDP_PASS = 1, 2


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A namespace with x0a and x0b joined to y0a and y0b."""
    with xdp_net.host(tmp_path_factory.mktemp("bpf"), x0a=1500, x0b=1500) as made:
        yield made


@pytest.fixture
def program(host: Host) -> Iterator[Program]:
    """A program that is attached to nothing, for frames that are given to it."""
    del host
    loaded = Program.load()
    yield loaded
    loaded.close()


def packets(program: Program) -> dict[str, int]:
    """Packets by action, of those that had any."""
    found = counters.totals(program).items()
    return {name: tally.packets for name, tally in found if tally.packets}


# -- floods ----------------------------------------------------------------------------------------


def test_a_flood_is_denied_and_limited_and_counted_exactly(host: Host) -> None:
    """100,000 packets of made-up sources: each is in one count, and dropped if it should be.

    A quarter is of denied networks, half of a few sources over their rate, the rest of sources
    that come once.
    """
    draw = random.Random(1)
    made = attachment.attach(host, "x0a")
    rules.deny(made.program, *DENIED)
    rules.limit(made.program, 0.001, burst=5)  # nothing is refilled meanwhile
    flood = []
    for number in range(FLOOD // 4):
        last = draw.randrange(65536)
        bad = f"198.51.100.{last % 256}" if number % 2 else f"2001:db8:bad::{last:x}"
        loud = f"203.0.113.{number % 50}" if number % 2 else f"2001:db8:1::{number % 50:x}"
        once = str(IPv4Address(0x0B000000 + number))
        flood += [frames.datagram(source) for source in (bad, loud, once, loud)]
    draw.shuffle(flood)
    received_before = interfaces.kernel_counters("x0a", "").received.packets
    send("y0a", flood, made.program)
    loud_sources = 50  # each of one family: odd numbers are of IPv4
    passed = FLOOD // 4 + loud_sources * 5
    assert packets(made.program) == {
        "denied": FLOOD // 4,
        "limited": FLOOD // 2 - loud_sources * 5,
        "passed": passed,
    }
    assert counters.totals(made.program)["denied"].bytes == 64 * FLOOD // 4
    found = counters.counters(made.program, "x0a")
    assert found.churn.flows + found.churn.untabled >= passed - loud_sources * 5
    assert found.churn.new_flows >= found.churn.flows
    wait_for(
        lambda: interfaces.kernel_counters("x0a", "").received.packets - received_before == FLOOD,
        "the kernel has counted as many",
    )
    made.close()


def test_a_limit_refills_and_ends(program: Program) -> None:
    """In the long run a source sends at its rate; a higher limit holds at once; none lets pass."""
    frame = frames.datagram("203.0.113.1")
    rules.limit(program, 0.001, burst=3)
    objects.try_frame(program.fd, frame, 10)
    assert packets(program) == {"passed": 3, "limited": 7}
    rules.limit(program, 500.0, burst=1)
    wait_for(lambda: objects.try_frame(program.fd, frame, 1)[0] == XDP_PASS, "it is refilled")
    rules.limit(program, None)
    before = packets(program)["passed"]
    objects.try_frame(program.fd, frame, 100)
    assert packets(program)["passed"] == before + 100
    for pps, burst in ((0.0, None), (2e6, None), (1.0, 0), (float("nan"), None)):
        with pytest.raises(InvalidInput):
            rules.limit(program, pps, burst)


def test_a_swap_under_traffic_misses_no_packet(host: Host) -> None:
    """Hundreds of replacements while packets come: every packet is counted once."""
    made = attachment.attach(host, "x0a")
    programs = [made.program, Program.load(reused=made.program)]
    sent, done = 0, threading.Event()

    def traffic(opened: object) -> None:
        nonlocal sent
        while not done.is_set():
            for _ in range(100):
                opened.send(frame)  # type: ignore[attr-defined]
            sent += 100
            wait_for(caught_up, "all are counted")

    def caught_up() -> bool:
        return counted(made.program) >= sent

    frame = frames.datagram("203.0.113.1")
    with wire("y0a") as opened:
        sender = threading.Thread(target=traffic, args=(opened,))
        sender.start()
        try:
            for turn in range(200):
                attachment.swap(made.link, programs[(turn + 1) % 2], programs[turn % 2], "x0a")
            wait_for(lambda: sent > 1000, "there is traffic")
            attachment.replaced(host, "x0a")
        finally:
            done.set()
            sender.join()
    assert packets(made.program) == {"passed": sent}
    assert counters.counters(made.program, "x0a").peers[0].packets == sent
    programs[1].close()
    made.close()


def test_two_interfaces_are_independent(host: Host) -> None:
    """What one denies the other passes, and each counts its own."""
    a, b = attachment.attach(host, "x0a"), attachment.attach(host, "x0b")
    rules.deny(a.program, ip_network("192.0.2.0/24"))
    for far, made in (("y0a", a), ("y0b", b)):
        send(far, [frames.datagram("192.0.2.1")] * 7, made.program)
    assert packets(a.program) == {"denied": 7}
    assert packets(b.program) == {"passed": 7}
    a.close()
    wait_for(lambda: not interfaces.interface("x0a").programs, "it is detached")
    send("y0b", [frames.datagram("192.0.2.1")], b.program)
    assert packets(b.program) == {"passed": 8}
    b.close()


# -- tables and samples ----------------------------------------------------------------------------


def test_peers_and_flows_have_what_they_sent(program: Program) -> None:
    """Those of most bytes come first; what flows have not told their peer yet is in its count."""
    none = counters.counters(program, "none")
    assert (none.peers, none.flows, none.churn.flows, none.churn.peers) == ((), (), 0, 0)
    for source, port, times in (
        ("192.0.2.1", 1, 40),
        ("192.0.2.1", 2, 23),
        ("2001:db8::1", 1, 100),
        ("192.0.2.2", 1, 1),
    ):
        objects.try_frame(program.fd, frames.datagram(source, port=port), times)
    found = counters.counters(program, "none", top=3)
    assert [(one.address, one.packets, one.bytes) for one in found.peers] == [
        ("2001:db8::1", 100, 6400),
        ("192.0.2.1", 63, 4032),
        ("192.0.2.2", 1, 64),
    ]
    first = found.flows[0]
    assert (first.source, first.destination, first.packets) == ("2001:db8::1", "2001:db8::9", 100)
    assert (first.protocol, first.source_port, first.destination_port) == (17, 1, 2000)
    # Each gap between the first 16 packets, then that before every packet 16 n + 1.
    assert sum(first.gaps) == 15 + 6
    assert sum(found.peers[1].gaps) == (15 + 2) + (15 + 1)
    assert (found.churn.peers, found.churn.flows, found.churn.new_flows) == (3, 4, 4)
    assert counters.counters(program, "none", top=1).peers == found.peers[:1]


@contextlib.contextmanager
def one_set() -> Iterator[Program]:
    """A program with room for eight flows on each CPU."""
    cpus = maps.possible_cpus()
    flows = layout.WAYS * cpus
    entries = {"x0_sets": cpus, "x0_flows": flows, "x0_gaps": flows}
    loaded = Program.fresh(objects.load(OBJECT.read_bytes(), layout.PROGRAM, entries=entries))
    yield loaded
    loaded.close()


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 40)), min_size=9, max_size=40))
@settings(max_examples=share(0.1))
def test_a_peer_keeps_what_its_flows_had_that_made_room(
    host: Host, sent: list[tuple[int, int]]
) -> None:
    """However many come, packets, bytes and gaps of a peer are those of all its flows."""
    del host
    with one_set() as program, on_cpu(min(os.sched_getaffinity(0))):
        for port, times in sent:
            objects.try_frame(program.fd, frames.datagram("192.0.2.1", port=port), times)
        found = counters.counters(program, "none", top=100)
    (peer,) = found.peers
    packets_sent = sum(times for _, times in sent)
    assert (peer.packets, peer.bytes) == (packets_sent, 64 * packets_sent)
    assert found.churn.flows == len(found.flows) == min(len({port for port, _ in sent}), 8)
    assert (found.churn.new_peers, found.churn.untabled) == (1, 0)
    assert sum(peer.gaps) <= packets_sent - found.churn.new_flows
    if all(times <= 16 for _, times in sent) and len({port for port, _ in sent}) == len(sent):
        assert sum(peer.gaps) == packets_sent - len(sent)


def test_flows_that_go_on_are_not_pushed_out_by_those_that_come_once(host: Host) -> None:
    """Of a full set, one makes room that had no second packet."""
    del host
    with one_set() as program, on_cpu(min(os.sched_getaffinity(0))):
        for port in range(1, 1000):
            for some in (10_001, 10_002, 20_000 + port):
                objects.try_frame(program.fd, frames.datagram("192.0.2.1", port=some), 1)
        found = counters.counters(program, "none")
    assert [(one.source_port, one.packets) for one in found.flows[:2]] == [
        (10_001, 999),
        (10_002, 999),
    ]


def test_what_several_cpus_had_of_a_flow_is_one(program: Program) -> None:
    """Each CPU has a table of its own."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    for number in cpus:
        with on_cpu(number):
            objects.try_frame(program.fd, frames.datagram("192.0.2.1"), 20)
    found = counters.counters(program, "none")
    assert [one.packets for one in found.flows] == [20 * len(cpus)]
    assert [one.packets for one in found.peers] == [20 * len(cpus)]
    assert sum(found.flows[0].gaps) == sum(found.peers[0].gaps) == (15 + 1) * len(cpus)
    assert (found.churn.flows, found.churn.peers) == (len(cpus), 1)


def test_too_many_new_flows_push_out_no_others(program: Program) -> None:
    """Beyond a rate of new flows, packets are counted by action alone, and that is told."""
    frame = bytearray(frames.datagram("10.0.0.0"))
    for number in range(12_000):
        struct.pack_into(">I", frame, 26, 0x0A000000 + number)
        objects.try_frame(program.fd, bytes(frame), 1)
    found = counters.counters(program, "none", top=1)
    assert packets(program) == {"passed": 12_000}
    assert found.churn.new_flows + found.churn.untabled == 12_000
    assert found.churn.flows == found.churn.new_flows
    assert found.churn.new_flows >= 4096


def test_samples_tell_of_single_packets(program: Program) -> None:
    """One packet in so many of each action, with its addresses; a full ring loses and says so."""
    rules.deny(program, ip_network("192.0.2.0/24"))
    rules.sample(program, 4)
    for source in ("192.0.2.1", "203.0.113.5"):
        objects.try_frame(program.fd, frames.datagram(source), 8)
    objects.try_frame(program.fd, frames.ethernet(0x0806, bytes(46)), 4)
    found = counters.samples(program)
    assert [(str(one.source), one.action, one.length) for one in found] == [
        ("192.0.2.1", Action.DENIED, 64),
        ("192.0.2.1", Action.DENIED, 64),
        ("203.0.113.5", Action.PASSED, 64),
        ("203.0.113.5", Action.PASSED, 64),
        ("None", Action.OTHER, 60),
    ]
    assert found[2].source_port == 1000
    assert counters.samples(program) == []
    rules.sample(program, 1)
    objects.try_frame(program.fd, frames.datagram("203.0.113.5"), 10_000)
    lost = counters.counters(program, "none").churn.lost_samples
    assert len(counters.samples(program)) + lost == 10_000
    assert lost > 0
    rules.sample(program, 0)
    objects.try_frame(program.fd, frames.datagram("203.0.113.5"), 10)
    assert counters.samples(program) == []
    with pytest.raises(InvalidInput, match="no power of two"):
        rules.sample(program, 3)


# -- rules -----------------------------------------------------------------------------------------


def test_denied_networks_are_listed_and_removed(program: Program) -> None:
    """The longest prefix decides nothing: whoever is in any denied network is denied."""
    texts = ("192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "::/0")
    for text in texts:
        assert rules.deny(program, rules.network(text))
    assert not rules.deny(program, rules.network("192.0.2.7/32"))
    assert rules.rules(program).denied == (
        "0.0.0.0/0",
        "192.0.2.0/24",
        "192.0.2.7/32",
        "::/0",
        "2001:db8::/32",
    )
    assert objects.try_frame(program.fd, frames.datagram("8.8.8.8"), 1)[0] == XDP_DROP
    for text in texts:
        assert rules.allow(program, rules.network(text))
        assert not rules.allow(program, rules.network(text))
    assert objects.try_frame(program.fd, frames.datagram("192.0.2.7"), 1)[0] == XDP_PASS
    for text in ("192.0.2.1/24", "x", "", "::ffff:192.0.2.1"):
        with pytest.raises(InvalidInput):
            rules.network(text)


def test_a_full_list_denies_no_more_and_says_so(program: Program) -> None:
    """What stood in it before is denied on."""
    entries = {"x0_deny_v4": 2}
    loaded = objects.load(OBJECT.read_bytes(), layout.PROGRAM, entries=entries)
    small = Program.fresh(loaded)
    with pytest.raises(Conflict, match=r"192\.0\.2\.3/32 cannot be denied"):
        rules.deny(small, *(rules.network(f"192.0.2.{last}") for last in (1, 2, 3, 4)))
    assert rules.rules(small).denied == ("192.0.2.1/32", "192.0.2.2/32")
    assert objects.try_frame(small.fd, frames.datagram("192.0.2.2"), 1)[0] == XDP_DROP
    small.close()
    del program


def test_what_the_kernel_refuses_to_load_is_told(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In libbpf's or the verifier's own words."""
    del host
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"no object")
    with monkeypatch.context() as patched:
        patched.setattr("actors.xdp.program.OBJECT", broken)
        with pytest.raises(XdpUnavailable, match="the kernel refuses the program"):
            Program.load()
    for name, wrong in (("no_such", {}), (layout.PROGRAM, {"no_such": 1})):
        with pytest.raises(BpfError, match="no_such"):
            objects.load(OBJECT.read_bytes(), name, entries=wrong)


def test_the_tables_take_a_bounded_memory_on_any_host() -> None:
    """Fewer entries where each has values for many CPUs, and never hardly any."""
    few = table_sizes(2)
    assert (few["x0_peers"], few["x0_flows"]) == (16_384, 2 * 131_072)
    many = table_sizes(512)
    flow = layout.FLOW_TRAFFIC.itemsize + layout.GAPS_BYTES
    assert many["x0_flows"] * flow <= 128 << 20
    assert many["x0_peers"] * layout.PEER_TRAFFIC.itemsize * 512 <= 128 << 20
    assert many["x0_sets"] * layout.WAYS == many["x0_gaps"] == many["x0_flows"]
    most = table_sizes(100_000)
    assert (most["x0_peers"], most["x0_flows"]) == (1024, 1024 * 100_000)


def test_the_object_is_of_this_layout(program: Program) -> None:
    """Every table has keys and values of the sizes that are read."""
    program.check()
    assert program.config == layout.Config()
    assert {name for name in program.maps if "x0_" in name} == set(layout.SIZES)


# -- frames ----------------------------------------------------------------------------------------


def check(program: Program, frame: bytes) -> None:
    """Give a frame to the program, and compare its verdict, count and sample with the reference."""
    action, flow = reference.judge(frame, DENIED)
    verdict, _ = objects.try_frame(program.fd, frame, 1)
    (sample,) = counters.samples(program)
    assert sample.action == action, (frame.hex(), flow)
    assert verdict == (XDP_DROP if action.drops else XDP_PASS)
    assert sample.length == len(frame)
    if flow is not None:
        assert _flow(sample) == (
            _plain(flow.source),
            _plain(flow.destination),
            flow.protocol,
            flow.source_port,
            flow.destination_port,
        ), frame.hex()


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """As the tables have it: an IPv4 address in IPv6's form is not told from the other."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _flow(sample: layout.Sample) -> tuple[object, ...]:
    none = IPv6Address(0)
    return (
        sample.source if sample.source is not None else none,
        sample.destination if sample.destination is not None else none,
        sample.protocol,
        sample.source_port,
        sample.destination_port,
    )


@pytest.fixture(scope="module")
def judging(host: Host) -> Iterator[Program]:
    """A program that denies, and samples every packet."""
    del host
    program = Program.load()
    rules.deny(program, *DENIED)
    rules.sample(program, 1)
    yield program
    program.close()


def test_fuzzed_frames_are_judged_as_the_reference_does(judging: Program) -> None:
    """100,000 random and mutated frames: no wrong action, address, port, or verdict."""
    draw = random.Random(20)
    seen = dict.fromkeys(Action, 0)
    expected = []
    for number, frame in zip(range(FUZZED), frames.fuzzed(draw), strict=False):
        action, flow = reference.judge(frame, DENIED)
        seen[action] += 1
        verdict, _ = objects.try_frame(judging.fd, frame, 1)
        assert verdict == (XDP_DROP if action.drops else XDP_PASS), frame.hex()
        expected.append((frame, action, flow))
        if len(expected) == 1000 or number == FUZZED - 1:
            _compare(expected, counters.samples(judging))
            expected.clear()
    assert packets(judging) == {action.name.lower(): n for action, n in seen.items() if n}
    assert all(seen[action] > FUZZED / 50 for action in Action if action is not Action.LIMITED)


def _compare(
    expected: list[tuple[bytes, Action, reference.Flow | None]], samples: list[layout.Sample]
) -> None:
    assert len(samples) == len(expected)
    for (frame, action, flow), sample in zip(expected, samples, strict=True):
        assert (sample.action, sample.length) == (action, len(frame)), frame.hex()
        if flow is not None:
            wanted = (_plain(flow.source), _plain(flow.destination), flow.protocol)
            ports = (flow.source_port, flow.destination_port)
            assert _flow(sample) == (*wanted, *ports), frame.hex()


@given(
    tags=st.lists(st.sampled_from([frames.VLAN, frames.QINQ]), max_size=3),
    kind=st.sampled_from([frames.IPV4, frames.IPV6, frames.VLAN, 0, 0x0806]),
    content=st.binary(max_size=120),
)
@settings(max_examples=share(5))
def test_any_frame_is_judged_as_the_reference_does(
    judging: Program, tags: list[int], kind: int, content: bytes
) -> None:
    """Whatever stands behind the EtherType."""
    check(judging, frames.ethernet(kind, content, *tags))
