"""A network as a list of its nodes and links, with what people sort and filter by.

Whatever is not known is None: it is shown as such, comes last in every order, and fits no filter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.runtime.errors import InvalidInput
from actors.topology.naming import Naming
from actors.topology.network import NetworkLink, NetworkNode, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.topology.model import Topology
    from actors.topology.provenance import Network

Row = TypeVar("Row")
DOWN: Final = "down"  # the state of a link that carries nothing
NODE_ORDERS: Final = ("name", "id", "state", "since", "links", "clients")
LINK_ORDERS: Final = ("quality", "etx", "kind", "state", "name")
_LARGEST_FIRST: Final = frozenset({"since", "links", "clients", "etx"})


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A node.

    Attributes:
        id: its id.
        name: host name or label.
        state: what is known of it, in the words of its network; a map tells none.
        since: Unix time of that state, s.
        links: how many links it has, also those that are down.
        gateway: whether it leads to the internet.
        clients: number of people's devices connected to it.
        location: latitude and longitude, degrees.
    """

    id: str
    name: str | None
    state: str | None
    since: float | None
    links: int
    gateway: bool | None
    clients: int | None
    location: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class ListedLink:
    """A link.

    Attributes:
        a, b: ids of its ends.
        a_name, b_name: their names.
        kind: `wifi`, `vpn`, `other`, or another word of the source.
        state: what is known of it, in the words of its network; a map tells none.
        quality: delivery probability from a to b and from b to a, in [0, 1].
        etx: expected transmissions of a frame until it is acknowledged.
        parallel: how many links it stands for.
    """

    a: str
    b: str
    a_name: str | None
    b_name: str | None
    kind: str
    state: str | None
    quality: tuple[float | None, float | None]
    etx: float | None
    parallel: int


