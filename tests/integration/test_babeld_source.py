"""The source `babeld` reads the real daemon's own sockets, in network namespaces of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources.babel_sockets import ControlSocket
from actors.observe.sources.babeld import BabelSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from actors.topology.network import NetworkLink, Reading

WAIT_S = 180.0
HELLO_S = 1.0


def _lacking() -> str:
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    missing = [name for name in ("ip", "babeld") if shutil.which(name) is None]
    if missing:
        return f"there is no program {missing[0]}"
    trial = subprocess.run(["ip", "netns", "add", f"x0try{os.getpid()}"], check=False)
    if trial.returncode:
        return "the kernel gives no network namespaces here"
    subprocess.run(["ip", "netns", "del", f"x0try{os.getpid()}"], check=True)
    return ""


class Line:
    """Routers a - b - c, each in a namespace, with a control socket each."""

    names = "abc"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def namespace(self, name: str) -> str:
        return f"x0babel{os.getpid()}{name}"

    def path(self, name: str) -> str:
        return str(self.folder / f"{name}.sock")

    def lay(self, stack: ExitStack) -> None:
        for name in self.names:
            _run("ip", "netns", "add", self.namespace(name))
            stack.callback(_run, "ip", "netns", "del", self.namespace(name))
            self._inside(name, "ip", "link", "set", "lo", "up")
        for one, other in ("ab", "bc"):
            _run(
                *f"ip link add wl{other} netns {self.namespace(one)} type veth peer name wl{one} "
                f"netns {self.namespace(other)}".split()
            )
            self._inside(one, "ip", "link", "set", f"wl{other}", "up")
            self._inside(other, "ip", "link", "set", f"wl{one}", "up")
        self._inside("a", "ip", "addr", "add", "fd00::a/128", "dev", "lo")

    def start(self, name: str) -> None:
        near = {"a": ["wlb"], "b": ["wla", "wlc"], "c": ["wlb"]}[name]
        options = f"-c /dev/null -I {self.folder}/{name}.pid -S {self.folder}/{name}.state -r "
        options += f"-h {HELLO_S:g} -H {HELLO_S:g} -g {self.path(name)}"
        enter = f"ip netns exec {self.namespace(name)}"
        rules = ["-C", "default type wireless", "-C", "redistribute ip fd00::/64 allow"]
        rules += ["-C", "redistribute local deny"]
        (self.folder / f"{name}.sock").unlink(missing_ok=True)
        (self.folder / f"{name}.pid").unlink(missing_ok=True)
        self._daemons[name] = subprocess.Popen(
            [*enter.split(), "babeld", *options.split(), *rules, *near],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / f"{name}.log").open("wb"),
        )

    def kill(self, name: str) -> None:
        """A silent death: no time to retract anything, and the interface stays up."""
        self._daemons[name].kill()
        self._daemons.pop(name).wait()

    def end(self) -> None:
        for name in list(self._daemons):
            self.kill(name)

    def _inside(self, name: str, *command: str) -> None:
        _run("ip", "netns", "exec", self.namespace(name), *command)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=30)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    if why := _lacking():
        pytest.skip(f"needs real babeld in network namespaces: {why}")
    with ExitStack() as stack:
        made = Line(tmp_path)
        made.lay(stack)
        stack.callback(made.end)
        for name in made.names:
            made.start(name)
        yield made


async def seen(source: BabelSource, what: Callable[[Reading], bool]) -> Reading:
    """The first reading that fulfils a condition."""
    began = time.monotonic()
    while True:
        reading = await source.poll()
        if what(reading):
            return reading
        assert time.monotonic() - began < WAIT_S, reading
        await asyncio.sleep(0.1)


def up(reading: Reading) -> set[str]:
    return {link.a + link.b for link in reading.links if link.up}


def link(reading: Reading, name: str) -> NetworkLink:
    return next(each for each in reading.links if each.a + each.b == name)


@pytest.mark.parametrize("monitor", [False, True], ids=["dump", "monitor"])
async def test_real_routers_are_joined_and_a_silent_death_is_seen(
    line: Line, *, monitor: bool
) -> None:
    """Three daemons give one network; one that dies goes down long before babeld gives it up."""
    sockets = [ControlSocket(name, path=line.path(name)) for name in line.names]
    await asyncio.sleep(1.0)
    source = BabelSource(sockets, monitor=monitor)
    try:
        reading = await seen(source, lambda r: up(r) == {"ab", "bc"})
        assert [node.id for node in reading.nodes] == ["a", "b", "c"]
        assert not reading.left_out
        both = link(reading, "ab")
        assert (both.kind, both.metric) == ("wifi", "babel")
        await seen(source, lambda r: link(r, "ab").quality == (1.0, 1.0))

        line.kill("c")
        dead = await seen(source, lambda r: "bc" not in up(r))
        assert {node.id: node.online for node in dead.nodes} == {"a": True, "b": True, "c": False}
        assert any("c" in note and "does not answer" in note for note in dead.notes)
        # babeld itself calls the cost infinite only after a dozen missed Hellos.
        assert max(cost or 0 for cost in link(dead, "bc").cost) < 65_535

        line.start("c")
        back = await seen(source, lambda r: up(r) == {"ab", "bc"})
        assert {node.online for node in back.nodes} == {True}
    finally:
        await source.close()


async def test_routers_that_are_not_asked_are_known_by_what_others_hear(line: Line) -> None:
    """Only b is asked: a, which announces a prefix, is known by its router id, c is left out."""
    source = BabelSource([ControlSocket("b", path=line.path("b"))])
    await asyncio.sleep(1.0)
    try:
        reading = await seen(source, lambda r: len(r.links) == 1 and r.links[0].up)
        names = {node.id for node in reading.nodes}
        assert "b" in names
        assert len(names) == 2
        assert [each.reason for each in reading.left_out] == [
            "neighbours whose router is not known"
        ]
        assert reading.records + reading.implied == (
            len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
        )
    finally:
        await source.close()
