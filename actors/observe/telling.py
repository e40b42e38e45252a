"""Makes events of what one step changed: each change of a state is in exactly one of them.

The order is from causes to consequences: sources, who joined and left, nodes that fell silent with
their links, other links, splits, gateways; then what came back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.observe.contract import LinkCondition, NodeState
from actors.observe.explanation import Explanation, counted
from actors.observe.step import SourceChange
from actors.topology.events import EventKind, EventSeverity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.observe.merging import LinkKey
    from actors.observe.step import Happening, Step

NAMED: Final = 20  # most nodes of the larger side of a split whose names are told
_AWAY: Final = (NodeState.SILENT, NodeState.GONE)

_INFO, _WARNING, _CRITICAL = EventSeverity.INFO, EventSeverity.WARNING, EventSeverity.CRITICAL


def tell(step: Step) -> list[Happening]:
    """The events of a step."""
    return _Telling(step).tell()


class _Telling:
    def __init__(self, step: Step) -> None:
        self._step = step
        self._account = Explanation(step)
        self._single = {
            split.sides[1][0]
            for split in step.splits
            if [len(side) for side in split.sides[1:]] == [1]
            and step.nodes.get(split.sides[1][0], (None, None))[1] is NodeState.CUT_OFF
        }

    def tell(self) -> list[Happening]:
        self._sources()
        self._joined()
        self._retired()
        self._away()
        self._links_down()
        self._splits()
        self._cut_off()
        self._gateways(
            EventKind.GATEWAY_LOST, self._step.gateway_lost, NodeState.UP, NodeState.CUT_OFF
        )
        self._back_from_away()
        self._links_up()
        self._joinings()
        self._gateways(
            EventKind.GATEWAY_BACK, self._step.gateway_back, NodeState.CUT_OFF, NodeState.UP
        )
        self._other_parts()
        self._qualities()
        self._names_and_routes()
        self._account.check()
        return self._account.told

    # -- sources and members ---------------------------------------------------------------------

    def _sources(self) -> None:
        changes = list(self._step.sources)
        told = {change.source for change in changes if change.kind is EventKind.MAP_STALE}
        late = {
            self._step.source_of[name]
            for name, (old, new) in self._account.nodes.items()
            if old is not None and new is NodeState.UNKNOWN
        }
        changes += [
            SourceChange(EventKind.MAP_STALE, source, "no other source lists some of its nodes now")
            for source in sorted(late - told)
        ]
        for change in changes:
            states = self._states_of(change)
            nodes = [name for names in states.values() for name in names]
            severity = _INFO if change.kind in _GOOD_NEWS else _WARNING
            what = _SOURCE_WORDS[change.kind].format(source=change.source)
            why = f": {change.why}" if change.why else ""
            self._account.add(
                change.kind,
                severity,
                f"{what}{why}{_concerned(nodes)}",
                nodes,
                source=change.source,
                why=change.why or None,
                states=states,
            )

    def _states_of(self, change: SourceChange) -> dict[str, list[str]]:
        mine = [n for n, source in self._step.source_of.items() if source == change.source]
        if change.kind is EventKind.MAP_STALE:
            return self._account.take_nodes(
                mine, lambda old, new: old is not None and new is NodeState.UNKNOWN
            )
        if change.kind is EventKind.MAP_FRESH:
            known = [name for name in mine if self._is_as_before(name)]
            return self._account.take_nodes(known, lambda old, _: old is NodeState.UNKNOWN)
        return {}

    def _is_as_before(self, name: str) -> bool:
        return name in self._step.as_before or self._step.nodes[name][1] is NodeState.UP

    def _joined(self) -> None:
        names = [name for name, (old, _) in self._account.nodes.items() if old is None]
        if not names:
            return
        states = self._account.take_nodes(names)
        what = f"{self._account.list_of(names)} joined"
        others = {state: found for state, found in states.items() if state != NodeState.UP}
        said = ", ".join(f"{len(found)} {_words(state)}" for state, found in others.items())
        if said:
            what += f" ({said})" if len(names) > 1 else f", {_words(next(iter(others)))}"
        self._account.add(EventKind.NODE_JOINED, _INFO, what, names, states=states)

    def _retired(self) -> None:
        for name, (_, new) in list(self._account.nodes.items()):
            if new is None:
                states = self._account.take_nodes([name])
                links = self._account.take_links(
                    self._account.links_of(name), lambda _, new: new is None
                )
                why = self._step.retired[name]
                what = f"{self._step.shown(name)} is retired: {why}"
                self._account.add(
                    EventKind.NODE_RETIRED, _INFO, what, [name], states=states, links=links, why=why
                )
        rest = [key for key, (_, new) in self._account.links.items() if new is None]
        if rest:
            links = self._account.take_links(rest, lambda _, new: new is None)
            what = f"{counted(len(rest), 'link')} retired"
            self._account.add(EventKind.LINK_RETIRED, _INFO, what, _ends(rest), links=links)

    # -- going -----------------------------------------------------------------------------------

    def _away(self) -> None:
        for name, (_, new) in list(self._account.nodes.items()):
            if new not in _AWAY:
                continue
            states = self._account.take_nodes([name])
            links = self._account.take_links(
                self._account.links_of(name),
                lambda old, new: old is not None and new is LinkCondition.DOWN,
            )
            silent = new is NodeState.SILENT
            kind = EventKind.NODE_SILENT if silent else EventKind.NODE_GONE
            what = "is silent" if silent else "is gone from the map"
            clients = self._step.clients([name])
            self._account.add(
                kind,
                _WARNING,
                f"{self._step.shown(name)} {what}",
                [name],
                states=states,
                links=links,
                clients=clients or None,
                neighbours=self._account.neighbours(
                    name, [key for keys in links.values() for key in keys]
                ),
                about=[name],
            )

    def _links_down(self) -> None:
        for key, (old, new) in list(self._account.links.items()):
            if old is not None and new is LinkCondition.DOWN:
                self._account.link(EventKind.LINK_DOWN, _WARNING, "is down", key)

    def _splits(self) -> None:
        for split in self._step.splits:
            apart = [name for side in split.sides[1:] for name in side]
            if self._single.issuperset(apart):
                continue  # told as one node that is cut off
            states = self._account.take_nodes(apart, lambda _, new: new is NodeState.CUT_OFF)
            of_main = split.part == self._step.main_part
            what = f"{self._account.list_of(apart)} split off from {len(split.sides[0])} nodes" + (
                "" if of_main else " of another part"
            )
            self._account.add(
                EventKind.SPLIT,
                _CRITICAL if of_main else _WARNING,
                what,
                apart,
                states=states,
                sides=[list(side) for side in split.sides],
                clients=self._step.clients(apart) or None,
                about=[*split.sides[0][:NAMED], *apart],
            )

    def _cut_off(self) -> None:
        for name, (old, new) in list(self._account.nodes.items()):
            if new is NodeState.CUT_OFF and (old is not NodeState.UP or name in self._single):
                states = self._account.take_nodes([name])
                what = f"{self._step.shown(name)} is cut off: it works, and no path leads to it"
                self._account.add(
                    EventKind.NODE_CUT_OFF, _WARNING, what, [name], states=states, about=[name]
                )

    def _gateways(
        self, kind: EventKind, names: Sequence[str], old: NodeState, new: NodeState
    ) -> None:
        """Who lost the last gateway, or has one again, and whose state changes with it."""
        lost = kind is EventKind.GATEWAY_LOST
        if not names:
            return
        states = self._account.take_nodes(names, lambda was, now: was is old and now is new)
        clients = self._step.clients(names)
        said = f" ({counted(clients, 'client')})" if clients else ""
        what = "lost the last gateway" if lost else "reached a gateway again"
        self._account.add(
            kind,
            _CRITICAL if lost else _INFO,
            f"{self._account.list_of(names)}{said} {what}",
            names,
            states=states,
            clients=clients or None,
            about=names,
        )

    # -- coming back -----------------------------------------------------------------------------

    def _back_from_away(self) -> None:
        away = (*_AWAY, NodeState.UNKNOWN)
        for name, (old, new) in list(self._account.nodes.items()):
            if old not in away or new is not NodeState.UP:
                continue
            self._back(name)

    def _back(self, name: str) -> None:
        states = self._account.take_nodes([name])
        links = self._account.take_links(
            self._account.links_of(name), lambda old, new: old is LinkCondition.DOWN and new != old
        )
        self._account.add(
            EventKind.NODE_BACK,
            _INFO,
            f"{self._step.shown(name)} is back",
            [name],
            states=states,
            links=links,
        )

    def _links_up(self) -> None:
        added = [key for key, (old, _) in self._account.links.items() if old is None]
        if added:
            links = self._account.take_links(added, lambda old, _: old is None)
            down = len(links.get(str(LinkCondition.DOWN), ()))
            what = (
                f"{self._account.link_name(added[0])} was added"
                if len(added) == 1
                else f"{counted(len(added), 'link')} added"
            ) + (f", {down} of them down" if down else "")
            only = added[0] if len(added) == 1 else None
            self._account.add(
                EventKind.LINK_ADDED, _INFO, what, _ends(added), link=only, links=links
            )
        for key, (old, _) in list(self._account.links.items()):
            if old is LinkCondition.DOWN:
                self._account.link(EventKind.LINK_UP, _INFO, "is up", key)

    def _joinings(self) -> None:
        for joining in self._step.joinings:
            if len(joining.came) == 1:
                name = joining.came[0]
                if self._account.nodes.get(name, (None, None))[1] is NodeState.UP:
                    self._back(name)
                    continue
            states = self._account.take_nodes(
                joining.came, lambda old, new: old is NodeState.CUT_OFF and new is NodeState.UP
            )
            main = joining.part == self._step.main_part
            to = "the main part" if main else "another part"
            what = f"{self._account.list_of(joining.came)} rejoined {to}"
            self._account.add(EventKind.REJOINED, _INFO, what, joining.came, states=states)

    def _other_parts(self) -> None:
        """States that changed because another part is the main one, or a gateway came or went."""
        names = [name for name, (old, _) in self._account.nodes.items() if old is NodeState.UP]
        if names:
            listed = self._account.list_of(names)
            what = f"{listed} cut off: no path leads to the main part or to a gateway"
            states = self._account.take_nodes(names)
            self._account.add(
                EventKind.SPLIT,
                _CRITICAL,
                what,
                names,
                about=names,
                states=states,
                sides=[names],
            )
        names = list(self._account.nodes)
        if names:
            what = (
                f"{self._account.list_of(names)} in reach again, of the main part or of a gateway"
            )
            states = self._account.take_nodes(names)
            self._account.add(EventKind.REJOINED, _INFO, what, names, states=states)

    # -- what else changes -----------------------------------------------------------------------

    def _qualities(self) -> None:
        for key, (_, new) in list(self._account.links.items()):
            if new is LinkCondition.DEGRADED:
                self._account.link(EventKind.LINK_DEGRADED, _WARNING, "is degraded", key)
            else:
                self._account.link(EventKind.LINK_RECOVERED, _INFO, "has recovered", key)

    def _names_and_routes(self) -> None:
        for name, (old, new) in self._step.renamed.items():
            what = f"{old} ({name}) is now named {new}"
            self._account.add(EventKind.NODE_RENAMED, _INFO, what, [name], names=[old, new])
        if self._step.routes:
            routes = self._step.routes
            what = f"{self._account.list_of(list(routes))} changed the next hop to the gateway"
            if len(routes) == 1:
                ((name, (old, new)),) = routes.items()
                what = (
                    f"{self._step.shown(name)} reaches its gateway over {self._step.shown(new)},"
                    f" no longer over {self._step.shown(old)}"
                )
            data_routes = {name: list(change) for name, change in routes.items()}
            self._account.add(EventKind.ROUTE_CHANGED, _INFO, what, routes, routes=data_routes)


_GOOD_NEWS: Final = {EventKind.MAP_FRESH, EventKind.MAP_ACCEPTED, EventKind.SOURCE_BACK}

_SOURCE_WORDS: Final = {
    EventKind.SOURCE_FAILED: "source {source} failed",
    EventKind.SOURCE_BACK: "source {source} answers again",
    EventKind.MAP_HELD: "the answer of {source} is held, the last good one stays",
    EventKind.MAP_ACCEPTED: "an answer of {source} is taken over again",
    EventKind.MAP_STALE: "what {source} says is stale",
    EventKind.MAP_FRESH: "what {source} says is up to date again",
}


def _words(state: str) -> str:
    return state.replace("_", " ")


def _concerned(nodes: Sequence[str]) -> str:
    return f" ({counted(len(nodes), 'node')} concerned)" if nodes else ""


def _ends(keys: Iterable[LinkKey]) -> list[str]:
    return list(dict.fromkeys(name for key in keys for name in key[:2]))
