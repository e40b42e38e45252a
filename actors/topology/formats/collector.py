"""Gathers the nodes and links of one source, and accounts for every record of it.

One odd record costs one record: it is left out or altered, and that is said with its place and the
reason. An id has one node; addresses join the ends of links to the nodes whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actors.runtime.ids import is_node_id
from actors.topology.formats.document import refuse
from actors.topology.formats.fields import REPLACEMENT, Fields, type_name
from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

STRANGE_IDS: Final = "nodes with strange ids"
DOUBLED_IDS: Final = "nodes with the id of another"
NO_RECORDS: Final = "records that are no objects"
DANGLING: Final = "dangling links"
TO_ITSELF: Final = "links from a node to itself"
STRANGE_QUALITIES: Final = "links with an unreadable quality"
ONE_SIDED: Final = "one-sided links"
OFFLINE_ENDS: Final = "links of nodes that are offline"
_SHOWN: Final = 40  # characters of a value that a reason repeats


@dataclass(frozen=True, slots=True)
class Half:
    """What a record says of a link in the direction in which it names it.

    Attributes:
        forth: quality in that direction; None: not known.
        back: quality in the other direction.
        cost: figure of the source for that direction.
        up: False if it is down.
        kind: of the link.
        metric: of the cost.
    """

    forth: float | None
    back: float | None = None
    cost: float | None = None
    up: bool = True
    kind: str = "other"
    metric: str = ""


class Collector:
    """The records of one source.

    Args:
        source: the file or URL as errors may show it, without credentials.
        format_name: the name of the format.
        implies: whether links may name nodes without a record of their own.

    Attributes:
        nodes: the nodes so far, by id.
    """

    def __init__(self, source: str, format_name: str, *, implies: bool = False) -> None:
        self.nodes: dict[str, NetworkNode] = {}
        self._source = source
        self._format = format_name
        self._implies = implies
        self._owners: dict[str, str] = {}  # address -> id; "" where it belongs to several
        self._links: list[NetworkLink] = []
        self._half: dict[tuple[str, str], list[int]] = {}  # links without the other direction yet
        self._records = self._merged = self._implied = 0
        self._left_out: list[LeftOut] = []
        self._altered: dict[tuple[str, str], LeftOut] = {}
        self._notes: list[str] = []

    def fields(self, record: object, entry: str) -> Fields:
        """The optional fields of a record; what cannot be read is said."""
        return Fields(record, entry, self.alter)

    def alter(self, reason: str, entry: str, why: str) -> None:
        """Say that a record was used, but not as it stands; once for each reason and place."""
        self._altered.setdefault((reason, entry), LeftOut(reason, entry, why))

    def leave_out(self, reason: str, entry: str, why: str) -> None:
        """Count a record that is left out."""
        self._records += 1
        self._left_out.append(LeftOut(reason, entry, why))

    def merge(self) -> None:
        """Count a record that says more of what another record began."""
        self._records += 1
        self._merged += 1

    def note(self, sentence: str) -> None:
        """Say something about the source as a whole, once."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def new_id(self, value: object, entry: str) -> str | None:
        """The id of a new node; None if the record is left out for it."""
        name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not is_node_id(name) or REPLACEMENT in str(name):
            self.leave_out(STRANGE_IDS, entry, f"{shown(value)} is not a node id")
            return None
        if name in self.nodes:
            self.leave_out(DOUBLED_IDS, entry, f"the id {name} was given before")
            return None
        return str(name)

    def add_node(self, node: NetworkNode) -> None:
        """Take a node with an id of `new_id`."""
        self._records += 1
        self._take(node)

    def mark_gateways(self, names: Iterable[str], *, all_told: bool = True) -> None:
        """Say which of the nodes are gateways.

        Args:
            names: their ids or addresses.
            all_told: the others are none; else nothing is said of them.
        """
        gateways = {self.node_of(name) for name in names}
        for name, node in self.nodes.items():
            if name in gateways or all_told:
                self.nodes[name] = replace(node, gateway=name in gateways)

    def imply_node(self, name: str) -> None:
        """Take a node that has no record of its own, unless it is there."""
        if name not in self.nodes:
            self._implied += 1
            self._take(NetworkNode(name))

    def owned(self, name: str, addresses: Iterable[str]) -> None:
        """Say whose addresses these are; an address of two nodes joins nothing."""
        for address in addresses:
            if self._owners.setdefault(address, name) != name:
                self._owners[address] = ""

    def node_of(self, end: object) -> str | None:
        """Id of the node that a text names by its id or an address; None if there is none."""
        name = str(end) if isinstance(end, int) and not isinstance(end, bool) else end
        if not isinstance(name, str):
            return None
        if name in self.nodes:
            return name
        owner = self._owners.get(name.lower())
        if owner or not self._implies or not is_node_id(name) or REPLACEMENT in name:
            return owner or None
        self.imply_node(name)
        return name

    def ends(self, source: object, target: object, entry: str) -> tuple[str, str] | None:
        """Ids of both ends of a link; None if the record is left out for them."""
        pair = self.node_of(source), self.node_of(target)
        for end, name in zip((source, target), pair, strict=True):
            if name is None:
                several = isinstance(end, str) and self._owners.get(end.lower()) == ""
                what = "belongs to several nodes" if several else "is not among the nodes"
                self.leave_out(DANGLING, entry, f"{shown(end)} {what}")
                return None
        a, b = pair
        if a is None or b is None or a == b:
            self.leave_out(TO_ITSELF, entry, f"both of its ends are {a}")
            return None
        return a, b

    def add_link(self, link: NetworkLink) -> None:
        """Take a link between two ends of `ends`."""
        self._records += 1
        self._links.append(link)

    def add_half(self, ends: tuple[str, str], half: Half, way: tuple[str, str]) -> None:
        """Take one direction of a link.

        Args:
            ends: ids of its ends, in its direction.
            half: what is said of it.
            way: the addresses between which it runs, in the same order. A record of the other
                direction between the same two completes the link, another one of this direction is
                a link of its own.
        """
        a, b = ends
        waiting = self._half.get((way[1], way[0]))
        if waiting:
            at = waiting.pop(0)
            self._links[at] = _complete(self._links[at], half)
            self.merge()
            return
        self._half.setdefault(way, []).append(len(self._links))
        quality, cost = (half.forth, half.back), (half.cost, None)
        self.add_link(NetworkLink(a, b, quality, half.kind, half.up, half.metric, cost))

    def reading(self, made_at: float | None = None) -> Reading:
        """Everything that was gathered.

        Raises:
            TopologyError: there is no node.
        """
        if not self.nodes:
            why = f"it lists no node ({self._left_out[0].why})" if self._left_out else ""
            remedy = "Give a map with nodes and links."
            refuse(self._source, "nodes", why or "it lists no node", remedy)
        self._say_what_is_odd()
        return Reading(
            self._source,
            self._format,
            tuple(self.nodes.values()),
            tuple(self._links),
            self._records,
            self._merged,
            self._implied,
            tuple(self._left_out),
            tuple(self._altered.values()),
            tuple(self._notes),
            made_at,
        )

    def _take(self, node: NetworkNode) -> None:
        self.nodes[node.id] = node
        self.owned(node.id, node.addresses)

    def _say_what_is_odd(self) -> None:
        offline = {node.id for node in self.nodes.values() if node.online is False}
        for at, link in enumerate(self._links):
            between = f"{link.a}--{link.b}"
            odd: list[tuple[str, str]] = []
            if link.quality.count(None) == 1 and link.up:
                odd.append((ONE_SIDED, "one of its ends did not report"))
            silent = sorted({link.a, link.b} & offline)
            if silent and link.usable:
                odd.append((OFFLINE_ENDS, f"{silent[0]} is offline: last known"))
            for reason, why in odd:
                # Of several links of one pair, each counts.
                self._altered[reason, f"{between} {at}"] = LeftOut(reason, between, why)


def shown(value: object) -> str:
    """A value as a reason repeats it."""
    if not isinstance(value, str):
        return type_name(value)
    return ascii(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")


def _complete(link: NetworkLink, half: Half) -> NetworkLink:
    """A link with its other direction, from its `b` to its `a`."""
    forth, back = link.quality
    if half.forth is not None:
        back = half.forth
    if forth is None:
        forth = half.back
    return replace(
        link,
        quality=(forth, back),
        cost=(link.cost[0], half.cost),
        up=link.up and half.up,
        kind=link.kind if link.kind != "other" else half.kind,
    )
