"""Where XDP cannot be used, the first thing that is missing is named, and how to get it."""

from __future__ import annotations

import asyncio
import errno
import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import uvloop
from typer.testing import CliRunner

from actors.xdp import interfaces, preflight
from actors.xdp.libbpf import library, objects
from actors.xdp.libbpf.library import BpfError
from actors.xdp.negotiation import Features
from actors.xdp.preflight import Facts, facts, judge
from jobs.cli import app

if TYPE_CHECKING:
    from actors.xdp.errors import XdpUnavailable

BPFFS = Path("/sys/fs/bpf")
ALL = frozenset(preflight.CAPABILITIES)
WELL = Facts("Linux", "6.1.0-13-amd64", ALL, "", "", bpffs=True)


def judged(**changes: object) -> XdpUnavailable:
    found = judge(replace(WELL, **changes), BPFFS, pin=True)  # type: ignore[arg-type]  # of this class
    assert found is not None
    return found


def test_where_nothing_is_missing_nothing_is_said() -> None:
    """Root, or a service with the three capabilities; pins are asked for only where wanted."""
    assert judge(WELL, BPFFS, pin=True) is None
    service = frozenset({"CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"})
    assert judge(replace(WELL, capabilities=service, bpffs=False), BPFFS, pin=False) is None
    older = frozenset({"CAP_NET_ADMIN", "CAP_SYS_ADMIN"})
    assert judge(replace(WELL, capabilities=older), BPFFS, pin=True) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"system": "Darwin"}, "this is Darwin, and XDP is a part of Linux"),
        ({"release": "5.15.0-91-generic"}, "Linux 5.15.0-91-generic is too old"),
        ({"release": "odd"}, "too old"),
        ({"library": "no such file"}, "apt-get install libbpf1"),
        ({"refused": "[Errno 1] Operation not permitted"}, "outside of a container"),
        ({"bpffs": False}, "mount -t bpf bpf /sys/fs/bpf"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], said: str) -> None:
    """With the action that helps; no capability is then named."""
    found = judged(**changes)
    assert said in str(found)
    assert found.missing_caps == ()


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (frozenset(), ("CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF")),
        (ALL - {"CAP_NET_ADMIN"}, ("CAP_NET_ADMIN",)),
        (ALL - {"CAP_SYS_ADMIN", "CAP_BPF"}, ("CAP_BPF",)),
        (ALL - {"CAP_SYS_ADMIN", "CAP_PERFMON"}, ("CAP_PERFMON",)),
    ],
)
def test_missing_capabilities_are_named(held: frozenset[str], missing: tuple[str, ...]) -> None:
    """In the message and in the error, which crosses processes."""
    found = judged(capabilities=held)
    assert found.missing_caps == missing
    assert f"this process lacks {', '.join(missing)}" in str(found)
    back = pickle.loads(pickle.dumps(found))  # noqa: S301 - made here
    assert (back.missing_caps, back.reason, str(back)) == (missing, found.reason, str(found))


def test_this_host_is_looked_at() -> None:
    """Whatever it is, an answer comes of it, and a directory is no BPF file system."""
    found = facts(Path("/"))
    assert found.system
    assert not found.bpffs
    assert found.capabilities <= ALL


def test_a_kernel_that_takes_no_program_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, whose capabilities count for nothing."""

    def refuse() -> NoReturn:
        raise BpfError(errno.EPERM, "no program")

    monkeypatch.setattr(objects, "load_pass", refuse)
    monkeypatch.setattr(preflight, "library", lambda: None)
    assert "Operation not permitted" in facts(BPFFS).refused


def test_without_the_library_the_kernel_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader's own words are repeated."""
    monkeypatch.setattr(library, "SONAME", "libbpf.so.0.none")
    library.library.cache_clear()
    try:
        found = facts(BPFFS)
    finally:
        monkeypatch.undo()
        library.library.cache_clear()
    if found.system == "Linux":
        assert "libbpf.so.0.none" in found.library
    assert found.refused == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["attach", "-i", "en0"],
        ["attach", "-i", "en0", "--pin"],
        ["detach", "-i", "en0"],
        ["replace", "-i", "en0"],
        ["status"],
        ["counters", "-i", "en0"],
        ["deny", "add", "-i", "en0", "192.0.2.1"],
        ["rate-limit", "-i", "en0", "--off"],
    ],
)
def test_elsewhere_than_on_linux_each_command_says_so(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit code 4, nothing else."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    done = CliRunner().invoke(app, ["xdp", *arguments])
    assert done.exit_code == 4
    assert done.stdout == ""
    assert done.stderr == (
        "error: XDP cannot be used here: this is Darwin, and XDP is a part of Linux. "
        "Run this on a Linux host.\n"
    )


def test_interfaces_are_read_beside_an_event_loop_that_knows_no_netlink() -> None:
    """Ray's workers run uvloop: reading in another thread works, and lo is always there."""

    async def read() -> tuple[str, ...]:
        found = await asyncio.to_thread(interfaces.interfaces)
        stated = await asyncio.to_thread(interfaces.features, found[0].index)
        assert stated in {None, Features(0)}  # of loopback
        return tuple(one.name for one in found)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        before = asyncio.get_event_loop_policy()
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        try:
            assert "lo" in runner.run(read())
        finally:
            asyncio.set_event_loop_policy(before)
