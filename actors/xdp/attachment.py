"""Attaches the program to interfaces, and never knocks out somebody else's.

The handle is a bpf_link. Without a pin it lives as long as its descriptor: whatever ends the
process detaches the program, and packets pass as if it had never been there. With a pin, a name in
the BPF file system, it stays and can be adopted. A program is replaced by compare and swap between
two packets. Whatever was done is read back: the kernel reports as done what it left undone.

Operations of one host exclude each other by a lock. None may run on the thread of an event loop.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Conflict
from actors.runtime.state_files import exclusive_lock
from actors.xdp import interfaces, negotiation, preflight, rules
from actors.xdp.contract import Attached, Attempt, Backend, Interface, Mode, Occupant
from actors.xdp.errors import (
    AlreadyAttached,
    AttachRefused,
    ForeignProgram,
    NotAttached,
    ProgramUnknown,
    XdpUnavailable,
)
from actors.xdp.libbpf import introspection, links
from actors.xdp.libbpf.library import BpfError
from actors.xdp.program import Program, is_ours, prepare
from actors.xdp.reconciliation import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.xdp.contract import Rules

BPFFS: Final = Path("/sys/fs/bpf")
_LOCKS: Final = Path("/run/lock")
_LOCK_S: Final = 20.0
_BUSY_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8)  # the kernel releases a link after its owner has died
_DIRECTORY: Final = "x0tta6bl4"


@dataclass(frozen=True, slots=True)
class Host:
    """Where pins and the lock of this host are.

    Attributes:
        bpffs: mount point of a BPF file system.
        backend: who compiles what is loaded on this host.
    """

    bpffs: Path = BPFFS
    backend: Backend = Backend.LIBBPF

    @property
    def directory(self) -> Path:
        """Of the pins."""
        return self.bpffs / _DIRECTORY

    def pin_of(self, ifindex: int) -> Path:
        """Where the link of an interface of this thread's network namespace is pinned.

        Not its name: names of the BPF file system have no dots, and an interface that is made
        anew under the old name is another one.
        """
        return self.directory / f"link_{network_namespace()}_{ifindex}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude other operations on this host.

        Raises:
            Conflict: another one does not end.
        """
        directory = _LOCKS if _LOCKS.is_dir() else Path(tempfile.gettempdir())
        path = directory / f"{_DIRECTORY}-xdp.lock"
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(exclusive_lock(path, timeout_s=_LOCK_S))
            except PermissionError as error:
                raise XdpUnavailable(f"{path} is another user's", "Run this as root.") from error
            yield


def network_namespace() -> int:
    """Inode of this thread's network namespace, which names it."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


@dataclass(slots=True)
class Attachment:
    """A program that this process holds attached.

    Attributes:
        attached: what it is.
        program: the program and its tables.
        link: descriptor of the link.
    """

    attached: Attached
    program: Program
    link: int

    def close(self) -> None:
        """Let go of it: without a pin, it is detached."""
        self.release()
        self.program.close()

    def as_held(self) -> Held:
        """What decisions are made from."""
        return Held(self.attached.ifindex, self.attached.program_id)

    def release(self) -> None:
        """Let go of the link alone; the program's tables can be read on."""
        os.close(self.link)

    def unpin(self) -> None:
        """Remove its pin, if it has one."""
        if self.attached.pin is not None:
            Path(self.attached.pin).unlink(missing_ok=True)


# -- what is there ---------------------------------------------------------------------------------


def occupants(found: Interface) -> tuple[Occupant, ...]:
    """The programs that are attached to an interface, best mode first."""
    return tuple(_occupant(found.index, mode, number) for mode, number in found.programs.items())


def _occupant(ifindex: int, mode: Mode, number: int) -> Occupant:
    try:
        fd = introspection.program_by_id(number)
    except BpfError:  # not allowed, or detached meanwhile
        return Occupant(number, mode, None, None, None, ours=False)
    try:
        info = introspection.program_info(fd)
        link = _link_id(ifindex, number)
        return Occupant(
            number, mode, info.name, info.tag, link, ours=link is not None and is_ours(info)
        )
    finally:
        os.close(fd)


