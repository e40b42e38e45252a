"""What others may know of the observer: its name, its options, its answers, its methods.

The observer keeps what sources say of a real network. It emulates nothing, and sends to routers
nothing but the read requests of its sources.

A node that was seen once is a member until it is retired. Its state, and that of each link,
changes with exactly one event, which names the state that follows: in `NetworkEvent.data`, `states`
gives lists of node ids by `NodeState`, and `links` gives lists of [a, b, kind] by `LinkCondition`,
or by `retired` in both. Whoever folds the events has the states.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from actors.runtime.actor_health import ActorContract

if TYPE_CHECKING:
    from pathlib import Path

    from actors.topology.events import EventPage
    from actors.topology.link_state import LinkState, Roster
    from actors.topology.network import LeftOut, NetworkNode, Reading

OBSERVER: Final = "observer"  # also the name of the one shard of its roster
TIMEOUT_S: Final = 10.0  # for an answer
MAX_NODES: Final = 65_536  # most members, and most nodes of one reading
MAX_LINKS: Final = 524_288  # most links, and most of one reading
MAX_PUSHING: Final = 64  # most sources that push
LEFT_OUT_SHOWN: Final = 100  # most left-out records that a `SourceState` lists
LEFT_OUT_KEPT: Final = 10_000  # most of one answer that can be asked for
EVENTS_KEPT: Final = 10_000
MOST_EVENTS: Final = 5_000  # most events of one page


class ReadingSource(Protocol):
    """A source of readings. It pickles; it opens what it needs at the first poll."""

    @property
    def name(self) -> str:
        """The source as logs may show it, without credentials; unique among the sources."""
        ...

    @property
    def kind(self) -> str:
        """The kind of source: `meshviewer`, `respondd`, ..."""
        ...

    async def poll(self) -> Reading | None:
        """Ask the source once, within a bounded time; None if it still says what it said last.

        Whatever takes time (parsing) runs in a thread.

        Raises:
            X0Error: there is no answer, or it cannot be read at all.
        """
        ...


@runtime_checkable
class RecallingSource(Protocol):
    """A source that can make use of what it said before its process ended."""

    def recall(self, nodes: Mapping[str, NetworkNode]) -> None:
        """Take in the nodes that it listed last, by id, before the first poll."""
        ...


@dataclass(frozen=True, slots=True)
class ObserverRules:
    """By which figures the observer judges. All times are in seconds, all shares in [0, 1].

    Attributes:
        silent_s: a node is silent if its source last heard it so long before it said so; only for
            sources that do not say who is online.
        stale_s: a source that says nothing newer for so long is stale.
        retire_s: who is silent or gone for so long is retired, and links that are down; 0: nobody.
        lost_share: an answer with so many nodes fewer than the last good one is held.
        lost_least: the loss of fewer nodes is never held, unless nobody is left.
        accept_after: so many answers in a row that say the same are taken over all the same.
        odd_share: an answer with a larger share of records left out is held.
        degraded_share: a link is degraded below this share of its usual quality, if it has lost
            `degraded_least` at least.
        recovered_share: and has recovered above this one.
        degraded_least: least difference between usual and degraded quality.
    """

    silent_s: float = 600.0
    stale_s: float = 900.0
    retire_s: float = 30 * 86_400.0
    lost_share: float = 0.2
    lost_least: int = 10
    accept_after: int = 3
    odd_share: float = 0.1
    degraded_share: float = 0.7
    recovered_share: float = 0.85
    degraded_least: float = 0.15


@dataclass(frozen=True, slots=True)
class ObserverOptions:
    """What the observer is started with.

    Attributes:
        sources: whom to ask. Where two say the same kind of thing, the earlier one is preferred.
        directory: where it keeps its state; made if it is absent.
        poll_s: seconds between two polls of a source.
        rules: by which figures it judges.
        log_level: least severe line to log.
    """

    sources: tuple[ReadingSource, ...]
    directory: Path
    poll_s: float = 60.0
    rules: ObserverRules = field(default_factory=ObserverRules)
    log_level: str = "INFO"


class NodeState(StrEnum):
    """What is known of a node."""

    UP = "up"
    CUT_OFF = "cut_off"  # it works, with no path to the main part, nor to any gateway
    SILENT = "silent"  # a source lists it, and none has heard of it for the stated time
    GONE = "gone"  # no source lists it any more
    UNKNOWN = "unknown"  # each source that lists it is stale


class LinkCondition(StrEnum):
    """What is known of a link. Of one with an end that is unknown, nothing is known either."""

    UP = "up"
    DEGRADED = "degraded"  # much worse than usual
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one source is.

    Attributes:
        name: the source, without credentials.
        kind: its kind.
        state: `ok`; `waiting`: no answer yet; `failed`: the last poll failed; `held`: the last
            answer was not taken over, see `why`; `stale`: what it says is too old. The first that
            applies of failed, held, stale.
        why: the reason, with a remedy; empty if it is ok.
        since: Unix time of the state, s.
        stale: whether what is used of it is too old, whatever the state.
        good_at: Unix time of the last answer that was taken over, s; None: never.
        age_s: age of what is used of it, s; None: there is nothing.
        format: the name of the format.
        nodes: number of nodes that it lists.
        links: number of links that it lists.
        records: number of records of its last answer, taken over or held.
        left_out: number of records of that answer that were left out, by reason.
        altered: number of records that were used otherwise than they stand, by reason.
        examples: some of both, at most `LEFT_OUT_SHOWN`; `ObserverContract.left_out` tells all.
        notes: sentences about the answer as a whole.
        pushes: whether it sends its readings by itself.
    """

    name: str
    kind: str
    state: str
    why: str
    since: float
    stale: bool
    good_at: float | None
    age_s: float | None
    format: str
    nodes: int
    links: int
    records: int
    left_out: Mapping[str, int]
    altered: Mapping[str, int]
    examples: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    pushes: bool