@dataclass(frozen=True, slots=True)
class NetworkListing:
    """A network.

    Attributes:
        network: which one it is.
        source: where it is known from.
        nodes: all of them.
        links: all of them.
        left_out: number of records that its source has besides, by reason.
        warnings: sentences on what is missing or odd in it.
    """

    network: Network
    source: str
    nodes: tuple[ListedNode, ...]
    links: tuple[ListedLink, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def naming(self) -> Naming:
        """Finds its nodes, by their positions in `nodes`."""
        index = {node.id: at for at, node in enumerate(self.nodes)}
        return Naming(index, [node.name or "" for node in self.nodes])

    def reading(self) -> Reading:
        """The same as a reading, of which `selection` makes a topology."""
        nodes = (
            NetworkNode(
                node.id,
                name=node.name or "",
                gateway=node.gateway,
                clients=node.clients,
                location=node.location,
            )
            for node in self.nodes
        )
        links = (
            NetworkLink(link.a, link.b, link.quality, link.kind, up=link.state != DOWN)
            for link in self.links
        )
        records = len(self.nodes) + len(self.links)
        return Reading(self.source, self.network, tuple(nodes), tuple(links), records)


def of_topology(topology: Topology, network: Network, source: str) -> NetworkListing:
    """The listing of a map. A quality that nobody measured is not known."""
    table, ids = topology.nodes, topology.ids
    names = [name or None for name in table.names]
    nodes = [
        ListedNode(
            id=node,
            name=name,
            state=None,
            since=None,
            links=links,
            gateway=gateway or None,  # a map that names none need not know them all
            clients=None if clients < 0 else clients,
            location=None if math.isnan(place[0]) else (place[0], place[1]),
        )
        for node, name, links, gateway, clients, place in zip(
            ids,
            names,
            topology.degree.tolist(),
            table.gateway.tolist(),
            table.clients.tolist(),
            table.location.tolist(),
            strict=True,
        )
    ]
    links = [
        ListedLink(
            a=ids[a],
            b=ids[b],
            a_name=names[a],
            b_name=names[b],
            kind=topology.kinds[kind],
            state=None,
            quality=(quality := _known(qualities, measured)),
            etx=etx_of(*quality),
            parallel=parallel,
        )
        for (a, b), kind, qualities, measured, parallel in zip(
            topology.ends.tolist(),
            topology.kind.tolist(),
            topology.quality.tolist(),
            topology.measured.tolist(),
            topology.parallel.tolist(),
            strict=True,
        )
    ]
    return NetworkListing(network, source, tuple(nodes), tuple(links))


def _known(quality: Sequence[float], measured: Sequence[bool]) -> tuple[float | None, float | None]:
    forth, back = (value if known else None for value, known in zip(quality, measured, strict=True))
    return forth, back


def etx_of(forth: float | None, back: float | None) -> float | None:
    """Expected transmissions for both delivery probabilities, see `etx`."""
    return 1.0 / (forth * back) if forth and back else None


def chosen_nodes(
    nodes: Iterable[ListedNode],
    *,
    containing: str = "",
    states: Iterable[str] = (),
    gateways: bool = False,
) -> list[ListedNode]:
    """The nodes that fit all filters: a part of id or name, one of some states, gateways alone."""
    folded, wanted = containing.casefold(), {state.casefold() for state in states}
    return [
        node
        for node in nodes
        if folded in f"{node.id}\n{node.name or ''}".casefold()
        and (not wanted or (node.state or "").casefold() in wanted)
        and (not gateways or node.gateway)
    ]


def chosen_links(
    links: Iterable[ListedLink],
    *,
    node: str | None = None,
    kinds: Iterable[str] = (),
    states: Iterable[str] = (),
) -> list[ListedLink]:
    """The links that fit all filters: an end by its id, one of some kinds, one of some states."""
    of_kind, in_state = ({word.casefold() for word in words} for words in (kinds, states))
    return [
        link
        for link in links
        if node in (None, link.a, link.b)
        and (not of_kind or link.kind.casefold() in of_kind)
        and (not in_state or (link.state or "").casefold() in in_state)
    ]


def ordered_nodes(nodes: Sequence[ListedNode], order: str) -> list[ListedNode]:
    """Sorted by one of `NODE_ORDERS`; equals by name, then id.

    Raises:
        InvalidInput: there is no such order.
    """
    _check_order(order, NODE_ORDERS)
    by_name = sorted(nodes, key=lambda node: ((node.name or node.id).casefold(), node.id))
    if order == "name":
        return by_name
    return _sorted(by_name, lambda node: getattr(node, order), largest=order in _LARGEST_FIRST)


def ordered_links(links: Sequence[ListedLink], order: str) -> list[ListedLink]:
    """Sorted by one of `LINK_ORDERS`, the worst first; equals by the names of the ends.

    Raises:
        InvalidInput: there is no such order.
    """
    _check_order(order, LINK_ORDERS)

    def ends(link: ListedLink) -> tuple[str, str]:
        return (link.a_name or link.a).casefold(), (link.b_name or link.b).casefold()

    by_name = sorted(links, key=ends)
    if order == "name":
        return by_name
    if order == "quality":
        return _sorted(by_name, worse_quality, largest=False)
    return _sorted(by_name, lambda link: getattr(link, order), largest=order in _LARGEST_FIRST)


def worse_quality(link: ListedLink) -> float | None:
    """The quality of the worse direction; None if neither is known."""
    return min((value for value in link.quality if value is not None), default=None)


def _sorted(rows: Sequence[Row], key: Callable[[Row], Any], *, largest: bool) -> list[Row]:
    known = [row for row in rows if key(row) is not None]
    return [*sorted(known, key=key, reverse=largest), *(row for row in rows if key(row) is None)]


def _check_order(order: str, known: Sequence[str]) -> None:
    if order not in known:
        raise InvalidInput(
            f"--sort {order[:40]} is refused",
            "there is no such order",
            f"One of {', '.join(known)}.",
        )
