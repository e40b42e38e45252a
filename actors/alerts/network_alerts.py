"""What happens in networks, as alerts: one incident is one thread, and a storm is one alert (pure).

Events come in the order in which they were stored; see `network_faults` for what each says.
A fault belongs to one thread, and a node that a thread is about belongs to it until the thread is
over: so at most one open thread names a node. A fault that concerns a node of an open thread joins
that thread. Faults that begin within the same hold and touch each other are one thread before it is
told; those that touch nothing of each other are told apart, unless there are more of them at once
than a person could read: then they are one.

What is told is told after a hold, so that the consequences of a failure are told with it, and a
fault that ends within it is not told at all. A thread is over when all its faults are.

The state is JSON: stored with the number of the last event read, it continues after a restart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from actors.alerts import network_thread, network_words
from actors.alerts.down_links import DownLinks
from actors.alerts.network_faults import (
    AWAY,
    Fault,
    FaultKey,
    FaultKind,
    over_by_now,
    read,
)
from actors.alerts.network_thread import Thread
from actors.alerts.settings import LINKS_SHARE
from actors.topology.events import MESH, EventKind
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from actors.alerts.network_faults import Effect
    from actors.runtime.alerting import Alert
    from actors.topology.events import RecordedEvent

FORMAT: Final = 1
GROWN: Final = 1.5  # growth of the share of links that is told anew
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When something is told.

    Attributes:
        hold_s: time from the first fault of a thread, or from a change of it, until it is told, s.
        source_hold_s: the same for a source of which single polls failed, s.
        storm: more threads of one network than so many that begin at once are one.
        links_down: share of all links that is down, of those between nodes that work, which is
            told; it is over at half of it.
        least_links: smaller networks have too few links for a share.
    """

    hold_s: float = 1.0
    source_hold_s: float = 120.0
    storm: int = 5
    links_down: float = LINKS_SHARE
    least_links: int = 10