@dataclass(frozen=True, slots=True)
class ObservedNode:
    """A member of the network. Of one that is not up, the rest is as it was last known.

    Attributes:
        id: its id.
        name: host name or label; "" if it has none. It need not be unique.
        state: what is known of it.
        since: Unix time of that state, s.
        joined_at: Unix time when it was first seen, s.
        seen_at: Unix time when a source last heard it, s, by the source's clock; None: not told.
        part: number of the part of the network that it is in; nodes of one part have a path to
            each other. 0: it is in none, since it is not heard.
        reaches_gateway: whether a gateway is in that part; None: unknown, or no gateway is known.
        gateway: whether it leads to the internet; None: not told.
        vpn: whether only tunnels lead to it.
        clients: number of people's devices connected to it; None: not told.
        nexthop: id of the neighbour over which it reaches its gateway, or the address that was
            told; "" if none was.
        model: the hardware.
        role: what its operator calls its purpose.
        firmware: release of its firmware.
        domain: the part of the network that it is configured for.
        location: latitude and longitude, degrees.
        telemetry: figures by name, see `NetworkNode`.
        addresses: MAC and IP addresses of its interfaces.
        aliases: other ids by which sources call it.
        sources: names of the sources that list it.
        disputed: what each source says, by field, where they disagree: {field: {source: value}}.
    """

    id: str
    name: str
    state: NodeState
    since: float
    joined_at: float
    seen_at: float | None
    part: int
    reaches_gateway: bool | None
    gateway: bool | None
    vpn: bool
    clients: int | None
    nexthop: str
    model: str
    role: str
    firmware: str
    domain: str
    location: tuple[float, float] | None
    telemetry: Mapping[str, float]
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    sources: tuple[str, ...]
    disputed: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class ObservedLink:
    """A link of the network; of one that is down, the rest is as it was last known.

    Attributes:
        a, b: ids of its ends, a < b.
        kind: `wifi`, `vpn`, `other`, or another word of a source. A pair has one link of a kind.
        state: what is known of it.
        since: Unix time of that state, s.
        quality: delivery probability from a to b and from b to a, in [0, 1]; None: not known.
        usual: usual quality of its worse direction; None: none was ever known.
        metric: what the source measures it by, or "".
        cost: that figure from a to b and from b to a, in its own unit; None: not known.
        parallel: how many links of this kind join the pair.
        sources: names of the sources that list it.
    """

    a: str
    b: str
    kind: str
    state: LinkCondition
    since: float
    quality: tuple[float | None, float | None]
    usual: float | None
    metric: str
    cost: tuple[float | None, float | None]
    parallel: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ObservedNetwork:
    """The network as it is known now.

    Attributes:
        at: Unix time of the last change or confirmation, s.
        event: number of the last event that it includes; 0 before the first.
        main_part: number of the part that counts as the network, see `ObservedNode.part`.
        nodes: the members, in the order in which they joined.
        links: their links.
        revision: another one after each change of anything but `at`; a restart is a change.
    """

    at: float
    event: int
    main_part: int
    nodes: tuple[ObservedNode, ...]
    links: tuple[ObservedLink, ...]
    revision: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class LeftOutPage:
    """Some records of a source's last answer that were not used, or not as they stand.

    Attributes:
        records: the records.
        used: of each, whether it was used otherwise than it stands.
        total: how many there were in that answer; `LEFT_OUT_KEPT` of each kind can be asked for,
            and after a restart none before the next answer.
        more: whether more can be asked for, after these.
    """

    records: tuple[LeftOut, ...]
    used: tuple[bool, ...]
    total: int
    more: bool


