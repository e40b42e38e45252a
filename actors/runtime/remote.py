"""The one way to call an actor: typed, with typed errors, over the cheapest transport.

`proxy(Contract, name)` looks like the actor itself: its methods are those of the contract, a
Protocol, so that mypy checks the call. `to(name)` is the untyped `Remote` below it, one for all
in a process. A call goes over the actor's Unix socket where the actor serves one on this machine
(`serve`), else through Ray: same methods, same errors.

Every call ends in an answer or in an `X0Error`: one that the actor raised itself, `NotRunning`,
`ActorUnavailable` (whether the call ran is then unknown), or `ActorFailed`.

Ray is imported when it is first needed: who calls inside `by_sockets` needs no cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from actors.runtime import unix_rpc
from actors.runtime.errors import ActorFailed, ActorUnavailable, NotRunning, X0Error
from actors.runtime.unix_rpc import Disconnected
from actors.runtime.unwaited import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from actors.runtime.unix_rpc import Caller, Listener

C = TypeVar("C")

AVOID: Final = 9.0  # pause after a failed connection, as a multiple of the attempt's duration
_BY_SOCKETS: Final[ContextVar[tuple[str, str] | None]] = ContextVar("_BY_SOCKETS", default=None)


@contextlib.contextmanager
def by_sockets(session: str, namespace: str) -> Iterator[None]:
    """Call actors of another process's cluster on this machine by their sockets, and only so.

    No cluster is joined, and Ray is not imported. An actor that has no socket is `NotRunning`.

    Args:
        session: name of the cluster's Ray session, as of `spawn.scope`.
        namespace: that the actors are in.
    """
    before = _BY_SOCKETS.set((session, namespace))
    try:
        yield
    finally:
        _BY_SOCKETS.reset(before)


class Remote:
    """Calls of one actor, see `to`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket = _socket_name(name)
        self._connecting = asyncio.Lock()
        self._caller: Caller | None = None
        self._avoid_until = 0.0
        self._handle: Any = None

    async def call(
        self,
        method: str,
        *arguments: object,
        timeout_s: float | None = None,
        cancels: bool = False,
        over_ray: bool = False,
        **named: object,
    ) -> Any:  # noqa: ANN401 - the method's
        """Call a method of the actor; return its result or raise its error.

        Args:
            method: name of the method.
            *arguments: positional arguments.
            timeout_s: longest wait for the answer, s; None waits forever.
            cancels: whether to cancel the call at the actor when it is cancelled or times out here.
            over_ray: whether to use Ray in any case; Ray reports the death of an actor.
            **named: keyword arguments.

        Raises:
            ActorUnavailable: the actor is dead, restarting, or did not answer in time.
            NotRunning: there is no such actor.
            ActorFailed: the method raised no `X0Error`.
        """
        try:
            async with asyncio.timeout(timeout_s) as limit:
                caller = None if over_ray else await self._connection()
                if caller is not None:
                    return await caller.call(method, arguments, named, cancels=cancels)
                return await self._call_by_ray(method, arguments, named, cancels=cancels)
        except X0Error:
            raise
        except Disconnected as error:
            raise ActorUnavailable(self._name) from error
        except TimeoutError as error:
            if limit.expired():
                why = f"no answer after {timeout_s:g} s"
                raise ActorUnavailable(self._name, why) from error
            raise ActorFailed(self._name, error) from error
        except Exception as error:
            raise ActorFailed(self._name, error) from error

    async def _call_by_ray(
        self,
        method: str,
        arguments: tuple[object, ...],
        named: dict[str, object],
        *,
        cancels: bool,
    ) -> Any:  # noqa: ANN401 - the method's
        if _BY_SOCKETS.get() is not None:
            raise NotRunning(f"actor {self._name}", why="it has no socket on this machine")
        from actors.runtime import spawn  # noqa: PLC0415 - it imports Ray

        answer = None
        try:
            if self._handle is None:
                # Ray asks the cluster, and imports the actor's class: up to a second.
                self._handle = await in_thread(lambda: spawn.find(self._name))
            answer = getattr(self._handle, method).remote(*arguments, **named)
            return await answer
        except asyncio.CancelledError:
            if cancels and answer is not None:
                spawn.cancel(answer)
            raise
        except Exception as error:
            self._handle = None  # the actor may have been made again
            raise spawn.explained(error, self._name) from error

    async def has_socket(self) -> bool:
        """Whether the actor can be called by its socket now."""
        return await self._connection() is not None

    async def _connection(self) -> Caller | None:
        if self._caller is not None and self._caller.is_open:
            return self._caller
        async with self._connecting:
            if self._caller is not None and self._caller.is_open:
                return self._caller
            began = time.monotonic()
            if began < self._avoid_until:
                return None
            self._caller = await unix_rpc.connect(self._socket)
            if self._caller is None:
                now = time.monotonic()
                self._avoid_until = now + AVOID * (now - began)
            return self._caller


_remotes: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Remote]] = WeakKeyDictionary()


def to(name: str) -> Remote:
    """Calls of the actor `name` of this process's cluster and namespace.

    Raises:
        NotRunning: this process is in no cluster.
    """
    remotes = _remotes.setdefault(asyncio.get_running_loop(), {})
    key = _socket_name(name)
    if key not in remotes:
        remotes[key] = Remote(name)
    return remotes[key]


class _Proxy:
    """Forwards calls of methods; see `proxy`."""

    def __init__(self, contract: type, name: str, how: dict[str, Any]) -> None:
        self._contract = contract
        self._name = name
        self._how: dict[str, Any] = how
        self._loop: asyncio.AbstractEventLoop | None = None
        self._remote: Remote | None = None

    def _target(self) -> Remote:
        loop = asyncio.get_running_loop()
        if self._remote is None or self._loop is not loop:
            self._loop, self._remote = loop, to(self._name)
        return self._remote

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        if not hasattr(self._contract, method):
            raise AttributeError(f"{self._contract.__name__} has no method {method}")

        async def call(*arguments: object, **named: Any) -> Any:  # noqa: ANN401 - the method's
            return await self._target().call(method, *arguments, **self._how, **named)

        self.__dict__[method] = call  # make it only once
        return call


def proxy(
    contract: type[C],
    name: str,
    *,
    timeout_s: float | None = None,
    cancels: bool = False,
    over_ray: bool = False,
) -> C:
    """A typed stand-in for the actor `name` of the cluster that this process has joined.

    Args:
        contract: Protocol of the actor's async methods.
        name: name of the actor.
        timeout_s: longest wait for each answer, s; None waits forever.
        cancels: whether to cancel the call at the actor when it is cancelled or times out here.
        over_ray: whether to use Ray in any case; Ray reports the death of an actor.
    """
    how = {"timeout_s": timeout_s, "cancels": cancels, "over_ray": over_ray}
    return cast("C", _Proxy(contract, name, how))


async def serve(name: str, target: object, contract: type) -> Listener:
    """Answer the methods of a contract as the actor `name`, which lives in this process.

    Raises:
        OSError: no socket can be made; callers then go through Ray.
    """
    methods = [method for method in dir(contract) if not method.startswith("_")]
    return await unix_rpc.serve(_socket_name(name), target, methods)


def _socket_name(name: str) -> str:
    scope = _BY_SOCKETS.get()
    if scope is None:
        from actors.runtime import spawn  # noqa: PLC0415 - it imports Ray

        scope = spawn.scope()
    return unix_rpc.socket_name(*scope, name)
