"""A network namespace with pairs of interfaces, in which this thread then is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.xdp import attachment, counters, preflight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.xdp.attachment import Host
    from actors.xdp.program import Program

BURST = 100  # frames; a veth pair takes 256 before it drops
LONG_S = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    until = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < until, f"in {LONG_S:g} s not: {what}"
        time.sleep(0.002)


def ip(*commands: str) -> None:
    """Have `ip` carry out commands in the namespace of this thread."""
    text = "\n".join(commands)
    subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True, capture_output=True)


def setns(path: str) -> None:
    """Bring this thread into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def namespace() -> Iterator[str]:
    """Bring this thread into a new network namespace, without IPv6 that talks by itself."""
    name = f"x0xdp{secrets.token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        setns(f"/run/netns/{name}")
        for which in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")
        yield name
    finally:
        setns(f"/proc/self/fd/{before}")
        os.close(before)
        subprocess.run(["ip", "netns", "del", name], check=True)


def pair(near: str, far: str, mtu: int = 1500) -> None:
    """Make two interfaces that are joined, and switch them on."""
    ip(
        f"link add name {near} mtu {mtu} type veth peer name {far} mtu {mtu}",
        f"link set {near} arp off up",
        f"link set {far} arp off up",
    )


@contextlib.contextmanager
def host(place: Path, **mtus: int) -> Iterator[Host]:
    """Bring this thread into a network of its own, in which XDP can be used; skip where it cannot.

    Args:
        place: where a BPF file system for pins is mounted.
        mtus: MTU of pairs of interfaces, by the name of one: that of x0a is y0a.
    """
    found = preflight.facts(attachment.BPFFS)
    if (why := preflight.judge(found, attachment.BPFFS, pin=False)) is not None:
        pytest.skip(str(why))
    subprocess.run(["mount", "-t", "bpf", "bpf", str(place)], check=True)
    try:
        with namespace():
            for near, mtu in mtus.items():
                pair(near, f"y{near[1:]}", mtu)
            yield attachment.Host(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextlib.contextmanager
def wire(interface: str) -> Iterator[socket.socket]:
    """Send frames out of an interface, to be received by the other of the pair."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as opened:
        opened.bind((interface, 0))
        yield opened


def counted(program: Program) -> int:
    """Packets that the program has seen."""
    return sum(tally.packets for tally in counters.totals(program).values())


def send(far: str, frames: list[bytes], program: Program) -> None:
    """Send frames no faster than the program sees them, so that none is lost before it."""
    seen = counted(program)
    with wire(far) as opened:
        for at in range(0, len(frames), BURST):
            some = frames[at : at + BURST]
            for frame in some:
                opened.send(frame)
            seen += len(some)
            wait_for(lambda: counted(program) >= seen, "all frames are seen")  # noqa: B023


@contextlib.contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """Have this thread run there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
