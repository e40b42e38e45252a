"""bcc compiles the same program on this host: it judges and counts alike, in the same tables."""

from __future__ import annotations

import itertools
import os
import platform
import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.xdp import attachment, bcc_backend, counters, interfaces, layout, rules
from actors.xdp.contract import Backend, Mode
from actors.xdp.errors import XdpUnavailable
from actors.xdp.libbpf import objects
from actors.xdp.libbpf.library import BpfError
from actors.xdp.program import Program
from tests.kernel import xdp_frames as frames
from tests.kernel import xdp_net

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.xdp.attachment import Host

HEADERS = Path("/usr/src")
FRAMES, SOME = 5000, 1000  # some: of which all samples have room
XDP_PASS = 2


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A namespace with x0a joined to y0a, where bcc is; skip where it is not, or has no headers."""
    trial = [bcc_backend.PYTHON, "-I", "-c", "from bcc import BPF"]
    if (
        not Path(bcc_backend.PYTHON).exists()
        or subprocess.run(trial, capture_output=True, check=False).returncode
    ):
        pytest.skip("there is no bcc (Debian: python3-bpfcc)")
    place = tmp_path_factory.mktemp("bpf")
    with pytest.MonkeyPatch.context() as patched:
        if not Path(f"/lib/modules/{platform.release()}/build").exists():
            patched.setenv("BCC_KERNEL_SOURCE", str(merged(tmp_path_factory.mktemp("headers"))))
        with xdp_net.host(place, x0a=1500) as made:
            yield replace(made, backend=Backend.BCC)


def merged(place: Path) -> Path:
    """Headers of whatever kernel Debian has, the common ones and those of this kind of machine."""
    own = [one.parents[1] for one in sorted(HEADERS.glob("linux-headers-*/include/generated"))]
    if not own:
        pytest.skip("there are no headers of any kernel (Debian: linux-headers-amd64)")
    common = own[-1].with_name(f"{own[-1].name.rpartition('-')[0]}-common")
    for part in (common / "include", common / "arch", own[-1] / "include", own[-1] / "arch"):
        shutil.copytree(part, place / part.name, dirs_exist_ok=True, copy_function=_linked)
    return place


def _linked(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    Path(target).symlink_to(source)


@pytest.fixture
def both(host: Host) -> Iterator[tuple[Program, Program]]:
    """What is shipped, and what bcc makes of the source; they deny and sample alike."""
    made = Program.load(), Program.load(backend=host.backend)
    for program in made:
        rules.deny(program, *map(rules.network, ("198.51.100.0/24", "2001:db8:bad::/48")))
        rules.sample(program, 1)
    yield made
    for program in made:
        program.close()


def test_what_bcc_compiles_judges_as_the_shipped_object(both: tuple[Program, Program]) -> None:
    """The same verdict and sample of each of many frames, and in the end the same tables."""
    assert both[0].info.tag != both[1].info.tag  # another compiler made it
    every = frames.fuzzed(random.Random(3))
    for _ in range(FRAMES // SOME):
        some = list(itertools.islice(every, SOME))
        for frame in some:
            shipped, own = (objects.try_frame(program.fd, frame)[0] for program in both)
            assert shipped == own, frame.hex()
        for frame, was, now in zip(some, *map(counters.samples, both), strict=True):
            assert replace(now, at_ns=was.at_ns) == was, frame.hex()
    found = [counters.counters(program, "none", FRAMES) for program in both]
    assert found[0].actions == found[1].actions
    assert min(tally.packets for name, tally in found[0].actions.items() if name != "limited") > 100
    flows = [
        {replace(one, gaps=()) for one in counted.flows}  # that depend on the clock
        for counted in found
    ]
    assert flows[0] == flows[1]
    assert len(flows[0]) > 100


def test_it_limits_and_counts_gaps_as_the_shipped_object(both: tuple[Program, Program]) -> None:
    """A source has its burst, and no more until much later."""
    for program in both:
        with xdp_net.on_cpu(min(os.sched_getaffinity(0))):
            objects.try_frame(program.fd, frames.datagram("203.0.113.7"), 400)
            rules.limit(program, rules.LEAST_PPS, burst=5)
            objects.try_frame(program.fd, frames.datagram("203.0.113.8"), 100)
        totals = counters.totals(program)
        assert (totals["passed"].packets, totals["limited"].packets) == (405, 95)
        (most, least) = counters.counters(program, "none").flows
        assert (most.packets, least.packets) == (400, 5)
        # Each of the first 16 packets after the first, and then one in sixteen.
        assert (sum(most.gaps), sum(least.gaps)) == (15 + 24, 4)


def test_it_is_compiled_for_drivers_without_fragments_too(host: Host) -> None:
    """Which is another program of the source."""
    program = Program.load(frags=False, backend=host.backend)
    assert (program.info.name, program.frags) == (layout.PROGRAM_LINEAR, False)
    assert objects.try_frame(program.fd, frames.datagram("203.0.113.7"))[0] == XDP_PASS
    program.close()


def test_why_the_kernel_refuses_instructions_is_told(host: Host) -> None:
    """In the verifier's words."""
    del host
    leave = bytes.fromhex("9500000000000000")
    with pytest.raises(BpfError) as caught:
        objects.load_code("x0_mesh", leave, frags=True)
    assert caught.value.said.splitlines()[-1] == "R0 !read_ok"


