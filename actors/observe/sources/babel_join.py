"""One network out of the tables of several babeld.

A router knows a neighbour by its link-local address alone. Whose address that is, is found out in
this order: a router that is asked has it on an interface; a router announces a route of its own
(refmetric 0) over it; it was so in an earlier reading, or in an earlier process. An address that
several routers have belongs to the one that hears us in turn.

A link is what two routers say of the same pair of addresses. Each direction is measured by the one
that receives (rxcost); where that one is not asked, by what it last told the other (txcost). A link
is down if a direction has infinite cost, if no Hello of the last sixteen was heard, or if a router
that answers does not know the neighbour that hears it.

babeld itself takes a link for lost only after twelve missed Hellos. Sooner, and never by one lost
Hello alone, are told:
- a router whose socket has stopped to answer is dead, if somebody who had heard nine of its Hellos
  in a row misses the newest, or all who know it do;
- a link is down, if both its ends had heard nine Hellos in a row and both miss the newest three:
  six losses at once of a link that had lost nothing.

With the link type `wireless`, rxcost is 256 divided by the share of Hellos heard (RFC 8966,
appendix A.2.2); with `wired` it is 96, and loss is not seen until the link is down.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.topology.formats.metrics import BABEL, BABEL_INFINITY, of_babel_rxcost
from actors.topology.link_kinds import VPN, is_radio, is_tunnel
from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actors.observe.sources.babel_table import BabelNeighbour, BabelTable

FORMAT: Final = "babeld"
BOTH: Final = 2  # ends of a link
CUT: Final = 3  # newest Hellos that both ends miss
_DEFAULT: Final = ("::/0", "0.0.0.0/0")
_RADIO: Final = ("wl", "ath", "mesh", "radio", "ibss", "phy")  # beginnings of interface names


@dataclass(frozen=True, slots=True)
class AskedRouter:
    """A router that is asked, and its last answer.

    Attributes:
        name: what its operator calls it; then also its node id. "" to use the router id.
        where: its control socket.
        table: its last table; None if it never answered.
        seen_at: time of that, Unix time, s.
        failure: why it does not answer now; "" if it does.
    """

    name: str
    where: str
    table: BabelTable | None
    seen_at: float
    failure: str = ""

    @property
    def node_id(self) -> str:
        """Id of its node; "" if it is not known."""
        return self.name or (self.table.router_id if self.table else "")


@dataclass(frozen=True, slots=True)
class _View:
    """What one router says of one neighbour."""

    node: str
    peer: str
    own_address: str  # "" if its interface has told none
    told: BabelNeighbour

    @property
    def key(self) -> tuple[frozenset[str], ...]:
        """The same for both ends of one link."""
        ends = frozenset((self.node, self.peer))
        return ends, frozenset((self.own_address, self.told.address))


class BabelJoin:
    """Joins tables, and remembers whose an address was."""

    def __init__(self) -> None:
        self._remembered: dict[str, str] = {}

    def recall(self, nodes: Mapping[str, NetworkNode]) -> None:
        """Remember the addresses of the nodes of an earlier process, where one node has each."""
        owners: defaultdict[str, set[str]] = defaultdict(set)
        for name, node in nodes.items():
            for address in node.addresses:
                owners[address].add(name)
        for address, names in owners.items():
            if len(names) == 1:
                self._remembered.setdefault(address, *names)

    def reading(self, source: str, routers: Sequence[AskedRouter]) -> Reading:
        """The network that the routers describe together."""
        return _Joining(source, routers, self._remembered).reading()


class _Joining:
    """One join.

    Args:
        source: name of the source.
        routers: all that are asked.
        remembered: node ids by address, of earlier joins; it is kept up to date.
    """

    def __init__(
        self, source: str, routers: Sequence[AskedRouter], remembered: dict[str, str]
    ) -> None:
        self._source = source
        self._remembered = remembered
        self._left_out: list[LeftOut] = []
        self._asked: dict[str, AskedRouter] = {}
        for router in routers:
            self._accept(router)
        self._answering = {
            node: router.table
            for node, router in self._asked.items()
            if router.table is not None and not router.failure
        }
        self._of_router_id = {
            router.table.router_id: node for node, router in self._asked.items() if router.table
        }
        self._owners: defaultdict[str, set[str]] = defaultdict(set)
        for node, router in self._asked.items():
            for interface in router.table.interfaces.values() if router.table else ():
                for address in interface.addresses:
                    self._owners[address].add(node)
        self._gateways: set[str] = set()
        self._dead: set[str] = set()
        self._learn()

    def reading(self) -> Reading:
        """The network."""
        views = [view for node in self._answering for view in self._views(node)]
        self._dead = self._find_dead(views)
        by_key: defaultdict[tuple[frozenset[str], ...], list[_View]] = defaultdict(list)
        for view in views:
            by_key[view.key].append(view)
        links = tuple(self._link(group) for group in by_key.values())
        implied = {view.peer for view in views} - self._asked.keys()
        heard = {end for link in links if link.up for end in (link.a, link.b)}
        nodes = [self._node(node, router, heard) for node, router in self._asked.items()]
        nodes += [self._implied(node, heard) for node in sorted(implied)]
        faults = [fault for table in self._answering.values() for fault in table.faults]
        left_out = (*self._left_out, *faults)
        return Reading(
            source=self._source,
            format=FORMAT,
            nodes=tuple(nodes),
            links=links,
            records=len(self._asked) + len(views) + len(left_out),
            merged=len(views) - len(links),
            implied=len(implied),
            left_out=left_out,
            notes=tuple(self._notes()),
            made_at=max((r.seen_at for r in self._asked.values() if not r.failure), default=None),
        )

    # -- who is who ------------------------------------------------------------------------------

    def _accept(self, router: AskedRouter) -> None:
        node = router.node_id
        if not node:
            why = router.failure or "it has not told its router id"
            self._left_out.append(LeftOut("routers that never answered", router.where, why))
        elif node in self._asked:
            why = f"{self._asked[node].where} has the router id {node} too"
            self._left_out.append(LeftOut("routers with the id of another", router.where, why))
        else:
            self._asked[node] = router

    def _learn(self) -> None:
        """Learn whose addresses are, and who leads to the internet, from routes."""
        self._recognise()
        for table in self._answering.values():
            # Later ones win: those in use after those that are not, retracted ones first.
            for route in sorted(
                table.routes.values(), key=lambda r: (r.metric < BABEL_INFINITY, r.installed)
            ):
                origin = self._of_router_id.get(route.router_id, route.router_id)
                if route.refmetric == 0:
                    self._remembered[route.via] = origin
                if route.prefix in _DEFAULT and route.metric < BABEL_INFINITY:
                    self._gateways.add(origin)

    def _recognise(self) -> None:
        """Know routers that have not answered yet by an address that was their own."""
        own = [r for t in self._answering.values() for r in t.routes.values() if r.refmetric == 0]
        for route in own:
            router = self._asked.get(self._remembered.get(route.via, ""))
            if router is not None and router.table is None:
                self._of_router_id.setdefault(route.router_id, router.node_id)

    def _peer(self, address: str, node: str, own_address: str) -> str:
        """Id of the node that has an address which `node` hears; "" if it is not known."""
        owners = self._owners.get(address, set()) - {node}
        if len(owners) == 1:
            return next(iter(owners))
        hearing = [
            owner
            for owner in owners
            if owner in self._answering
            and any(n.address == own_address for n in self._answering[owner].neighbours.values())
        ]
        if len(hearing) == 1:
            return hearing[0]
        return "" if owners else self._remembered.get(address, "")

    def _views(self, node: str) -> Iterator[_View]:
        table = self._answering[node]
        for told in table.neighbours.values():
            interface = table.interfaces.get(told.interface)
            own = interface.addresses[0] if interface and interface.addresses else ""
            peer = self._peer(told.address, node, own)
            if peer and peer != node:
                yield _View(node, peer, own, told)
                continue
            self._left_out.append(
                LeftOut(
                    "neighbours whose router is not known",
                    f"{node}: {told.address} on {told.interface}",
                    "no router that is asked has this address, and none announces a route of its "
                    "own over it",
                )
            )

    def _find_dead(self, views: Sequence[_View]) -> set[str]:
        """Routers that have stopped to answer, and whose newest Hello was missed."""
        by: defaultdict[str, list[BabelNeighbour]] = defaultdict(list)
        for view in views:
            by[view.peer].append(view.told)
        stopped = {n for n, one in self._asked.items() if one.table is not None and one.failure}
        return {
            node
            for node in stopped & by.keys()
            if any(told.missed and told.steady for told in by[node])
            or all(told.missed for told in by[node])
        }

    # -- what is made of it ----------------------------------------------------------------------

    def _link(self, group: Sequence[_View]) -> NetworkLink:
        a, b = sorted((group[0].node, group[0].peer))
        of: dict[str, BabelNeighbour] = {view.node: view.told for view in group}
        costs = (self._cost(of, b, a), self._cost(of, a, b))
        heard = all(told.heard for told in of.values()) and not {a, b} & self._dead
        cut = len(of) == BOTH and all(told.steady and told.missed >= CUT for told in of.values())
        return NetworkLink(
            a,
            b,
            quality=(of_babel_rxcost(costs[0]), of_babel_rxcost(costs[1])),
            kind=_kind(group[0].told.interface),
            up=heard and not cut and max(costs) < BABEL_INFINITY,
            metric=BABEL,
            cost=costs,
        )

    def _cost(self, of: dict[str, BabelNeighbour], receiver: str, sender: str) -> int:
        """Cost of the direction from `sender` to `receiver`."""
        if receiver in of:
            return of[receiver].rxcost
        # Who answers and does not know the neighbour hears nothing of it.
        return BABEL_INFINITY if receiver in self._answering else of[sender].txcost

    def _implied(self, node: str, heard: set[str]) -> NetworkNode:
        """A router that is not asked."""
        return NetworkNode(node, online=node in heard or None, gateway=node in self._gateways)

    def _node(self, node: str, router: AskedRouter, heard: set[str]) -> NetworkNode:
        table = router.table
        answers = node in self._answering
        gateway = None
        nexthop = ""
        addresses: list[str] = []
        if table is not None:
            addresses = [a for i in table.interfaces.values() for a in i.addresses]
            gateway = any(prefix in _DEFAULT for prefix in table.announced.values())
            nexthop = self._nexthop(node, table)
        else:
            addresses = [a for a, owner in self._remembered.items() if owner == node]
        return NetworkNode(
            node,
            name=router.name or (table.host if table else ""),
            addresses=tuple(dict.fromkeys(addresses)),
            # Its socket may be out of reach while its neighbours hear it.
            online=answers or node in heard,
            seen_at=router.seen_at or None,
            gateway=gateway,
            nexthop=nexthop if answers else "",
            firmware=table.version if table else "",
        )

    def _nexthop(self, node: str, table: BabelTable) -> str:
        for route in table.routes.values():
            usable = route.installed and route.metric < BABEL_INFINITY
            if usable and route.prefix in _DEFAULT:
                return self._peer(route.via, node, "") or route.via
        return ""

    def _notes(self) -> Iterator[str]:
        for node, router in self._asked.items():
            if router.failure:
                yield f"{node} ({router.where}) does not answer: {router.failure}."
            elif router.table is not None and router.table.unreadable > len(router.table.faults):
                more = router.table.unreadable - len(router.table.faults)
                yield f"{more:,} more lines of {node} could not be read."


def _kind(interface: str) -> str:
    """Kind of the links of an interface, of which only the name is known."""
    if is_tunnel(interface):
        return VPN
    return "wifi" if is_radio(interface) or interface.startswith(_RADIO) else "other"
