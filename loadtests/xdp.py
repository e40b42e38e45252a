"""What the XDP program costs a packet, beside a program that does nothing, and its owner a call."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.xdp import attachment, counters, interfaces, layout, preflight, rules
from actors.xdp.libbpf import introspection, maps, objects
from actors.xdp.program import OBJECT, Program
from cluster.lab import kernel
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, timed
from loadtests.private_namespace import private_namespace
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIED: Final = Path(__file__).with_name("xdp_varied.bpf.o")
REPEAT: Final = 10_000_000
ENTRIES: Final = 65_536
RUNS: Final = 5
REPLACEMENTS: Final = 40
ATTACHMENTS: Final = 10
_WORDS: Final = {
    "floor_ns": "pass everything",
    "count_ns": "parse and count",
    "full_ns": "full, one flow",
    "full_64k_keys_ns": "full, 65,536 flows in turn",
    "full_churn_ns": "full, flows that do not come twice",
    "full_limited_ns": "full and limited, one flow",
}
_BOUNDS: Final = {  # times the floor
    "count_ns": 1.5,
    "full_ns": 6.0,
    "full_64k_keys_ns": 6.0,
    "full_churn_ns": 6.0,
}
_NEAR: Final = "x0bench0"
_FAR: Final = "x0bench1"
SCRAPE_BOUND_MS: Final = 60.0
_KEYS: Final = 0xFFFF
_CHURN: Final = 0xFFFFFF
_VARIED_NETWORK: Final = 0x0B000000
_PARTS: Final = 100
_PEERS: Final = 1024
_DENIED: Final = 1000  # networks of each family
_METHOD: Final = """\
Frames of 64 bytes with a UDP datagram, given to the program by the kernel's test run, {repeat:,} \
times each in {runs} runs of {parts} parts that take turns; a figure is the mean of the fastest \
quarter of the parts, since whatever else the machine does only adds. The floor is a program that \
passes everything. "Parse and count" is this project's without its tables of peers and flows; \
"full" is all of it with {denied:,} denied networks of each family, for one flow, for 65,536 that \
take turns, and for 16 million, of which hardly one comes twice: each part goes on where the one \
before ended. "Limited" has a rate limit too. The entries of 65,536 flows are 4 MiB: where the \
caches near a core hold less, each packet waits for a line of memory, which is most of its cost. \
Of flows that do not come twice, 20,000 a second and CPU get an entry, by the clock: on a busy \
machine they are more of the packets.

