"""The Ray actor that owns XDP on one host: a thin shell around `HostOwner`."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from actors.runtime.shell import ActorShell
from actors.xdp import hosts
from actors.xdp.contract import XDP, XdpContract, xdp_actor
from actors.xdp.host_owner import HostOwner
from actors.xdp.interfaces import LinkChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.runtime.actor_health import ActorHealth
    from actors.runtime.metrics import Metrics
    from actors.xdp.contract import (
        Attached,
        HostStatus,
        KernelCounters,
        Mode,
        Occupant,
        ReceivedTraffic,
        Rules,
        XdpCounters,
        XdpOptions,
    )

P = ParamSpec("P")
T = TypeVar("T")

_SETTLE_S: Final = 0.1  # one look for the many messages that an interface makes


class XdpActor(ActorShell):
    """Attaches programs, follows the interfaces, counts, and alerts.

    When its process ends, however it ends, the kernel detaches what is not pinned.

    Args:
        options: what it is started with.
        metrics: where it counts; None: Ray exports it.
    """

    def __init__(self, options: XdpOptions, *, metrics: Metrics | None = None) -> None:
        super().__init__(
            xdp_actor(options.host), log_level=options.log_level, context=XDP, metrics=metrics
        )
        self._options = options
        self._core = HostOwner(options, self._metrics)
        # One thread, since pyroute2 needs a loop of its own, and the core is for one caller.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=XDP)
        self._changed = asyncio.Event()
        self._waits_for = "the interfaces of its host have not been looked at yet"
        self._begin(self._look(), XdpContract)
        self._vital(self._follow())
        if options.hosts_s:
            self._vital(self._follow_hosts())

    async def _follow(self) -> None:
        """Look again whenever the interfaces change, and now and then."""
        await self._started.wait()
        with contextlib.ExitStack() as heard:
            hears = False
            while True:
                if not hears and not self._core.disabled:
                    heard.enter_context(self._hearing())
                    hears = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.look_s):
                        await self._changed.wait()
                        await asyncio.sleep(_SETTLE_S)
                self._changed.clear()
                await self._look()

    async def _follow_hosts(self) -> None:
        """Start the actors of hosts that join, or whose actor is gone."""
        failed = False
        while True:
            await asyncio.sleep(self._options.hosts_s)
            try:
                for host in await asyncio.to_thread(hosts.complete, XdpActor, self._options):
                    self._log.info("host %s has joined: its actor is started", host)
                failed = False
            except Exception as error:  # noqa: BLE001 - as while Ray's control process restarts
                if not failed:
                    self._errors.handle(error, severity="warning", doing="looking at the hosts")
                failed = True

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[None]:
        """Be told of changes of the interfaces."""
        loop = asyncio.get_running_loop()
        with contextlib.closing(LinkChanges()) as changes:

            def note() -> None:
                changes.drain()
                self._changed.set()

            loop.add_reader(changes.fileno(), note)
            try:
                yield
            finally:
                loop.remove_reader(changes.fileno())

    async def _look(self) -> None:
        for said in await self._done(self._core.look):
            self._log.info(said)

    async def _done(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **named))

    async def health(self) -> ActorHealth:
        """Its health; a host without XDP is no failure, and says why."""
        found = await super().health()
        return replace(found, why=self._core.trouble) if found.state == "ready" else found

    async def status(self) -> HostStatus:
        """See `XdpContract.status`."""
        await self._ready()
        return await self._done(self._core.status)

    async def attach(self, interface: str, mode: Mode, *, pin: bool) -> Attached:
        """See `XdpContract.attach`."""
        await self._ready()
        return await self._done(self._core.attach, interface, mode, pin=pin)

    async def detach(self, interface: str) -> Occupant | None:
        """See `XdpContract.detach`."""
        await self._ready()
        return await self._done(self._core.detach, interface)

    async def replace(self, interface: str) -> Attached:
        """See `XdpContract.replace`."""
        await self._ready()
        return await self._done(self._core.replace, interface)

    async def rules(self, interface: str) -> Rules:
        """See `XdpContract.rules`."""
        await self._ready()
        return await self._done(self._core.rules, interface)

    async def deny(self, interface: str, networks: tuple[str, ...]) -> Rules:
        """See `XdpContract.deny`."""
        await self._ready()
        return await self._done(self._core.deny, interface, networks)

    async def allow(self, interface: str, networks: tuple[str, ...]) -> Rules:
        """See `XdpContract.allow`."""
        await self._ready()
        return await self._done(self._core.allow, interface, networks)

    async def rate_limit(self, interface: str, pps: float | None, burst: int | None) -> Rules:
        """See `XdpContract.rate_limit`."""
        await self._ready()
        return await self._done(self._core.rate_limit, interface, pps, burst)

    async def counters(self, interface: str, top: int) -> XdpCounters | KernelCounters:
        """See `XdpContract.counters`."""
        await self._ready()
        return await self._done(self._core.counters, interface, top)

    async def addresses(self) -> dict[str, tuple[str, ...]]:
        """See `XdpContract.addresses`."""
        await self._ready()
        return await self._done(self._core.addresses)

    async def received(self, interface: str, addresses: tuple[str, ...]) -> ReceivedTraffic:
        """See `XdpContract.received`."""
        await self._ready()
        return await self._done(self._core.received, interface, addresses)


_KEEPS: type[XdpContract] = XdpActor
