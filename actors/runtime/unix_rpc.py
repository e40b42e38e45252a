"""Calls of an actor on the same machine that do not go through Ray.

A call of an actor costs Ray much processor time, mostly in handing it from thread to thread,
whatever it carries; over a Unix socket it costs a small part of that (`python -m loadtests.calls`
measures both). Actors that are called all the time therefore answer the same methods here too.
Callers on other machines, and all other calls, go through Ray.

Sockets lie in a directory of this user alone (mode 0700), so that no other user can listen in an
actor's place. Frames hold pickles (see `packing`), so both ends talk only to processes of their own
user, which the kernel vouches for as well (SO_PEERCRED, unix(7)). Whatever prevents a connection is
no error: the call then goes through Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import itertools
import os
import socket
import stat
import struct
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from actors.runtime import log, packing
from actors.runtime.packing import BadFrame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

LARGEST: Final = 256 * 2**20  # most bytes of one frame
MOST_CALLS: Final = 1024  # most calls under way on one connection
CONNECT_S: Final = 1.0  # longest wait for a listener whose queue is full
LOCK_S: Final = 1.0  # longest wait for the lock of the directory
WARN_S: Final = 60.0  # least time between two warnings about other users
_BACKLOG: Final = 128
_RETRY_S: Final = 0.02
_CREDENTIALS: Final = struct.Struct("=iII")  # pid, uid, gid
_NO_MEMORY: Final = memoryview(b"")

_log = log.get(__name__)


def directories() -> tuple[Path, ...]:
    """Where sockets may lie, the preferred directory first.

    The first outlives a log-out; the second cannot be taken by another user who was quicker.
    """
    user = os.geteuid()
    return Path(f"/tmp/x0tta6bl4-{user}"), Path(f"/run/user/{user}/x0tta6bl4")  # noqa: S108 - checked


def socket_name(*scope: str) -> str:
    """The file name of the socket of whatever `scope` names, the same in every process."""
    return hashlib.sha256("\0".join(scope).encode()).hexdigest()[:40]


def _is_private(directory: Path) -> bool:
    """Tell whether `directory` is one, and only this user can enter it."""
    try:
        found = directory.lstat()
    except OSError:
        return False
    own = found.st_uid == os.geteuid()
    return stat.S_ISDIR(found.st_mode) and own and stat.S_IMODE(found.st_mode) == 0o700


def usable_directory() -> Path:
    """The first directory that is private to this user; made if it does not exist.

    Raises:
        OSError: there is none.
    """
    for directory in directories():
        with contextlib.suppress(OSError):
            directory.mkdir(mode=0o700)
        if _is_private(directory):
            return directory
    named = " or ".join(str(directory) for directory in directories())
    raise PermissionError(f"no directory that is this user's alone: {named}")


class _Warnings:
    """Limits the rate of warnings about other users, so that they cannot fill the log."""

    def __init__(self) -> None:
        self._last = -WARN_S

    def stranger(self, user: int) -> None:
        now = time.monotonic()
        if now - self._last >= WARN_S:
            self._last = now
            _log.warning("a process of another user was refused", user=user)


_warnings = _Warnings()


def _is_own(peer: socket.socket) -> bool:
    """Tell whether the other end of a connection belongs to this user; warn if not."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(raw)
    if user != os.geteuid():
        _warnings.stranger(user)
    return bool(user == os.geteuid())


def _buffer(size: int) -> memoryview:
    """Memory for a frame; unlike a bytearray, an array is not set to zero before."""
    numpy = sys.modules.get("numpy")  # slow to import; who calls much has it
    if numpy is None:
        return memoryview(bytearray(size))
    found: memoryview = numpy.empty(size, numpy.uint8).data
    return found


