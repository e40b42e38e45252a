"""Runs one command and returns what it prints: `ssh host batctl meshif bat0 neighbors_json`, say.

Bounds: a time, and `MAX_OUTPUT` bytes. The command gets no shell, no input and no terminal, so
nothing asks for a password, and a session of its own: when its time is up, or whoever waits is
cancelled, it ends together with all that it has started.

It runs in a thread with `subprocess`, not with asyncio's, because the loops of actors are not all
of a kind that can watch children.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final, NoReturn

from actors.runtime.errors import InvalidInput
from actors.runtime.redaction import scrub
from actors.topology import fetch
from actors.topology.errors import TopologyError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAX_OUTPUT: Final = fetch.MAX_BYTES
TIMEOUT_S: Final = 30.0
MAX_WORDS: Final = 256
_BEFORE_SECRETS: Final = ("-u", "--user", "-p", "--password", "-H", "--header")  # curl's, sshpass's
_STDERR: Final = 4096  # bytes of stderr that are kept: the last
_SAID: Final = 300  # characters of it that an error repeats
_SHOWN: Final = 80  # characters of a command that are shown
_PIECE: Final = 2**16
_GRACE_S: Final = 5.0  # for a killed process to be gone


def split(command: str) -> tuple[str, ...]:
    """The words of a command line, as a shell would quote them; nothing is expanded.

    Raises:
        InvalidInput: there are none, too many, or a quote is open.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        words, why = (), str(error).lower()
    else:
        why = "there is no command" if not words else f"it has more than {MAX_WORDS} words"
    if not 0 < len(words) <= MAX_WORDS or "\0" in command:
        raise InvalidInput(
            f"cannot run {shown(command) or 'an empty command'}",
            why,
            "Write it as for a shell: command:ssh node batctl meshif bat0 originators_json",
        )
    return words


def shown(command: str) -> str:
    """A command as errors and logs show it: not too long, and without what may be secret."""
    words: list[str] = []
    for word in command.split():
        hidden = bool(words) and words[-1] in _BEFORE_SECRETS
        words.append("..." if hidden else fetch.shown(word))
    text = "".join(c if c.isprintable() else " " for c in scrub(" ".join(words)))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


async def run(argv: Sequence[str], timeout_s: float = TIMEOUT_S) -> bytes:
    """What a command prints on stdout.

    Raises:
        TopologyError: it cannot be started, takes too long, prints too much, or fails; the error
            repeats the end of what it said on stderr.
    """
    child = _Child(argv, timeout_s)
    task = asyncio.ensure_future(asyncio.to_thread(child.run))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        child.end()
        with contextlib.suppress(TopologyError):
            await task
        raise


async def run_each(
    commands: Mapping[str, Sequence[str]], timeout_s: float, optional: Collection[str] = ()
) -> dict[str, bytes]:
    """What several commands print that run at once; those that fail and are optional are absent.

    Raises:
        TopologyError: one that is not optional fails; the others are ended.
    """
    tasks = {name: asyncio.create_task(run(argv, timeout_s)) for name, argv in commands.items()}
    found: dict[str, bytes] = {}
    try:
        for name, task in tasks.items():
            try:
                found[name] = await task
            except TopologyError:
                if name not in optional:
                    raise
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return found


class _Child:
    """One run of a command."""

    def __init__(self, argv: Sequence[str], timeout_s: float) -> None:
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._stderr = b""

    def end(self) -> None:
        """Kill it and all that it has started; from any thread."""
        self._ended = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not reaped yet, so the number is still that of its group.
                os.killpg(process.pid, signal.SIGKILL)

    def run(self) -> bytes:
        """Run it to its end."""
        try:
            self._process = process = subprocess.Popen(  # noqa: S603 - the operator's own words
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._refuse(f"it cannot be started: {(error.strerror or str(error)).lower()}")
        if self._ended:  # cancelled before there was a process to end
            self.end()
        with process:
            try:
                output = self._read(process)
                code = process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._refuse("it has closed its output and does not end")
            finally:
                self.end()
        if code:
            what = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._refuse(f"it ended with {what}")
        return output

    def _read(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None  # noqa: S101 - asked for
        assert process.stderr is not None  # noqa: S101 - asked for
        output = bytearray()
        deadline = time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while selector.get_map():
                left = deadline - time.monotonic()
                ready = selector.select(left) if left > 0 else []
                if left <= 0:
                    self._refuse(f"it takes longer than {self._timeout_s:g} s")
                for key, _ in ready:
                    piece = os.read(key.fd, _PIECE)
                    if not piece:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stdout:
                        output += piece
                    else:
                        self._stderr = (self._stderr + piece)[-_STDERR:]
                if len(output) > MAX_OUTPUT:
                    self._refuse(f"it prints more than {MAX_OUTPUT / 2**20:g} MiB")
        return bytes(output)

    def _refuse(self, why: str) -> NoReturn:
        lines = scrub(self._stderr.decode(errors="replace")).split("\n")
        said = " ".join("".join(c if c.isprintable() else " " for c in " / ".join(lines)).split())
        said = said.strip(" /")[-_SAID:]
        command = shown(shlex.join(self._argv))
        raise TopologyError(
            f"cannot read the output of `{command}`",
            f"{why}, and said: {said}" if said else why,
            "Run it by hand as this user; it must work without a password or a terminal.",
            source=command,
        ) from None
