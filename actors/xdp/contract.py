"""What others may know of the owner of XDP: modes, attachments, counters, and its actor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from actors.runtime.actor_health import ActorContract

XDP: Final = "xdp"
TIMEOUT_S: Final = 60.0  # for an answer of the actor, which may wait for the lock of its host
MOST_ADDRESSES: Final = 4_096  # asked about at once, see `XdpContract.received`
_LONGEST: Final = 100  # characters of a name of an actor


def xdp_actor(host: str) -> str:
    """Name of the actor of a host."""
    return f"{XDP}-{re.sub('[^A-Za-z0-9-]+', '-', host)}"[:_LONGEST]


class Mode(StrEnum):
    """Where in the kernel a program runs. `AUTO` is the best that the interface accepts."""

    AUTO = "auto"
    HW = "hw"  # in the network card
    DRV = "drv"  # in the driver, "native"
    SKB = "skb"  # in the kernel after the driver, "generic"; works everywhere


class Backend(StrEnum):
    """Who compiles the program: the project, whose object libbpf loads, or bcc on this host."""

    LIBBPF = "libbpf"
    BCC = "bcc"


MODE_WORDS: Final = {Mode.HW: "offloaded", Mode.DRV: "native", Mode.SKB: "generic"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to attach, or the reason why it was not made.

    Attributes:
        mode: `HW`, `DRV` or `SKB`.
        frags: whether the program takes packets in several buffers.
        errno: of the kernel; 0: attached; None: not tried.
        reason: what the driver or the kernel says, or why it was not tried; "" if attached.
    """

    mode: Mode
    frags: bool
    errno: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface.

    Attributes:
        name, index: of the interface.
        up: whether it is switched on (IFF_UP).
        mtu: bytes.
        programs: ids of the XDP programs attached to it, by mode.
    """

    name: str
    index: int
    up: bool
    mtu: int
    programs: dict[Mode, int]


@dataclass(frozen=True, slots=True)
class Occupant:
    """A program that is attached.

    Attributes:
        program_id: of the kernel.
        mode: where it runs.
        name, tag: of the program; None: this process may not ask.
        link_id: of the bpf_link that holds it; None: attached by netlink, or it may not be asked.
        ours: whether it is this project's.
    """

    program_id: int
    mode: Mode
    name: str | None
    tag: str | None
    link_id: int | None
    ours: bool

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        tag = f", tag {self.tag}" if self.tag else ""
        return f"XDP program {self.program_id}{name}{tag} (mode {self.mode})"


@dataclass(frozen=True, slots=True)
class Attached:
    """What an attachment is.

    Attributes:
        interface, ifindex: where.
        mode: `HW`, `DRV` or `SKB`.
        frags: whether the program takes packets in several buffers.
        program_id, tag: of the program.
        pin: path that keeps it attached without a process, or None.
        attempts: all that was tried, the last of which succeeded; empty if it was found attached.
    """

    interface: str
    ifindex: int
    mode: Mode
    frags: bool
    program_id: int
    tag: str
    pin: str | None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """Packets and bytes, the Ethernet header included."""

    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PeerCount:
    """What one address sent.

    Attributes:
        address: of the sender.
        packets, bytes: since it was entered in the table.
        gaps: number of measured inter-arrival times by bucket (`layout.GAP_BOUNDS_S`), within one
            flow and one CPU: of each of a flow's first 16 packets, then of one in sixteen.
    """

    address: str
    packets: int
    bytes: int
    gaps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FlowCount:
    """What one flow brought; ports are 0 where its protocol has none and for fragments."""

    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int
    packets: int
    bytes: int
    gaps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TableChurn:
    """How the tables of peers and flows are used.

    Attributes:
        peers, flows: entries now.
        new_peers, new_flows: entries made since the program was loaded.
        untabled: packets that were counted by action alone, since too many flows were new.
        lost_samples: samples for which there was no room.
    """

    peers: int
    flows: int
    new_peers: int
    new_flows: int
    untabled: int
    lost_samples: int

    @property
    def evicted_flows(self) -> int:
        """Flows that had to make room."""
        return max(self.new_flows - self.flows, 0)


@dataclass(frozen=True, slots=True)
class XdpCounters:
    """What the program counted on one interface since it was loaded.

    Attributes:
        interface: where.
        actions: by name of the action, see `layout.Action`.
        churn: of the tables.
        peers, flows: those of most bytes, most first.
        source: always "xdp".
    """

    interface: str
    actions: dict[str, Tally]
    churn: TableChurn
    peers: tuple[PeerCount, ...]
    flows: tuple[FlowCount, ...]
    source: Literal["xdp"] = "xdp"


@dataclass(frozen=True, slots=True)
class ReceivedTraffic:
    """What one interface had received of certain addresses at one moment.

    Two of them can be compared if `program_id` is the same and `unaccounted` has not grown: then an
    address that is missing in the first has sent nothing before it.

    Attributes:
        interface: where.
        program_id: of the program that counts; another one may have begun anew.
        read_at: on the monotonic clock of its host, s.
        unaccounted: peers that had to make room, and packets that were in no table.
        others: entries of addresses that were not asked about.
        peers: those of the addresses that have an entry.
    """

    interface: str
    program_id: int
    read_at: float
    unaccounted: int
    others: int
    peers: tuple[PeerCount, ...]


@dataclass(frozen=True, slots=True)
class KernelCounters:
    """What the kernel counted on one interface, where XDP cannot be used.

    Attributes:
        interface: where.
        received: packets and bytes, without Ethernet's checksum.
        dropped: received packets for which the kernel had no room.
        reason: why XDP does not count.
        source: always "kernel".
    """

    interface: str
    received: Tally
    dropped: int
    reason: str
    source: Literal["kernel"] = "kernel"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the program drops.

    Attributes:
        denied: networks whose packets are dropped.
        limit_pps: packets a second of one source that pass in the long run; None: no limit.
        limit_burst: packets of one source that pass at once; None: no limit.
    """

    denied: tuple[str, ...]
    limit_pps: float | None
    limit_burst: int | None