def test_it_is_attached_and_replaced_by_the_same_owner(host: Host) -> None:
    """In the driver, for packets in several buffers; its tables go on in the shipped program."""
    made = attachment.attach(host, "x0a")
    assert (made.attached.mode, made.attached.frags) == (Mode.DRV, True)
    assert made.program.info.name == layout.PROGRAM
    rules.deny(made.program, rules.network("192.0.2.0/24"))
    xdp_net.send("y0a", [frames.datagram("192.0.2.1"), frames.datagram("8.8.8.8")], made.program)
    for backend in (Backend.LIBBPF, Backend.BCC):
        attachment.replaced(replace(host, backend=backend), "x0a")
        program = attachment.opened("x0a")
        xdp_net.send("y0a", [frames.datagram("192.0.2.1")], program)
        program.close()
    totals = counters.totals(made.program)
    assert (totals["denied"].packets, totals["passed"].packets) == (3, 1)
    made.close()
    xdp_net.wait_for(lambda: not interfaces.interface("x0a").programs, "it is detached")


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ("headers", "Unable to find kernel headers", "apt-get install .*linux-headers"),
        ("module", "No module named 'bcc'", "apt-get install python3-bpfcc"),
        ("python", "bcc cannot be run", "apt-get install python3-bpfcc"),
        ("wrong", "error: unknown type name 'this'", "Correct mesh.bpf.c"),
        ("absent", "the source of the program cannot be read", "in a checkout"),
    ],
)
def test_what_is_missing_is_named(
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    said: str,
    remedy: str,
) -> None:
    """With what to do; nothing stays open or attached, and the shipped object is not taken."""
    source = tmp_path / "mesh.bpf.c"
    if change != "absent":
        source.write_text("this is wrong;" if change == "wrong" else "int x0_mesh;")
    monkeypatch.setattr(bcc_backend, "SOURCE", source)
    if change == "headers":
        monkeypatch.setenv("BCC_KERNEL_SOURCE", str(tmp_path / "none"))
    if change == "module":  # a Python that has no packages of the system
        python = tmp_path / "python"
        python.write_text('#!/bin/sh\nexec /usr/bin/python3 -S "$@"\n')
        python.chmod(0o700)
        monkeypatch.setattr(bcc_backend, "PYTHON", str(python))
    if change == "python":
        monkeypatch.setattr(bcc_backend, "PYTHON", str(tmp_path / "none"))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(XdpUnavailable, match=re.escape(said)) as caught:
        attachment.attach(host, "x0a")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert re.search(remedy, caught.value.remedy)
    assert "X0TTA6BL4_XDP_BACKEND=libbpf" in caught.value.remedy
    assert not interfaces.interface("x0a").programs
