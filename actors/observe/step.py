"""What one step changed in what is known of a network, and what an event says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.observe.contract import LinkCondition, NodeState
    from actors.observe.merging import LinkKey
    from actors.observe.parts import Joining, Split
    from actors.topology.events import EventKind, EventSeverity
    from actors.topology.network import NetworkNode


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What became of a source.

    Attributes:
        kind: the kind of event.
        source: its name.
        why: the reason, or "".
    """

    kind: EventKind
    source: str
    why: str = ""


@dataclass(slots=True)
class Step:
    """All that changed at one moment.

    Attributes:
        shown: a node as sentences name it, also one that has just been retired.
        sources: what became of sources.
        nodes: state before and after by id; None before: it joined; None after: it was retired.
        links: the same of links.
        source_of: the source by which a node has become unknown, or is known again.
        as_before: ids of the nodes that are known again and are what they were before.
        splits, joinings: what became of the parts.
        main_part: number of the main part.
        gateway_lost: ids of the nodes that lost their last gateway.
        gateway_back: ids of those that have one again.
        renamed: name before and after by id.
        routes: next hop before and after by id.
        retired: why nodes were retired.
        clients: number of clients of some nodes.
        facts: what is known of a node; None of one that was retired.
        links_known: number of all links that are known.
    """

    shown: Callable[[str], str]
    clients: Callable[[Iterable[str]], int]
    facts: Callable[[str], NetworkNode | None]
    links_known: int = 0
    sources: list[SourceChange] = field(default_factory=list)
    nodes: dict[str, tuple[NodeState | None, NodeState | None]] = field(default_factory=dict)
    links: dict[LinkKey, tuple[LinkCondition | None, LinkCondition | None]] = field(
        default_factory=dict
    )
    source_of: dict[str, str] = field(default_factory=dict)
    as_before: set[str] = field(default_factory=set)
    splits: Sequence[Split] = ()
    joinings: Sequence[Joining] = ()
    main_part: int = 0
    gateway_lost: list[str] = field(default_factory=list)
    gateway_back: list[str] = field(default_factory=list)
    renamed: dict[str, tuple[str, str]] = field(default_factory=dict)
    routes: dict[str, tuple[str, str]] = field(default_factory=dict)
    retired: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that has no number yet; see `NetworkEvent`."""

    kind: EventKind
    severity: EventSeverity
    what: str
    nodes: tuple[str, ...] = ()
    link: tuple[str, str] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