class NetworkAlerts:
    """Makes alerts of events.

    Args:
        rules: when something is told.
        state: what `export` gave; None: nothing is open.

    Attributes:
        skipped: number of events that could not be read.
    """

    def __init__(
        self, rules: AlertRules = AlertRules(), state: Mapping[str, Any] | None = None
    ) -> None:
        self.skipped = 0
        self._rules = rules
        self._threads: dict[str, Thread] = {}
        self._owner: dict[tuple[Network, str], str] = {}  # thread of each node
        self._of: dict[tuple[Network, FaultKey], str] = {}  # thread of each fault
        self._strangers: set[tuple[Network, str]] = set()  # nodes that have never worked
        self._links: dict[Network, DownLinks] = {}
        self._notes: list[Alert] = []
        self._session = 0
        if state is not None and state.get("format") == FORMAT:
            self._restore(state)

    # -- in ----------------------------------------------------------------------------------------

    def events(self, events: Sequence[RecordedEvent], at: float) -> list[Alert]:
        """Take events in.

        Args:
            events: in the order in which they were stored; each once.
            at: Unix time, s.

        Returns:
            What is to be told now.
        """
        for recorded in events:
            if recorded.source == MESH:
                self._follow(recorded.incarnation, recorded.event.at)
            try:
                effect = read(recorded.event)
                self._take(recorded, effect, at)
            except _UNREADABLE:
                self.skipped += 1
        return self.due(at)

    def begun(self, session: int, at: float) -> list[Alert]:
        """Note that a session with an emulated mesh runs: what was open of another one is over.

        Args:
            session: its number.
            at: Unix time, s.
        """
        self._follow(session, at)
        return self.due(at)

    def due(self, at: float) -> list[Alert]:
        """What is to be told at a time, Unix time, s."""
        due = [one for one in self._threads.values() if one.is_due(at)]
        told, self._notes = self._notes, []
        for network in {one.network for one in due}:
            self._join_storm(network)
        for thread in due:
            if thread.id in self._threads:
                told += self._tell(thread)
        return told

    @property
    def next_due(self) -> float | None:
        """Unix time at which something is to be told next, s; None: nothing is."""
        return min((t.due_at for t in self._threads.values() if t.due_at is not None), default=None)

    # -- what an event changes ---------------------------------------------------------------------

    def _follow(self, session: int, at: float) -> None:
        if session == self._session:
            return
        self._session = session
        self._links.pop(Network.EMULATED, None)
        for network, key in [*self._of]:
            if network is Network.EMULATED:
                self._end(network, key, at, at)

    def _take(self, recorded: RecordedEvent, effect: Effect, at: float) -> None:
        network, event = recorded.network, recorded.event
        note = effect.note
        if event.kind is EventKind.SHARD_RESTARTED and self._was_told(network, effect.ends):
            note = ""  # that the process is down was told, and its end says enough
        ended = {*effect.ends}
        if recorded.source == MESH:
            over = over_by_now(event)
            ended |= {key for of, key in self._of if of is network and key.kind in over}
        for key in ended:
            self._end(network, key, event.at, at)
        begins = self._of_those_that_worked(network, effect)
        if begins:
            self._begin(recorded, replace(effect, begins=begins), at)
        elif note:
            thread = f"{network.value}-{recorded.id}"
            self._notes.append(network_words.noted(recorded, note, thread))
        self._split(network, effect)
        self._count_links(recorded, at)

    def _of_those_that_worked(self, network: Network, effect: Effect) -> list[Fault]:
        """Faults that begin, but for those of nodes that have never worked."""
        self._strangers |= {(network, node) for node in effect.strangers}
        self._strangers -= {(network, node) for node in effect.well}
        return [
            fault for fault in effect.begins if (network, fault.key.owned) not in self._strangers
        ]

    def _begin(self, recorded: RecordedEvent, effect: Effect, at: float) -> None:
        network = recorded.network
        home = self._home(network, effect, recorded.id)
        for fault in effect.begins:
            owner = self._of.get((network, fault.key))
            owner = owner or self._owner.get((network, fault.key.owned), home.id)
            thread = self._threads[owner]
            self._add(thread, fault, at)
        if home.faults:
            if not home.told:
                home.touches |= effect.touches
        elif home.due_at is None and not home.told:  # all faults belong to other threads
            del self._threads[home.id]

    def _home(self, network: Network, effect: Effect, number: int) -> Thread:
        """The thread that new faults of an event join; one without faults if there is none."""
        same = [one for one in self._threads.values() if one.network is network]
        told = [one for one in same if one.told and not effect.touches.isdisjoint(one.nodes)]
        new = [one for one in same if not one.told and not effect.touches.isdisjoint(one.touches)]
        found = told[:1] + new
        if not found:
            thread = Thread(f"{network.value}-{number}", network)
            self._threads[thread.id] = thread
            return thread
        home, *others = found
        for other in others:
            self._merge(home, other)
        return home

    def _add(self, thread: Thread, fault: Fault, at: float) -> None:
        known = thread.faults.get(fault.key)
        if known is not None:  # more is known of it
            fault = replace(fault, since=known.since, data={**known.data, **fault.data})
            if fault == known:
                return
        thread.faults[fault.key] = fault
        self._of[thread.network, fault.key] = thread.id
        if owned := fault.key.owned:
            thread.nodes.add(owned)
            self._owner[thread.network, owned] = thread.id
        for node in fault.data.get("claims", ()):
            if self._owner.setdefault((thread.network, node), thread.id) == thread.id:
                thread.nodes.add(node)
        slow = fault.key.kind is FaultKind.SOURCE_FAILED
        thread.change(at + (self._rules.source_hold_s if slow else self._rules.hold_s))

    def _end(self, network: Network, key: FaultKey, ended: float, at: float) -> None:
        thread = self._threads.get(self._of.pop((network, key), ""))
        if thread is not None:
            del thread.faults[key]
            thread.ended_at = max(thread.ended_at, ended)
            thread.change(at + self._rules.hold_s)

    def _merge(self, home: Thread, other: Thread) -> None:
        """Make a thread that nobody was told of part of another."""
        for key, fault in other.faults.items():
            home.faults[key] = fault
            self._of[home.network, key] = home.id
        for node in other.nodes:
            self._owner[home.network, node] = home.id
        home.nodes |= other.nodes
        home.touches |= other.touches
        home.sides = home.sides or other.sides
        home.ended_at = max(home.ended_at, other.ended_at)
        if other.due_at is not None:
            home.change(other.due_at)
        del self._threads[other.id]

    def _split(self, network: Network, effect: Effect) -> None:
        for side in effect.sides[1:]:
            for node in side["ids"]:
                thread = self._threads.get(self._owner.get((network, node), ""))
                if thread is not None:
                    thread.sides = [network_words.side(each) for each in effect.sides]
                    return

    def _was_told(self, network: Network, keys: Iterable[FaultKey]) -> bool:
        threads = (self._threads.get(self._of.get((network, key), "")) for key in keys)
        return any(thread is not None and thread.told for thread in threads)

    def _count_links(self, recorded: RecordedEvent, at: float) -> None:
        network, event = recorded.network, recorded.event
        links = self._links.setdefault(network, DownLinks())
        if not links.take(event) or links.total < self._rules.least_links:
            return
        away = {key.subject for of, key in self._of if of is network and key.kind in AWAY}
        share = links.share(away)
        key = FaultKey(FaultKind.LINKS_DOWN, "")
        thread = self._threads.get(self._of.get((network, key), ""))
        if thread is None and share >= self._rules.links_down:
            thread = Thread(f"{network.value}-links-{recorded.id}", network)
            self._threads[thread.id] = thread
            worst = 0.0
        elif thread is None or share < self._rules.links_down / 2:
            self._end(network, key, event.at, at)
            return
        else:
            worst = float(thread.faults[key].data["share"])
        if share >= GROWN * worst:  # each percent is no message
            data = {"share": share, "down": links.down(away), "links": links.total}
            self._add(thread, Fault(key, event.at, data), at)

    # -- out ---------------------------------------------------------------------------------------

    def _join_storm(self, network: Network) -> None:
        """Make one thread of those that begin at once, if they are too many."""
        new = [one for one in self._threads.values() if one.network is network and not one.told]
        new = [one for one in new if one.nodes and one.faults]
        if len(new) > self._rules.storm:
            for other in new[1:]:
                self._merge(new[0], other)

    def _tell(self, thread: Thread) -> Iterator[Alert]:
        thread.due_at = None
        told, now = thread.told, {}
        for alert in network_words.alerts(thread):
            now[alert.name.value, alert.key] = alert
        for name, alert in told.items():
            if name not in now:
                yield replace(alert, ended=max(alert.started, thread.ended_at))
        for name, alert in now.items():
            if told.get(name) != alert:
                yield alert
        thread.told = now
        thread.touches.clear()
        if not thread.faults:
            del self._threads[thread.id]
            for node in thread.nodes:
                self._owner.pop((thread.network, node), None)

    # -- state -------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """All that is needed to continue, as JSON."""
        return {
            "format": FORMAT,
            "session": self._session,
            "threads": [network_thread.as_json(thread) for thread in self._threads.values()],
            "strangers": sorted([network.value, node] for network, node in self._strangers),
            "links": {network.value: links.export() for network, links in self._links.items()},
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._session = int(state["session"])
        self._strangers = {(Network(name), node) for name, node in state["strangers"]}
        for name, links in state["links"].items():
            self._links[Network(name)] = DownLinks.restored(links)
        for told in state["threads"]:
            thread = network_thread.of_json(told)
            self._threads[thread.id] = thread
            self._of.update({(thread.network, key): thread.id for key in thread.faults})
            self._owner.update({(thread.network, node): thread.id for node in thread.nodes})
