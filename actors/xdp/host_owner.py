"""Owns XDP on this host while no other process does: the core of its actor, without Ray or loop.

All is called by one thread, which is that of no event loop. What a host cannot do, and that another
process owns it, is no failure: it is `disabled`, and looked at again each time.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from actors.runtime.errors import Conflict, X0Error
from actors.runtime.state_files import exclusive_lock
from actors.xdp import attachment, counters, interfaces, preflight, received, rules
from actors.xdp.attachment import Host
from actors.xdp.contract import HostStatus, xdp_actor
from actors.xdp.errors import NotAttached, XdpUnavailable
from actors.xdp.exported import TOP_PEERS, Exported
from actors.xdp.host_alerts import HostAlerts
from actors.xdp.kept_wishes import WishFile
from actors.xdp.owner import Owner
from actors.xdp.reconciliation import Wish
from actors.xdp.wish_keeper import WishKeeper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actors.runtime.metrics import Metrics
    from actors.xdp.contract import (
        Attached,
        KernelCounters,
        Mode,
        Occupant,
        ReceivedTraffic,
        Rules,
        XdpCounters,
        XdpOptions,
    )
    from actors.xdp.program import Program


class HostOwner:
    """The one owner of XDP on this host and in this network namespace.

    Args:
        options: what it is started with.
        metrics: where it counts.
    """

    def __init__(self, options: XdpOptions, metrics: Metrics) -> None:
        self._host = Host(Path(options.bpffs), options.backend)
        self._wishes = {name: Wish(options.mode, options.pin) for name in options.interfaces}
        self._exported = Exported(metrics)
        self._alerts = HostAlerts(options.host)
        self._owned = contextlib.ExitStack()
        self._owner: Owner | None = None
        self._told: set[str] = set()  # interfaces that Prometheus knows of
        self._unavailable = XdpUnavailable("it has not been looked at yet", "Ask again.")
        self._keeper: WishKeeper | None = None
        self._unsaid: list[str] = []
        self._session = options.session
        self._path = Path(options.state_dir) / f"{xdp_actor(options.host)}.json"

    @property
    def disabled(self) -> str:
        """Why nothing is owned; "" where it is."""
        return "" if self._owner is not None else self._unavailable.reason

    @property
    def trouble(self) -> str:
        """What is not as it should be, for people; "" if nothing is."""
        owner = self._owner
        if owner is None:
            return f"disabled ({self._unavailable.reason})"
        lacking = [
            f"{name} is {one.state} ({one.reason})"
            for name, one in tuple(owner.states.items())  # asked by another thread
            if one.state != "attached"
        ]
        if self._keeper is not None and self._keeper.trouble:
            lacking.append(f"after a crash nothing is attached again ({self._keeper.trouble})")
        return "; ".join(lacking)

    def close(self) -> None:
        """Let go of all: what is not pinned is detached."""
        self._owned.close()
        self._owner = None

    # -- looking -----------------------------------------------------------------------------------

    def look(self) -> tuple[str, ...]:
        """Bring what is into line with what is wished, and count; what has changed, a line each."""
        said, self._unsaid = self._unsaid, []
        if self._owner is None:
            before = self._unavailable.reason
            said += self._take()
            if self._owner is None:
                self._exported.enabled(value=False)
                why = self._unavailable.reason
                return (f"XDP is disabled: {why}",) if why != before else ()
        self._exported.enabled(value=True)
        said += self._owner.look()
        now = time.time()
        if self._keeper is not None:
            said += self._keeper.compare(self._owner.states, now)
        said += self._keep(self._owner)
        self._alerts.note(self._owner.states, now)
        for name in self._told | self._owner.states.keys():
            self._exported.attachment(name, self._owner.states.get(name))
            self._told.add(name)
        for name in tuple(self._owner.states):
            said += self._count(self._owner.program(name), name)
        return tuple(said)

    def _take(self) -> list[str]:
        """Become the owner, if this host can have one and nobody else is."""
        try:
            with contextlib.ExitStack() as taking:
                preflight.require(self._host.bpffs)
                taking.enter_context(_alone())
                file = WishFile(self._path, self._session, attachment.network_namespace())
                keeper = WishKeeper(file, self._alerts)
                begin = keeper.recall(self._wishes)
                owner = Owner(self._host, begin.wishes, begin.yielded)
                taking.callback(owner.close)
                adopted = owner.take_over()
                self._owned = taking.pop_all()
        except XdpUnavailable as error:
            self._unavailable = error
            return []
        except X0Error as error:  # the interfaces change just now, or another process is at work
            self._unavailable = XdpUnavailable(str(error), "It is tried again within seconds.")
            return []
        self._owner, self._keeper = owner, keeper
        return [
            *begin.said,
            *(f"{name} had a pinned program, which is owned now" for name in adopted),
        ]

    def _count(self, program: Program | None, name: str) -> list[str]:
        if program is None:
            return []
        try:
            found = counters.counters(program, name, TOP_PEERS)
        except (X0Error, OSError) as error:  # the others are counted all the same
            return [f"{name} cannot be read: {error}"]
        self._exported.counted(found)
        self._alerts.note_churn(name, found.churn, time.time())
        return []

    # -- what is asked of it -----------------------------------------------------------------------

    def status(self) -> HostStatus:
        """See `XdpContract.status`."""
        states = dict(self._owner.states) if self._owner is not None else {}
        is_linux = platform.system() == "Linux"
        return HostStatus(attachment.network_namespace() if is_linux else 0, self.disabled, states)

    def attach(self, interface: str, mode: Mode, *, pin: bool) -> Attached:
        """See `XdpContract.attach`."""
        made = self._must().attach(interface, Wish(mode, pin))
        self.look()
        return made

    def detach(self, interface: str) -> Occupant | None:
        """See `XdpContract.detach`."""
        try:
            return self._must().detach(interface)
        finally:
            self.look()  # its alerts are over

    def replace(self, interface: str) -> Attached:
        """See `XdpContract.replace`."""
        self._must()
        made = attachment.replaced(self._host, interface)
        self.look()
        return made

    def rules(self, interface: str) -> Rules:
        """See `XdpContract.rules`."""
        with self._noting():
            return rules.rules(self._program(interface))

    def deny(self, interface: str, networks: Iterable[str]) -> Rules:
        """See `XdpContract.deny`."""
        chosen = [rules.network(text) for text in networks]  # all are checked before any is denied
        program = self._program(interface)
        with self._noting(), self._host.locked():
            for one in chosen:
                rules.deny(program, one)
            return rules.rules(program)

    def allow(self, interface: str, networks: Iterable[str]) -> Rules:
        """See `XdpContract.allow`."""
        chosen = [rules.network(text) for text in networks]
        program = self._program(interface)
        with self._noting(), self._host.locked():
            for one in chosen:
                rules.allow(program, one)
            return rules.rules(program)

    def rate_limit(self, interface: str, pps: float | None, burst: int | None) -> Rules:
        """See `XdpContract.rate_limit`."""
        program = self._program(interface)
        with self._noting(), self._host.locked():
            return rules.limit(program, pps, burst)

    def counters(self, interface: str, top: int) -> XdpCounters | KernelCounters:
        """See `XdpContract.counters`."""
        if self._owner is not None:
            return counters.counters(self._program(interface), interface, top)
        if platform.system() != "Linux":
            raise self._unavailable
        return interfaces.kernel_counters(interface, self._unavailable.reason)

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """See `XdpContract.addresses`."""
        states = self._must().states
        counting = [name for name, one in states.items() if one.state == "attached"]
        found = interfaces.addresses() if counting else {}
        return {name: found.get(name, ()) for name in counting}

    def received(self, interface: str, addresses: Sequence[str]) -> ReceivedTraffic:
        """See `XdpContract.received`."""
        return received.received(self._program(interface), interface, addresses)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep, before it is answered, which rules there are."""
        try:
            yield
        finally:
            if self._owner is not None:
                self._owner.learn()
                self._unsaid += self._keep(self._owner)

    def _keep(self, owner: Owner) -> list[str]:
        return self._keeper.keep(owner.wishes()) if self._keeper is not None else []

    def _must(self) -> Owner:
        if self._owner is None:
            raise self._unavailable
        return self._owner

    def _program(self, interface: str) -> Program:
        program = self._must().program(interface)
        if program is None:
            found = self._must().states.get(interface)
            raise NotAttached(interface, found.reason if found else "nobody wished it there")
        return program


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Be the one owner in this network namespace.

    Raises:
        XdpUnavailable: another process is.
    """
    directory = Path("/run/lock")
    if not (directory.is_dir() and os.access(directory, os.W_OK)):
        directory = Path(tempfile.gettempdir())
    path = directory / f"x0tta6bl4-xdp-owner-{attachment.network_namespace()}.lock"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(exclusive_lock(path))
        except (Conflict, PermissionError) as error:
            raise XdpUnavailable(
                "another session, or another user's, owns XDP on this host",
                "End that session: `x0 down`.",
            ) from error
        yield
