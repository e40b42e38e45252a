"""What one babeld says on its control socket: its lines, and the table that they add up to.

On connecting it sends four lines (`BABEL 1.0`, `version`, `host`, `my-id`) and `ok`. `dump` gives
a line `add` for each thing that it knows; `monitor` gives these and then, for ever, `add`, `change`
or `flush` lines. A line is `VERB KIND NAME` and pairs of key and value (babeld(8), "Local
Configuration Protocol"). Keys that are unknown are skipped, so that newer versions can be read.

Invariants: a line that cannot be read changes nothing and is counted; a table holds `MAX_THINGS` at
most.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from actors.topology.formats.metrics import BABEL_INFINITY
from actors.topology.network import LeftOut

MAX_THINGS: Final = 100_000  # neighbours, routes and interfaces of one router
MAX_FAULTS: Final = 20  # unreadable lines that are named one by one
_BITS: Final = 16  # Hellos in a register; the newest is the highest bit
# Hellos heard in a row that make a good witness of those that are missed: whose rxcost is perfect.
_STEADY: Final = 9
_SHOWN: Final = 60  # characters of a line that is named
_VERBS: Final = ("add", "change", "flush")
UNREADABLE: Final = "unreadable lines"


@dataclass(frozen=True, slots=True)
class BabelInterface:
    """An interface that the router speaks Babel on."""

    name: str
    up: bool
    addresses: tuple[str, ...]  # link-local IPv6 first, then IPv4


@dataclass(frozen=True, slots=True)
class BabelNeighbour:
    """A router that is heard, or was until a moment ago.

    Attributes:
        address: its link-local address.
        interface: ours, on which it is heard.
        reach: the last 16 multicast Hellos, the newest the highest bit; 1: heard.
        unicast_reach: the same for unicast Hellos.
        rxcost: cost of hearing it, measured here; 256: every Hello is heard; 65535: infinite.
        txcost: cost that it tells of hearing us.
        cost: of the link, as routes use it.
        rtt_ms: measured round trip, if the link measures it.
    """

    address: str
    interface: str
    reach: int
    unicast_reach: int
    rxcost: int
    txcost: int
    cost: int
    rtt_ms: float | None = None

    @property
    def heard(self) -> bool:
        """Whether any of the last Hellos was heard."""
        return bool(self.reach or self.unicast_reach)

    @property
    def missed(self) -> int:
        """How many Hellos were missed since the last one that was heard; 16: all that are told."""
        return _BITS - (self.reach | self.unicast_reach).bit_length()

    @property
    def steady(self) -> bool:
        """Whether the `_STEADY` Hellos before those that are `missed` were all heard."""
        before = (self.reach | self.unicast_reach) >> max(_BITS - self.missed - _STEADY, 0)
        return before == (1 << _STEADY) - 1


@dataclass(frozen=True, slots=True)
class BabelRoute:
    """A route that a neighbour announces.

    Attributes:
        prefix: destination.
        router_id: who originates it.
        metric: cost of all the way from here; 65535: retracted.
        refmetric: cost that the neighbour announces; 0: the neighbour itself is the origin.
        via: link-local address of the neighbour.
        interface: ours, that leads to it.
        installed: whether it is the one in use.
    """

    prefix: str
    router_id: str
    metric: int
    refmetric: int
    via: str
    interface: str
    installed: bool


@dataclass(slots=True)
class BabelTable:
    """The state of one router.

    Attributes:
        version: of babeld, as it says it.
        host: its host name.
        router_id: its router id (`my-id`); "" before it was told.
        unreadable: number of lines that could not be read.
        faults: the first of these.
    """

    version: str = ""
    host: str = ""
    router_id: str = ""
    interfaces: dict[str, BabelInterface] = field(default_factory=dict)
    neighbours: dict[str, BabelNeighbour] = field(default_factory=dict)
    routes: dict[str, BabelRoute] = field(default_factory=dict)
    announced: dict[str, str] = field(default_factory=dict)  # prefixes that it originates
    unreadable: int = 0
    faults: list[LeftOut] = field(default_factory=list)

    def begin_dump(self) -> None:
        """Forget all things, of which each is about to be told."""
        for things in (self.interfaces, self.neighbours, self.routes, self.announced):
            things.clear()
        self.unreadable = 0
        self.faults.clear()

    def feed(self, line: str) -> None:
        """Take in one line, other than `ok`, `no` or `bad`."""
        words = line.split()
        if not words or words[0] == "BABEL":
            return
        if words[0] in _VERBS:
            try:
                self._take(words)
            except (KeyError, ValueError, IndexError) as error:
                self._unreadable(line, error)
        elif len(words) == 2 and words[0] in {"version", "host", "my-id"}:
            name = {"my-id": "router_id"}.get(words[0], words[0])
            setattr(self, name, words[1])

    def _take(self, words: list[str]) -> None:
        verb, kind, name, *rest = words
        stores: dict[str, dict[str, Any]] = {
            "interface": self.interfaces,
            "neighbour": self.neighbours,
            "route": self.routes,
            "xroute": self.announced,
        }
        store = stores.get(kind)
        if store is None:  # newer versions may have more kinds
            return
        if verb == "flush":
            store.pop(name, None)
            return
        if name not in store and len(store) >= MAX_THINGS:
            raise ValueError(f"there are more than {MAX_THINGS:,} of its kind")
        pairs = dict(zip(rest[::2], rest[1::2], strict=False))
        if kind == "interface":
            self.interfaces[name] = _interface(name, pairs)
        elif kind == "neighbour":
            self.neighbours[name] = _neighbour(pairs)
        elif kind == "route":
            self.routes[name] = _route(pairs)
        else:
            self.announced[name] = pairs["prefix"]

    def _unreadable(self, line: str, error: Exception) -> None:
        self.unreadable += 1
        if len(self.faults) < MAX_FAULTS:
            missing = isinstance(error, KeyError)
            why = f"it has no {error.args[0]}" if missing else str(error) or "it is cut short"
            self.faults.append(LeftOut(UNREADABLE, line[:_SHOWN], why))

    def snapshot(self) -> BabelTable:
        """A copy that stays as it is."""
        return replace(
            self,
            interfaces=dict(self.interfaces),
            neighbours=dict(self.neighbours),
            routes=dict(self.routes),
            announced=dict(self.announced),
            faults=list(self.faults),
        )


def _interface(name: str, pairs: dict[str, str]) -> BabelInterface:
    addresses = (pairs[key].lower() for key in ("ipv6", "ipv4") if key in pairs)
    return BabelInterface(name, pairs["up"] == "true", tuple(addresses))


def _neighbour(pairs: dict[str, str]) -> BabelNeighbour:
    return BabelNeighbour(
        pairs["address"].lower(),
        pairs["if"],
        _word(pairs["reach"], 16),
        _word(pairs.get("ureach", "0"), 16),
        _word(pairs["rxcost"]),
        _word(pairs["txcost"]),
        _word(pairs["cost"]),
        float(pairs["rtt"]) if "rtt" in pairs else None,
    )


def _route(pairs: dict[str, str]) -> BabelRoute:
    return BabelRoute(
        pairs["prefix"],
        pairs["id"],
        _word(pairs["metric"]),
        _word(pairs["refmetric"]),
        pairs["via"].lower(),
        pairs["if"],
        pairs.get("installed") == "yes",
    )


def _word(text: str, base: int = 10) -> int:
    """An unsigned number of 16 bits."""
    value = int(text, base)
    if not 0 <= value <= BABEL_INFINITY:
        raise ValueError(f"{value} is no number of 16 bits")
    return value