def _link_id(ifindex: int, program: int) -> int | None:
    """Id of the link that holds a program at an interface."""
    for number in introspection.link_ids():
        with contextlib.suppress(BpfError):  # it has ended meanwhile
            fd = introspection.link_by_id(number)
            try:
                info = introspection.link_info(fd)
            finally:
                os.close(fd)
            if (info.type, info.prog_id, info.ifindex) == (
                introspection.LINK_TYPE_XDP,
                program,
                ifindex,
            ):
                return number
    return None


def own(found: Interface, doing: str) -> Occupant:
    """This project's program on an interface.

    Args:
        found: the interface.
        doing: what cannot be done without one.

    Raises:
        NotAttached: nothing is attached.
        ForeignProgram: somebody else's is.
        ProgramUnknown: this process may not ask.
    """
    there = occupants(found)
    if not there:
        raise NotAttached(found.name)
    for one in there:
        if one.ours:
            return one
    raise _not_ours(doing, found, there[0])


def _not_ours(doing: str, found: Interface, there: Occupant) -> ForeignProgram | ProgramUnknown:
    if there.name is None:
        return ProgramUnknown(found.name, there.program_id)
    return ForeignProgram(doing, found.name, there)


def opened(name: str) -> Program:
    """This project's program on an interface, whoever holds it.

    Raises:
        NoInterface, NotAttached, ForeignProgram: there is none.
        XdpUnavailable, Conflict: it cannot be read.
    """
    there = own(interfaces.interface(name), f"{name} cannot be read by XDP")
    return Program.of_id(there.program_id)


def pin_path(host: Host, found: Interface, program_id: int) -> Path | None:
    """Where a program on an interface is pinned, if it is."""
    path = host.pin_of(found.index)
    link = _pinned(path)
    if link is None:
        return None
    try:
        return path if introspection.link_info(link).prog_id == program_id else None
    finally:
        os.close(link)


def _pinned(path: Path) -> int | None:
    try:
        return links.pinned(str(path))
    except BpfError:
        return None


# -- attach ----------------------------------------------------------------------------------------


def attach(
    host: Host,
    name: str,
    wanted: Mode = Mode.AUTO,
    *,
    pin: bool = False,
    reused: Program | None = None,
    kept: Rules | None = None,
) -> Attachment:
    """Attach the program to an interface.

    Args:
        host: this host.
        name: of the interface.
        wanted: the mode; `AUTO`: the best one that it accepts.
        pin: whether it stays attached without this process.
        reused: whose tables, rules and counters it continues.
        kept: what it drops from its first packet on, if it continues no other.

    Raises:
        XdpUnavailable: this process cannot use XDP.
        NoInterface: there is no such interface.
        InvalidInput: `kept` are no rules.
        AlreadyAttached, ForeignProgram: a program is attached there.
        AttachRefused: no mode is accepted.
    """
    preflight.require(host.bpffs, pin=pin)
    prepare(host.backend)
    with host.locked():
        found = interfaces.interface(name)
        _see_that_free(found)
        made = _negotiated(found, wanted, lambda frags: _loaded(host, frags, reused, kept))
        try:
            made.attached = _read_back(made.attached, made.program)
            if pin:
                made.attached = replace(made.attached, pin=str(_pin(host, made)))
        except BaseException:
            made.close()
            raise
        return made


def _see_that_free(found: Interface) -> None:
    for one in occupants(found):
        if one.ours:
            raise AlreadyAttached(found.name, one.program_id, one.mode)
        raise _not_ours(f"nothing can be attached to {found.name}", found, one)


def _loaded(host: Host, frags: bool, reused: Program | None, kept: Rules | None) -> Program:  # noqa: FBT001 - one caller
    program = Program.load(frags=frags, reused=reused, backend=host.backend)
    if reused is None and kept is not None:
        try:
            rules.put(program, kept)
        except BaseException:
            program.close()
            raise
    return program