class ObserverContract(ActorContract, Protocol):
    """The methods of the observer. With `roster` and `link_state` it can be watched as a mesh."""

    async def roster(self) -> Roster:
        """All members and their links. Node indices keep their meaning; retired ones are absent.

        Where a quality is unknown, that of the other direction is used, or 1, and it counts as not
        measured. Waits until each source has answered or failed once.
        """
        ...

    async def link_state(self, known: tuple[int, int] | None) -> LinkState | None:
        """All directed links; None if they still have the revision and digest `known`.

        A link that is down costs 0, and so does one whose state is unknown because its end was
        last known as silent. Otherwise links whose state is unknown are as they were last known.
        """
        ...

    async def network(self) -> ObservedNetwork:
        """All that is known, see `ObservedNetwork`."""
        ...

    async def network_if_changed(self, known: tuple[int, int]) -> ObservedNetwork | float:
        """All that is known; of a network whose revision still is `known`, only its `at`."""
        ...

    async def sources(self) -> tuple[SourceState, ...]:
        """How each source is, in their order; those that push follow."""
        ...

    async def left_out(self, source: str, after: int, most: int) -> LeftOutPage:
        """At most `most` records that were left out or altered, after so many of them.

        Raises:
            InvalidInput: there is no such source.
        """
        ...

    async def events(self, after: int, most: int) -> EventPage:
        """At most `most` and `MOST_EVENTS` events with numbers above `after`.

        Events and their incarnation outlive restarts: the state that they lead to is stored with
        them.
        """
        ...

    async def take(self, reading: Reading, whole: bool) -> None:  # noqa: FBT001 - a remote call
        """Take a reading that its source, `Reading.source`, has sent by itself.

        Args:
            reading: the reading.
            whole: whether it is all that the source knows; else it is about the nodes and links in
                it alone, and the others stay as they are.

        Raises:
            Conflict: the source is one that is polled, or too many others push.
            InvalidInput: there are too many nodes or links.
            X0Error: it is held, and why.
        """
        ...

    async def retire(self, node: str) -> None:
        """End the membership of a node that is silent or gone; it joins anew when it is heard.

        Raises:
            UnknownNode: no member has that id.
            Conflict: it is neither silent nor gone.
        """
        ...