State = Literal["attached", "waiting", "detached", "refused"]


@dataclass(frozen=True, slots=True)
class Ownership:
    """How one interface is.

    Attributes:
        state: attached; waiting for the interface; detached by somebody; or refused.
        reason: why it is not attached, "" if it is.
        attached: what is attached, or None.
        up, mtu: of the interface; None: there is none.
    """

    state: State
    reason: str
    attached: Attached | None
    up: bool | None
    mtu: int | None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """How XDP is on one host.

    Attributes:
        network_namespace: inode of the one that its interfaces are in; 0: it is not known.
        disabled: why nothing is owned there; "": its actor owns what is attached.
        interfaces: those that are owned, or are to be, by name.
    """

    network_namespace: int
    disabled: str
    interfaces: dict[str, Ownership]


@dataclass(frozen=True, slots=True)
class XdpOptions:
    """What the actor of a host is started with.

    Attributes:
        host: its name, as people use it.
        interfaces: to which the program is attached from the start.
        mode: in which.
        pin: whether it stays attached there when the actor has ended.
        bpffs: mount point of the BPF file system for pins.
        log_level: least severe line to log.
        state_dir: where it keeps what is wished, for its next life.
        session: whose wishes these are; another session begins anew.
        look_s: between two looks at the interfaces when nothing changes, s.
        backend: who compiles the program.
        hosts_s: between two looks for hosts of the cluster that have no actor, s; 0: for none.
    """

    host: str
    interfaces: tuple[str, ...]
    mode: Mode
    pin: bool
    bpffs: str
    log_level: str
    state_dir: str
    session: str
    look_s: float = 5.0
    backend: Backend = Backend.LIBBPF
    hosts_s: float = 0.0


class XdpContract(ActorContract, Protocol):
    """The methods of the actor of a host.

    Where it is disabled, those that need XDP raise `XdpUnavailable`. Those that name an interface
    raise `NoInterface` where there is none, `NotAttached` where nothing is attached, and
    `ForeignProgram` where the program is somebody else's, which stays.
    """

    async def status(self) -> HostStatus:
        """How XDP is on this host."""
        ...

    async def attach(self, interface: str, mode: Mode, *, pin: bool) -> Attached:
        """Attach the program, and own it from now on.

        Raises:
            AlreadyAttached: it is.
            AttachRefused: no mode is accepted.
        """
        ...

    async def detach(self, interface: str) -> Occupant | None:
        """Detach the program, and own the interface no more; None: nothing was attached."""
        ...

    async def replace(self, interface: str) -> Attached:
        """Load the program anew and swap it in; no packet is missed, counters and rules go on."""
        ...

    async def rules(self, interface: str) -> Rules:
        """What is dropped."""
        ...

    async def deny(self, interface: str, networks: tuple[str, ...]) -> Rules:
        """Drop what comes from these networks.

        Raises:
            InvalidInput: one of them is none; then none is denied.
        """
        ...

    async def allow(self, interface: str, networks: tuple[str, ...]) -> Rules:
        """Deny these networks no more.

        Raises:
            InvalidInput: one of them is none; then all stay denied.
        """
        ...

    async def rate_limit(self, interface: str, pps: float | None, burst: int | None) -> Rules:
        """Limit what each source may send; see `rules.limit`.

        Raises:
            InvalidInput: a figure is out of range.
        """
        ...

    async def counters(self, interface: str, top: int) -> XdpCounters | KernelCounters:
        """What is counted, and the `top` peers and flows; where disabled, by the kernel."""
        ...

    async def addresses(self) -> dict[str, tuple[str, ...]]:
        """MAC and IP addresses of each interface where the program is attached, by its name."""
        ...

    async def received(self, interface: str, addresses: tuple[str, ...]) -> ReceivedTraffic:
        """What came from these addresses, most of which may be unknown to the interface.

        Raises:
            InvalidInput: one is no IP address, or there are more than `MOST_ADDRESSES`.
        """
        ...