A scrape reads all {entries:,} flows of {peers:,} peers, each flow on one CPU, and finds the 20 of \
each that sent most. A replacement loads the program anew and swaps it in on a veth pair. The \
time until the first \
count runs from the call to attach to the first packet that is counted, while packets come \
without a pause."""


@benchmark("xdp", "XDP", ("numpy", "pyroute2"))
def measure(
    progress: Progress,
    *,
    repeat: Annotated[
        int, typer.Option(min=1000, max=1_000_000_000, help="Frames a run.")
    ] = REPEAT,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs of each program.")] = RUNS,
) -> Findings:
    """Measure what the XDP program costs, beside one that does nothing. Needs root.

    Raises:
        XdpUnavailable, ConfigurationError: this process may not.
    """
    preflight.require(attachment.BPFFS)
    kernel.require([("ip", "iproute2")])
    cost = _costs(progress, repeat, runs)
    progress(f"scraping {ENTRIES:,} entries")
    scrape = _scrapes(runs)
    with _pair():
        progress("replacing")
        replace_s, swap_s = _replacements()
        progress("attaching")
        first_s = _attachments()
    return _found(repeat, runs, cost, scrape, replace_s, swap_s, first_s)


# -- what a packet costs ---------------------------------------------------------------------------


def _costs(progress: Progress, repeat: int, runs: int) -> dict[str, float]:
    """Ns a packet, by the name of the figure."""
    floor = objects.load_pass()
    full, limited = Program.load(), Program.load()
    tables_off = objects.load(OBJECT.read_bytes(), layout.PROGRAM, constants=struct.pack("=I", 0))
    count = Program.fresh(tables_off)
    keys, churn = _varied(_KEYS), _varied(_CHURN)
    for program in (full, limited, keys, churn):
        _deny(program)
    # Faster than any rate that may be set: no packet is over it.
    limited.configure(replace(limited.config, limit_interval_ns=1, limit_burst_ns=1_000_000_000))
    measured = {
        "floor_ns": floor,
        "count_ns": count.fd,
        "full_ns": full.fd,
        "full_64k_keys_ns": keys.fd,
        "full_churn_ns": churn.fd,
        "full_limited_ns": limited.fd,
    }
    varied = {keys.fd, churn.fd}
    parts: dict[str, list[int]] = {name: [] for name in measured}
    for turn in range(runs):
        for name, fd in measured.items():
            progress(f"run {turn + 1} of {runs}: {name}")
            parts[name] += _parts(fd, repeat, turn * repeat if fd in varied else None)
    seen = sum(tally.packets for tally in counters.totals(full).values())
    if seen != repeat // _PARTS * _PARTS * runs:
        raise defect(f"{seen:,} of {repeat * runs:,} packets were counted")
    os.close(floor)
    for program in (count, full, limited, keys, churn):
        program.close()
    return {name: _fastest(durations) for name, durations in parts.items()}


def _parts(fd: int, repeat: int, first: int | None) -> list[int]:
    """Ns a packet, of each part of a run; `first`: the source before the first of those that vary.

    A test run begins with the frame as it is given: each part goes on where the one before ended.
    """
    size = repeat // _PARTS
    done = [
        objects.try_frame(fd, _frame(None if first is None else first + at * size), size)
        for at in range(_PARTS)
    ]
    if {verdict for verdict, _ in done} != {2}:  # XDP_PASS
        raise defect("the frame was not passed")
    return [duration for _, duration in done]


def _fastest(durations: list[int]) -> float:
    """Mean of the fastest quarter. The kernel tells whole ns: the mean is finer."""
    return float(np.mean(sorted(durations)[: max(len(durations) // 4, 1)]))


def _frame(source: int | None = None) -> bytes:
    """From 10.9.9.8, or of those sources that vary from this one."""
    first = 0x0A090908 if source is None else _VARIED_NETWORK | source & _CHURN
    addresses = first.to_bytes(4, "big") + bytes([10, 9, 9, 9])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 50, 1, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 1000, 2000, 30, 0) + bytes(22)


def _varied(last: int) -> Program:
    """The program with sources that take turns."""
    constants = struct.pack("=II", 1, last)
    loaded = objects.load(VARIED.read_bytes(), "x0_varied", constants=constants)
    return Program.fresh(loaded)


def _deny(program: Program) -> None:
    v4 = [ip_network(f"172.{16 + at // 256}.{at % 256}.0/24") for at in range(_DENIED)]
    v6 = [ip_network(f"2001:db8:{at:x}::/48") for at in range(_DENIED)]
    rules.deny(program, *v4, *v6)


# -- what the owner costs --------------------------------------------------------------------------


def _scrapes(runs: int) -> Spread:
    """Seconds for all counters, with full tables of peers and flows."""
    program = Program.load()
    _fill(program)
    took = []
    for _ in range(runs):
        found, seconds = timed(lambda: counters.counters(program, "none"))
        if found.churn.flows != ENTRIES or found.churn.peers != _PEERS:
            raise defect(f"{found.churn.flows:,} of {ENTRIES:,} flows were read")
        took.append(seconds)
    program.close()
    return Spread.of(took)


def _fill(program: Program) -> None:
    """Flows of each CPU in turn, of peers that all CPUs know."""
    cpus = maps.possible_cpus()
    of_each = introspection.map_info(program.maps["x0_flows"]).max_entries // cpus
    peer, flow = np.zeros(cpus, layout.PEER_TRAFFIC), np.zeros(1, layout.FLOW_TRAFFIC)
    peer["packets"], flow["packets"] = 1, 1
    flow["flow"]["destination_port"], flow["flow"]["protocol"] = 2, 17
    for number in range(ENTRIES):
        address = bytes(10) + b"\xff\xff" + (_VARIED_NETWORK + number % _PEERS).to_bytes(4, "big")
        peer["bytes"] = flow["bytes"] = 64 + number
        maps.update(program.maps["x0_peers"], address, peer.tobytes())
        flow["flow"]["source"], flow["flow"]["source_port"] = np.void(address), number // _PEERS
        place = number % cpus * of_each + number // cpus
        maps.update(program.maps["x0_flows"], place.to_bytes(4, sys.byteorder), flow.tobytes())


def _replacements() -> tuple[Spread, Spread]:
    """Seconds of a whole replacement, and of the swap alone."""
    host = attachment.Host()
    made = attachment.attach(host, _NEAR)
    whole = [timed(lambda: attachment.replaced(host, _NEAR))[1] for _ in range(REPLACEMENTS)]
    made.close()
    _until(lambda: not interfaces.interface(_NEAR).programs)
    made = attachment.attach(host, _NEAR)
    pair = [made.program, Program.load(reused=made.program)]
    swaps = [timed(partial(_swap, made.link, pair, turn))[1] for turn in range(REPLACEMENTS)]
    pair[1].close()
    made.close()
    _until(lambda: not interfaces.interface(_NEAR).programs)
    return Spread.of(whole), Spread.of(swaps)


def _swap(link: int, pair: list[Program], turn: int) -> None:
    attachment.swap(link, pair[(turn + 1) % 2], pair[turn % 2], _NEAR)


def _attachments() -> Spread:
    """Seconds from the call to attach to the first packet that is counted."""
    took, done = [], threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as opened:
        opened.bind((_FAR, 0))
        sender = threading.Thread(target=_send, args=(opened, done))
        sender.start()
        try:
            for _ in range(ATTACHMENTS):
                start = time.perf_counter()
                made = attachment.attach(attachment.Host(), _NEAR)
                _until(lambda: counters.totals(made.program)["passed"].packets > 0)  # noqa: B023
                took.append(time.perf_counter() - start)
                made.close()
                _until(lambda: not interfaces.interface(_NEAR).programs)
        finally:
            done.set()
            sender.join()
    return Spread.of(took)


def _send(opened: socket.socket, done: threading.Event) -> None:
    frame = _frame()
    while not done.wait(0.0002):
        with contextlib.suppress(OSError):  # the queue is full: others are under way
            opened.send(frame)


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0)


@contextlib.contextmanager
def _pair() -> Iterator[None]:
    """Be in a network namespace of its own, with a pair of interfaces."""
    with private_namespace():
        kernel.ip(
            [
                f"link add name {_NEAR} type veth peer name {_FAR}",
                f"link set {_NEAR} arp off up",
                f"link set {_FAR} arp off up",
            ]
        )
        yield


def _found(
    repeat: int,
    runs: int,
    cost: dict[str, float],
    scrape: Spread,
    whole: Spread,
    swap: Spread,
    first: Spread,
) -> Findings:
    """The figures, and which promises they break."""
    floor = cost["floor_ns"]
    short = [
        f"{_WORDS[name]} costs {shown(cost[name] / floor)} times the floor, and not {bound:g}"
        for name, bound in _BOUNDS.items()
        if cost[name] > bound * floor
    ]
    scrape_ms = scrape.times(1000)
    if scrape_ms.median > SCRAPE_BOUND_MS:
        short.append(f"a scrape takes {shown(scrape_ms.median)} ms, and not {SCRAPE_BOUND_MS:g}")
    replace_p95 = float(np.percentile(whole.values, 95))
    swap_p95 = float(np.percentile(swap.values, 95))
    costs = [[_WORDS[name], shown(value), shown(value / floor)] for name, value in cost.items()]
    calls = [
        [f"scrape of {ENTRIES:,} flows of {_PEERS:,} peers", str(scrape_ms)],
        ["replacement", str(whole.times(1000))],
        ["swap alone", str(swap.times(1000))],
        ["attach, until the first packet is counted", str(first.times(1000))],
    ]
    return Findings(
        method=_METHOD.format(
            repeat=repeat, runs=runs, denied=_DENIED, entries=ENTRIES, parts=_PARTS, peers=_PEERS
        ),
        tables=[
            Table(["a packet", "ns", "times the floor"], costs),
            Table(["a call", "ms"], calls),
        ],
        findings=[
            f"A packet of a known flow costs {shown(cost['full_ns'])} ns.",
            (
                f"95 of 100 replacements take less than {shown(1000 * replace_p95)} ms, 95 of 100"
                f" swaps alone {shown(1000 * swap_p95)} ms."
            ),
        ],
        values={
            **cost,
            "scrape_65536_ms": scrape_ms.median,
            "replace_p95_ms": 1000 * replace_p95,
            "swap_p95_ms": 1000 * swap_p95,
            "attach_to_first_count_ms": 1000 * first.median,
            "scrape_s": scrape.as_dict(),
            "replace_s": whole.as_dict(),
            "attach_to_first_count_s": first.as_dict(),
        },
        shortcomings=short,
        kept="Every bound was kept.",
    )


if __name__ == "__main__":
    measure.main()