def _negotiated(found: Interface, wanted: Mode, load: Callable[[bool], Program]) -> Attachment:
    """Try the modes in turn."""
    features = interfaces.features(found.index)
    attempts: list[Attempt] = []
    program: Program | None = None
    link = None
    while (step := negotiation.next_step(wanted, features, attempts)) is not None:
        if isinstance(step, Attempt):
            attempts.append(step)
            continue
        if program is None or program.frags != step.frags:
            if program is not None:
                program.close()
            program = load(step.frags)
        try:
            link = _linked(program, found, step.mode)
            attempts.append(Attempt(step.mode, step.frags, 0))
        except BpfError as error:
            attempts.append(_failed(step, error, found, program))
        except BaseException:
            program.close()
            raise
    assert program is not None  # noqa: S101 - the last step is never passed over
    if link is None:
        program.close()
        raise AttachRefused(found.name, attempts, negotiation.refusal(attempts), _remedy(attempts))
    last = attempts[-1]
    attached = Attached(
        found.name,
        found.index,
        last.mode,
        last.frags,
        program.info.id,
        program.info.tag,
        None,
        tuple(attempts),
    )
    return Attachment(attached, program, link)


def _linked(program: Program, found: Interface, mode: Mode) -> int:
    """Attach; wait for a link that is being released, but for nobody who stays."""
    flags = interfaces.MODE_FLAGS[mode]
    for wait_s in _BUSY_S:
        try:
            return links.create(program.fd, found.index, flags)
        except BpfError as error:
            if error.errno != errno.EBUSY:
                raise
        _see_that_free(interfaces.interface(found.name))
        time.sleep(wait_s)
    return links.create(program.fd, found.index, flags)


def _failed(step: negotiation.Step, error: BpfError, found: Interface, program: Program) -> Attempt:
    number = error.errno or 0
    said = interfaces.refusal_text(found.index, program.fd, step.mode) or os.strerror(number)
    return Attempt(step.mode, step.frags, number, said)


def _remedy(attempts: list[Attempt]) -> str:
    if attempts[-1].mode is Mode.SKB:
        return "`x0 xdp status` shows what is attached."
    return "Give --mode auto, or skb, which works on every interface."


def _read_back(attached: Attached, program: Program) -> Attached:
    """What the kernel says that is attached."""
    for mode, number in interfaces.interface(attached.interface).programs.items():
        if number == program.info.id:
            return replace(attached, mode=mode)
    raise AttachRefused(
        attached.interface,
        attached.attempts,
        "it was attached, and is not there any more",
        "Somebody else detaches programs here, or the interface is made anew: see `x0 xdp status`.",
    )


def _pin(host: Host, made: Attachment) -> Path:
    path = host.pin_of(made.attached.ifindex)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.unlink(missing_ok=True)  # of an interface that had this number; this one was free
        links.pin(made.link, str(path))
    except OSError as error:
        raise XdpUnavailable(
            f"the program cannot be pinned as {path}: {error.strerror}",
            "Remove what is there, or attach it without --pin.",
        ) from error
    return path


# -- adopt, replace, detach ------------------------------------------------------------------------


def adopt(host: Host, name: str) -> Attachment:
    """Take over the pinned program of an interface.

    Raises:
        NoInterface, NotAttached, ForeignProgram: there is none.
        XdpUnavailable, Conflict: it cannot be read.
    """
    preflight.require(host.bpffs)
    with host.locked():
        found = interfaces.interface(name)
        there = own(found, f"{name} cannot be taken over")
        path = pin_path(host, found, there.program_id)
        if path is None:
            raise NotAttached(name, "what is attached to it is held by another process")
        program = Program.of_id(there.program_id)
        return Attachment(_attached(found, there, program, path), program, links.pinned(str(path)))


def described(host: Host, name: str, program: Program) -> Attached:
    """What the attachment of a program is that is there already.

    Raises:
        NoInterface, NotAttached, ForeignProgram: it is not there any more.
    """
    found = interfaces.interface(name)
    there = own(found, f"{name} cannot be read by XDP")
    return _attached(found, there, program, pin_path(host, found, program.info.id))


