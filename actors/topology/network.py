"""A network as a source describes it, before anything is computed from it.

A `Reading` is one answer of one source: the nodes and links with all that is said of them, and
every record that was left out, with the reason. Absent is not zero: what a source does not say is
None, or "" for a text. `selection` makes a `Topology` of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """What a source says of one node.

    Attributes:
        id: its id, see `actors.runtime.ids`.
        name: host name or label that people know it by; it need not be unique.
        addresses: MAC and IP addresses of its interfaces, in lower case; by them records of
            different sources are joined.
        online: whether the source calls it online.
        seen_at: when the source last heard it, Unix time, s.
        gateway: whether it leads to the internet.
        vpn: whether it is a server that only tunnels lead to, so that each of its links is one.
        clients: number of people's devices connected to it.
        nexthop: id or address of the neighbour over which it reaches its gateway.
        model: the hardware.
        role: what its operator calls its purpose.
        firmware: release of its firmware.
        domain: part of the network it belongs to.
        location: latitude and longitude, degrees.
        telemetry: figures by name; the names and units are in `telemetry`.
    """

    id: str
    name: str = ""
    addresses: tuple[str, ...] = ()
    online: bool | None = None
    seen_at: float | None = None
    gateway: bool | None = None
    vpn: bool = False
    clients: int | None = None
    nexthop: str = ""
    model: str = ""
    role: str = ""
    firmware: str = ""
    domain: str = ""
    location: tuple[float, float] | None = None
    telemetry: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """What a source says of one link.

    Attributes:
        a, b: ids of its two nodes.
        quality: delivery probability from a to b and from b to a, in [0, 1]; None: not known.
        kind: `wifi`, `vpn`, `other`, or another word of the source.
        up: False if the source says that it is down.
        metric: what the source measures it by (`tq`, `etx`, `babel`, `throughput`), or "".
        cost: that figure from a to b and from b to a, in its own unit; None: not known.
    """

    a: str
    b: str
    quality: tuple[float | None, float | None] = (None, None)
    kind: str = "other"
    up: bool = True
    metric: str = ""
    cost: tuple[float | None, float | None] = (None, None)

    @property
    def usable(self) -> bool:
        """Whether something may pass: it is up, and not both of its qualities are 0."""
        return self.up and self.quality != (0, 0)


UNANSWERED: Final = "links to nodes that did not answer"
"""A reason that is no fault of the source: it asks nodes, and not all of them answer."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record of a source that was not used, or not as it stands.

    Attributes:
        reason: the kind of fault in the plural, by which they are counted: `dangling links`.
        entry: where it stands: `links[17].source_tq`.
        why: what is wrong with this one.
    """

    reason: str
    entry: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of one source.

    Attributes:
        source: where it is from, without credentials.
        format: the name of the format.
        nodes: the nodes; ids are unique.
        links: the links; pairs may repeat, and both ends are among the nodes.
        records: number of node and link records that the source had. Each is in `nodes` or
            `links`, is merged or is left out: `records + implied` is the number of nodes and links,
            plus `merged`, plus the length of `left_out`.
        merged: number of records that say more of a node or link which another record began, such
            as the other direction of a link.
        implied: number of nodes without a record of their own, which only links name.
        left_out: the records that were left out.
        altered: what was used, but not as it stands (a name in another encoding, say).
        notes: sentences about the source as a whole.
        made_at: the source's own time, Unix time, s.
    """

    source: str
    format: str
    nodes: tuple[NetworkNode, ...]
    links: tuple[NetworkLink, ...]
    records: int
    merged: int = 0
    implied: int = 0
    left_out: tuple[LeftOut, ...] = ()
    altered: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    made_at: float | None = None

    @property
    def share_left_out(self) -> float:
        """Share of the records that were left out for a fault, in [0, 1]."""
        faults = sum(each.reason != UNANSWERED for each in self.left_out)
        return faults / self.records if self.records else 0.0
