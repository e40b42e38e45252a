"""Calls to an actor on the same machine that do not go through Ray.

A call of an actor costs Ray much processor time, mostly in handing it from thread to thread,
whatever it carries; over a Unix socket it costs a small part of that (`python -m loadtests.calls`
measures both). Actors that talk all the time therefore answer the same methods here too. Callers on
other machines, and all other calls, go through Ray.

Addresses are in Linux's abstract namespace: they are gone with the process that listens, however it
ends. Frames hold pickles (see `packing`), so both ends talk only to processes of their own user,
which the kernel vouches for (SO_PEERCRED, unix(7)).
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import socket
import struct
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from actors.runtime import log, packing
from actors.runtime.packing import BadFrame

if TYPE_CHECKING:
    from collections.abc import Collection

LARGEST: Final = 256 * 2**20  # bytes of one frame
MOST_CALLS: Final = 1024  # under way on one connection
_CREDENTIALS: Final = struct.Struct("=iII")  # pid, uid, gid
_NO_MEMORY: Final = memoryview(b"")

_log = log.get(__name__)


def address(*scope: str) -> str:
    """The address of whatever `scope` names: the same in every process of this machine."""
    digest = hashlib.sha256("\0".join(scope).encode()).hexdigest()
    return f"\0x0tta6bl4-{digest[:40]}"


class _Frames(asyncio.BufferedProtocol, ABC):
    """One end of a connection: whole values in and out."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._prefix = memoryview(bytearray(packing.PREFIX.size))
        self._rest = _NO_MEMORY  # of the frame that is coming, empty while its prefix is
        self._parts = 0
        self._filled = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse other users."""
        stream = cast("asyncio.Transport", transport)  # that of a stream socket
        peer = stream.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(raw)
        if user != os.geteuid():
            _log.warning("a process of another user was refused", user=user)
            stream.abort()
        else:
            self._transport = stream

    def get_buffer(self, _hint: int) -> memoryview:
        """Where the next bytes are to go: into the frame itself."""
        return (self._rest or self._prefix)[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """Take in bytes, and act on the frame once it is whole."""
        self._filled += count
        if self._transport is None or self._filled < len(self._rest or self._prefix):
            return
        self._filled = 0
        try:
            if not self._rest:
                size, self._parts = packing.parse_prefix(self._prefix, LARGEST)
                self._rest = np.empty(size, np.uint8).data  # not cleared, unlike a bytearray
                return
            rest, self._rest = self._rest, _NO_MEMORY
            self.take(packing.unpack(rest, self._parts))
        except BadFrame as error:
            _log.warning("a connection is closed", error=str(error))
            self._transport.abort()

    def put(self, value: object) -> None:
        """Send a value, if anybody is there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(packing.pack(value))

    @abstractmethod
    def take(self, value: Any) -> None:  # noqa: ANN401 - whatever the other end sent
        """Act on a value."""

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody is there any more."""
        self._transport = None


class _Serving(_Frames):
    """Answers the calls of one client."""

    def __init__(self, target: object, methods: Collection[str]) -> None:
        super().__init__()
        self._target = target
        self._methods = methods
        self._calls: set[asyncio.Task[None]] = set()

    def take(self, value: Any) -> None:  # noqa: ANN401 - as above
        """Begin a call."""
        try:
            number, method, arguments = value
            if method not in self._methods or len(self._calls) >= MOST_CALLS:
                raise BadFrame(f"call {number} of {method!r} is refused")
        except (TypeError, ValueError) as error:
            raise BadFrame("it is no call") from error
        call = asyncio.get_running_loop().create_task(self._answer(number, method, arguments))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _answer(self, number: int, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            result = await getattr(self._target, method)(*arguments)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.put((number, False, error))
        else:
            self.put((number, True, result))

    def pause_writing(self) -> None:
        """The client does not read: do not read its calls either."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """End the calls that nobody waits for."""
        super().connection_lost(error)
        for call in self._calls:
            call.cancel()


async def serve(where: str, target: object, methods: Collection[str]) -> asyncio.Server:
    """Answer calls of these async methods of `target` at an address.

    Raises:
        OSError: something listens there already.
    """
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(where)  # here, since not every event loop knows abstract addresses
        return await asyncio.get_running_loop().create_unix_server(
            lambda: _Serving(target, methods), sock=listening
        )
    except BaseException:
        listening.close()
        raise


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

    async def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - the method's
        """What the method returns or raises.

        Raises:
            ConnectionError: the actor has gone; whether the call ran is then unknown.
        """
        if not self.is_open:
            raise ConnectionResetError("the actor has gone")
        number = next(self._numbers)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self.put((number, method, arguments))
            return await answer
        finally:
            del self._waiting[number]

    def take(self, value: Any) -> None:  # noqa: ANN401 - as above
        """Pass an answer on, unless its caller waits no longer."""
        number, good, result = value
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            if good:
                answer.set_result(result)
            else:
                answer.set_exception(result)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell all callers."""
        super().connection_lost(error)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the actor has gone"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


async def connect(where: str) -> Caller | None:
    """A connection to the actor at an address of this machine; None if there is none."""
    calling = socket.socket(socket.AF_UNIX)
    try:
        calling.connect(where)  # at once or not at all, so that it needs no event loop
        _, caller = await asyncio.get_running_loop().create_unix_connection(Caller, sock=calling)
    except ConnectionRefusedError:
        calling.close()
        return None
    return caller