def _attached(found: Interface, there: Occupant, program: Program, path: Path | None) -> Attached:
    return Attached(
        found.name,
        found.index,
        there.mode,
        program.frags,
        program.info.id,
        program.info.tag,
        str(path) if path else None,
    )


def replaced(host: Host, name: str) -> Attached:
    """Load the program anew and put it in the place of the present one, which misses no packet.

    Its tables, rules and counters go on.

    Raises:
        NoInterface, NotAttached, ForeignProgram: there is none.
        XdpUnavailable: this process cannot use XDP.
        Conflict: somebody else replaced it meanwhile, or it is of another version.
    """
    preflight.require(host.bpffs)
    prepare(host.backend)
    with host.locked():
        found = interfaces.interface(name)
        there = own(found, f"the program of {name} cannot be replaced")
        with contextlib.ExitStack() as held:
            link = _link(there)
            held.callback(os.close, link)
            old = Program.of_id(there.program_id)
            held.callback(old.close)
            new = Program.load(frags=old.frags, reused=old, backend=host.backend)
            held.callback(new.close)
            swap(link, new, old, name)
            now = replace(there, program_id=new.info.id)
            return _attached(found, now, new, pin_path(host, found, new.info.id))


def swap(link: int, new: Program, old: Program, name: str) -> None:
    """Put one program in the place of another, if that one is there.

    Raises:
        Conflict: another one is there, or the interface is gone.
    """
    try:
        links.update(link, new.fd, old.fd)
    except BpfError as error:
        why = {
            errno.EPERM: f"program {old.info.id} is not there any more: somebody else replaced it",
            errno.ENOLINK: "the interface is gone, or the program was detached",
        }
        raise Conflict(
            f"the program of {name} cannot be replaced",
            why.get(error.errno or 0, error.strerror or ""),
            "See `x0 xdp status` for what is there now, and try again.",
        ) from error


def detach(host: Host, name: str) -> Occupant | None:
    """Detach this project's program from an interface, whoever holds it.

    Returns:
        What was attached; None: nothing was.

    Raises:
        NoInterface: there is no such interface.
        ForeignProgram: somebody else's program is attached, and stays.
        XdpUnavailable: this process cannot use XDP.
        Conflict: the kernel did not do it.
    """
    preflight.require(host.bpffs)
    with host.locked():
        found = interfaces.interface(name)
        try:
            there = own(found, f"nothing is detached from {name}")
        except NotAttached:
            _forget(host, found)
            return None
        link = _link(there)
        try:
            links.detach(link)
        finally:
            os.close(link)
        _forget(host, found)
        left = occupants(interfaces.interface(name))
        if there.program_id in {one.program_id for one in left}:
            raise Conflict(
                f"the program of {name} is not detached",
                f"the kernel says that it did so, and {left[0]} is there still",
                "Try again; `x0 xdp status` shows what is there.",
            )
        return there


def _forget(host: Host, found: Interface) -> None:
    """Remove the pin of an interface, which holds nothing any more."""
    host.pin_of(found.index).unlink(missing_ok=True)


def _link(there: Occupant) -> int:
    assert there.link_id is not None  # noqa: S101 - ours has a link
    return introspection.link_by_id(there.link_id)


# -- what was left behind --------------------------------------------------------------------------


def remove_orphans(host: Host) -> tuple[str, ...]:
    """Remove pins that hold nothing: their interface is gone, or they were detached.

    Those of other network namespaces are judged alike, and stay while their interface lives.

    Returns:
        Their paths.
    """
    removed = []
    with host.locked():
        if not host.directory.is_dir():
            return ()
        for path in sorted(host.directory.iterdir()):
            link = _pinned(path)
            if link is None:
                continue
            try:
                orphan = introspection.link_info(link).ifindex == 0
            finally:
                os.close(link)
            if orphan:
                path.unlink(missing_ok=True)
                removed.append(str(path))
    return tuple(removed)


def pinned_interfaces(host: Host) -> tuple[str, ...]:
    """Names of the interfaces of this network namespace whose program is pinned."""
    return tuple(
        one.name
        for one in interfaces.interfaces()
        for there in occupants(one)
        if there.ours and pin_path(host, one, there.program_id) is not None
    )