class _Frames(asyncio.BufferedProtocol, ABC):
    """One end of a connection, which sends and receives whole values."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._prefix = memoryview(bytearray(packing.PREFIX.size))
        self._rest = _NO_MEMORY  # unread part of the present frame; empty while reading a prefix
        self._parts = 0
        self._filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse other users."""
        stream = cast("asyncio.Transport", transport)  # a stream socket has this kind
        if _is_own(stream.get_extra_info("socket")):
            self._transport = stream
        else:
            stream.abort()

    def get_buffer(self, _hint: int) -> memoryview:
        """The buffer for the next bytes: the frame itself."""
        return (self._rest or self._prefix)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """Receive bytes, and process the frame when it is complete."""
        self._filled += count
        if self._transport is None or self._filled < len(self._rest or self._prefix):
            return
        self._filled = 0
        try:
            if not self._rest:
                size, self._parts = packing.parse_prefix(self._prefix, LARGEST)
                self._rest = _buffer(size)
                return
            rest, self._rest = self._rest, _NO_MEMORY
            self.take(packing.unpack(rest, self._parts))
        except BadFrame as error:
            _log.warning("a connection is closed", error=str(error))
            self._transport.abort()

    def put(self, value: object) -> None:
        """Send a value, if the connection is open."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(packing.pack(value))

    @abstractmethod
    def take(self, value: Any) -> None:  # noqa: ANN401 - whatever the other end sent
        """Process a received value."""

    def connection_lost(self, _error: Exception | None) -> None:
        """Note that the connection is closed."""
        self._transport = None


class _Serving(_Frames):
    """Answers the calls of one client."""

    def __init__(self, target: object, methods: Collection[str]) -> None:
        super().__init__()
        self._target = target
        self._methods = methods
        self._calls: dict[int, asyncio.Task[None]] = {}

    def take(self, value: Any) -> None:  # noqa: ANN401 - as above
        """Begin a call, or cancel one as its caller asks."""
        if isinstance(value, int):
            if value in self._calls:
                self._calls[value].cancel()
            return
        try:
            number, method, arguments, named = value
            if method not in self._methods or len(self._calls) >= MOST_CALLS:
                raise BadFrame(f"call {number} of {method!r} is refused")
            call = asyncio.get_running_loop().create_task(
                self._answer(number, method, arguments, named)
            )
            self._calls[number] = call
        except (TypeError, ValueError) as error:
            raise BadFrame("it is no call") from error
        call.add_done_callback(lambda _: self._calls.pop(number, None))

    async def _answer(
        self, number: int, method: str, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> None:
        try:
            result = await getattr(self._target, method)(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.put((number, False, error))
        else:
            self.put((number, True, result))

    def pause_writing(self) -> None:
        """Stop reading calls while the client does not read its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Continue when the client reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Cancel the open calls of the client."""
        super().connection_lost(error)
        for call in self._calls.values():
            call.cancel()


class Listener:
    """A socket that answers calls, see `serve`."""

    def __init__(self, path: Path, server: asyncio.Server) -> None:
        self._path = path
        self._file = path.stat().st_ino
        self._server = server

    def close(self) -> None:
        """Accept no more connections."""
        self._server.close()
        with contextlib.suppress(OSError):
            if self._path.stat().st_ino == self._file:  # otherwise a successor listens there
                self._path.unlink()


async def serve(name: str, target: object, methods: Collection[str]) -> Listener:
    """Answer calls of these async methods of `target` at a socket of this name.

    A former listener is replaced: Ray has one actor of a name, and it is the newest.

    Raises:
        OSError: no socket can be made, for example since the directory is another user's.
    """
    listening, path = await asyncio.to_thread(_listen, name)
    try:
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Serving(target, methods), sock=listening
        )
    except BaseException:
        listening.close()
        raise
    return Listener(path, server)


def _listen(name: str) -> tuple[socket.socket, Path]:
    directory = usable_directory()
    path = directory / name
    beside = directory / f"{name[:8]}.{os.getpid()}"
    with _locked(directory):
        _remove_stale(directory)
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(beside))
            listening.listen(_BACKLOG)
            beside.replace(path)
        except BaseException:
            listening.close()
            beside.unlink(missing_ok=True)
            raise
    return listening, path


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of the directory, so that nobody removes a socket before it listens."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(directory: Path) -> None:
    """Remove the sockets of processes that have ended."""
    for path in directory.iterdir():
        if path.is_socket():
            with socket.socket(socket.AF_UNIX) as asking:
                asking.setblocking(False)  # noqa: FBT003 - its name for it
                try:
                    asking.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue  # such as a full queue: somebody listens


class Disconnected(ConnectionResetError):  # noqa: N818 - said of the actor
    """The connection to the actor has ended."""


class Caller(_Frames):
    """A connection to an actor, see `connect`."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._transport is not None and not self._transport.is_closing()

    async def call(
        self,
        method: str,
        arguments: tuple[object, ...] = (),
        named: Mapping[str, object] | None = None,
        *,
        cancels: bool = False,
    ) -> Any:  # noqa: ANN401 - the method's
        """Call a method; return its result or raise its error.

        Args:
            method: name of a method that the actor offers.
            arguments: positional arguments.
            named: keyword arguments.
            cancels: whether to cancel the call at the actor when its caller stops waiting.

        Raises:
            Disconnected: the connection has ended; whether the call ran is then unknown.
        """
        if not self.is_open:
            raise Disconnected("the actor has gone")
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self.put((number, method, arguments, named or {}))
            return await answer
        except asyncio.CancelledError:
            if cancels:
                self.put(number)
            raise
        finally:
            del self._waiting[number]

    def take(self, value: Any) -> None:  # noqa: ANN401 - as above
        """Pass an answer to its caller, unless the caller has stopped waiting."""
        number, good, result = value
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            if good:
                answer.set_result(result)
            else:
                answer.set_exception(result)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail all open calls."""
        super().connection_lost(error)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Disconnected("the actor has gone"))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


async def connect(name: str) -> Caller | None:
    """A connection to the socket of this name; None without one within `CONNECT_S`.

    Never blocks the event loop: a Unix socket connects at once or not at all.
    """
    for directory in directories():
        if not _is_private(directory):
            continue
        calling = socket.socket(socket.AF_UNIX)
        try:
            calling.setblocking(False)  # noqa: FBT003 - its name for it
            if await _connected(calling, str(directory / name)) and _is_own(calling):
                _, caller = await asyncio.get_running_loop().create_unix_connection(
                    Caller, sock=calling
                )
                return caller
        except BaseException:
            calling.close()
            raise
        calling.close()
    return None


async def _connected(calling: socket.socket, path: str) -> bool:
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            calling.connect(path)
        except BlockingIOError:  # the queue of the listener is full
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_RETRY_S)
        except OSError:  # nobody listens
            return False
        else:
            return True
