"""The errors of owning XDP.

X0Error
├── InvalidInput
│   └── NoInterface       422  there is no such interface
├── Conflict
│   ├── ForeignProgram    409  somebody else's program is attached there
│   └── AlreadyAttached   409  this project's program is attached there
└── Unavailable
    ├── XdpUnavailable    503  this process cannot use XDP: system, library or rights
    │   └── ProgramUnknown 503 whose program is attached there, it may not ask
    ├── AttachRefused     503  no mode was accepted; each attempt has its reason
    └── NotAttached       503  nothing of this project is attached there
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import Conflict, InvalidInput, Unavailable, close_matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.xdp.contract import Attempt, Occupant


class NoInterface(InvalidInput):
    """There is no interface `interface` in this network namespace."""

    interface: str

    def __init__(self, interface: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(
            f"there is no interface {interface}",
            f"this network namespace has {', '.join(names) or 'none'}",
            close_matches(interface, names) or "Give one of these.",
            entry=interface,
        )
        self.interface = interface


class ForeignProgram(Conflict):
    """The program of somebody else stays where it is."""

    interface: str
    occupant: Occupant

    def __init__(self, what: str, interface: str, occupant: Occupant) -> None:
        super().__init__(
            what,
            f"{interface} has {occupant}, which is not of this project",
            "Whoever attached it must detach it first.",
            interface=interface,
            occupant=occupant,
        )


class AlreadyAttached(Conflict):
    """Program `program_id` of this project is attached to `interface`."""

    interface: str
    program_id: int

    def __init__(self, interface: str, program_id: int, mode: str) -> None:
        super().__init__(
            f"{interface} has this program already",
            f"it is program {program_id}, attached in mode {mode}",
            f"`x0 xdp replace --interface {interface}` loads it anew, `x0 xdp detach` removes it.",
            interface=interface,
            program_id=program_id,
        )


class XdpUnavailable(Unavailable):
    """XDP cannot be used by this process, or not in the way asked for.

    Attributes:
        reason: why, without a full stop.
        missing_caps: capabilities that this process lacks, such as "CAP_BPF".
    """

    reason: str
    missing_caps: tuple[str, ...]

    def __init__(self, reason: str, remedy: str, missing_caps: Sequence[str] = ()) -> None:
        super().__init__(
            "XDP cannot be used here",
            reason,
            remedy,
            retry_after_s=60.0,
            reason=reason,
            missing_caps=tuple(missing_caps),
        )


class ProgramUnknown(XdpUnavailable):
    """This process may not ask whose the program on `interface` is."""

    interface: str

    def __init__(self, interface: str, program_id: int) -> None:
        super().__init__(
            f"{interface} has XDP program {program_id}, and whose it is may ask only who has"
            " CAP_SYS_ADMIN",
            "Run this as root.",
            ("CAP_SYS_ADMIN",),
        )
        self.interface = interface


class AttachRefused(Unavailable):
    """No mode was accepted on `interface`; `attempts` has each with its reason."""

    interface: str
    attempts: tuple[Attempt, ...]

    def __init__(self, interface: str, attempts: Sequence[Attempt], why: str, remedy: str) -> None:
        super().__init__(
            f"no program can be attached to {interface}",
            why,
            remedy,
            retry_after_s=10.0,
            interface=interface,
            attempts=tuple(attempts),
        )


class NotAttached(Unavailable):
    """`interface` has no program of this project."""

    interface: str

    def __init__(self, interface: str, why: str = "no XDP program is attached to it") -> None:
        super().__init__(
            f"{interface} has no program of this project",
            why,
            f"Attach it: `x0 xdp attach --interface {interface}`.",
            retry_after_s=10.0,
            interface=interface,
        )
