"""Commands: bounded in time and output, ended with all that they started, told by their stderr."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from actors.observe.sources import command
from actors.observe.sources.published import CommandSource
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable


def python(code: str) -> tuple[str, ...]:
    return (PYTHON, "-c", code)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _children() -> list[psutil.Process]:
    return psutil.Process(os.getpid()).children()


@pytest.fixture(scope="module", autouse=True)
def before() -> set[int]:
    """Processes that other tests of this process left running, such as servers."""
    return {child.pid for child in _children()}


async def until_gone(pid: int) -> None:
    for _ in range(6000):
        if gone(pid):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")


async def pid_in(path: Path) -> int:
    """The number that a process writes there; nobody tells when."""
    for _ in range(6000):
        written = await asyncio.to_thread(lambda: path.exists() and path.read_text().strip())
        if written:
            return int(written)
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing was written to {path}")


async def test_words_are_words() -> None:
    """No shell expands anything."""
    words = command.split("printf %s '$HOME; * a'")
    assert await command.run(words) == b"$HOME; * a"


async def test_it_has_no_input_and_no_terminal() -> None:
    """So nothing waits for a password."""
    code = (
        "import os, sys; assert sys.stdin.read() == ''; assert os.getsid(0) == os.getpid()\n"
        "try: os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError: print('none')"
    )
    assert await command.run(python(code)) == b"none\n"


async def test_the_end_of_stderr_is_the_reason() -> None:
    """Long and multi-line ones are cut, control characters and secrets are not repeated."""
    code = (
        "import sys; sys.stderr.write('x' * 9000 + '\\n\\x1b[31mPermission denied\\n'"
        " + 'token=abcdef0123456\\n'); sys.exit(255)"
    )
    with pytest.raises(TopologyError) as caught:
        await command.run(python(code))
    said = str(caught.value)
    assert "exit code 255" in said
    assert "Permission denied" in said
    assert "abcdef0123456" not in said
    assert "\x1b" not in said
    assert len(said) < 1000


async def test_what_cannot_be_started_is_said() -> None:
    """With the words of the system."""
    with pytest.raises(TopologyError, match="no such file"):
        await command.run(["/no/such/program"])


async def test_output_on_both_streams_does_not_block() -> None:
    """More than a pipe holds, on both."""
    code = "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000)"
    assert await command.run(python(code)) == b"o" * 300_000


async def test_too_much_output_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused as soon as the bound is passed, not when it has all been read."""
    monkeypatch.setattr(command, "MAX_OUTPUT", 2**20)
    code = "import sys\nwhile True: sys.stdout.write('o' * 65536)"
    with pytest.raises(TopologyError, match="prints more than 1 MiB"):
        await command.run(python(code))


FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({path!r}, "w").write(str(child.pid))
time.sleep(600)
"""


async def test_a_time_out_ends_the_whole_family(tmp_path: Path) -> None:
    """Also a grandchild that ignores its parent's end."""
    path = tmp_path / "pid"
    with pytest.raises(TopologyError, match=r"longer than 1\.5 s"):
        await command.run(python(FAMILY.format(path=str(path))), timeout_s=1.5)
    await until_gone(await pid_in(path))


async def test_being_cancelled_ends_the_whole_family(tmp_path: Path) -> None:
    """Nothing outlives whoever asked."""
    path = tmp_path / "pid"
    task = asyncio.create_task(command.run(python(FAMILY.format(path=str(path)))))
    pid = await pid_in(path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(pid)


async def test_a_command_is_read_in_any_format(tmp_path: Path) -> None:
    """What it prints is told by content, as that of a file is."""
    map_file = tmp_path / "a b.json"
    map_file.write_text(
        '{"nodes": [{"node_id": "a"}, {"node_id": "b"}],'
        ' "links": [{"source": "a", "target": "b", "source_tq": 1, "target_tq": 0.5}]}'
    )
    reading = await CommandSource(f"cat {shlex.quote(str(map_file))}").poll()
    assert len(reading.links) == 1
    assert reading.source.startswith("command:cat ")


async def test_a_command_that_prints_no_map_is_said() -> None:
    """The error names the command."""
    with pytest.raises(TopologyError, match="command:echo hello"):
        await CommandSource("echo hello").poll()


async def test_a_command_that_hides_its_output_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It closes both streams and goes on."""
    monkeypatch.setattr(command, "_GRACE_S", 0.5)
    code = "import os, time; os.close(1); os.close(2); time.sleep(600)"
    with pytest.raises(TopologyError, match="does not end"):
        await command.run(python(code))


def test_the_tests_leave_no_process(before: set[int]) -> None:
    """All of the above have been reaped."""
    after = [child for child in _children() if child.pid not in before]
    assert not [child for child in after if not gone(child.pid)]
