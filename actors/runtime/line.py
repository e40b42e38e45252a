"""How a process reaches an actor that it talks to all the time: directly, if on one machine.

`to(name)` gives the same line to everything in a process; `serve` opens the other end. An actor
without one, or on another machine, is called through Ray: same methods, same errors.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from actors.runtime import direct, spawn
from actors.runtime.errors import ShardUnavailable

if TYPE_CHECKING:
    from collections.abc import Collection

BIND_S: Final = 10.0  # for a predecessor that is still ending
_RETRY_S: Final = 0.1


class Line:
    """Calls to one actor, see `to`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._address = _address(name)
        self._connecting = asyncio.Lock()
        self._caller: direct.Caller | None = None
        self._handle: Any = None

    async def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - the method's
        """What the actor's method returns or raises.

        Raises:
            ShardUnavailable: the actor is dead or restarting; whether the call ran is then unknown.
            MeshNotRunning: there is no such actor.
        """
        caller = self._caller
        if caller is None or not caller.is_open:
            caller = await self._connect()
        if caller is not None:
            try:
                return await caller.call(method, *arguments)
            except ConnectionError:
                raise ShardUnavailable(self._name) from None
        try:
            self._handle = self._handle or spawn.find(self._name)
            return await getattr(self._handle, method).remote(*arguments)
        except Exception as error:
            self._handle = None  # the actor may have been made anew
            raise spawn.explained(error, self._name) from error

    async def _connect(self) -> direct.Caller | None:
        async with self._connecting:
            if self._caller is None or not self._caller.is_open:
                self._caller = await direct.connect(self._address)
            return self._caller


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Line]] = WeakKeyDictionary()


def to(name: str) -> Line:
    """The line to the actor `name` of this process's cluster and namespace.

    Raises:
        MeshNotRunning: this process is in no cluster.
    """
    lines = _lines.setdefault(asyncio.get_running_loop(), {})
    address = _address(name)
    if address not in lines:
        lines[address] = Line(name)
    return lines[address]


async def serve(name: str, target: object, methods: Collection[str]) -> asyncio.Server:
    """Answer calls of these methods as the actor `name`, which lives in this process.

    Raises:
        OSError: another process answers as this actor, and goes on doing so.
    """
    deadline = asyncio.get_running_loop().time() + BIND_S
    while True:
        try:
            return await direct.serve(_address(name), target, methods)
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_RETRY_S)


def _address(name: str) -> str:
    return direct.address(*spawn.scope(), name)
