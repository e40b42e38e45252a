"""Keeps account of which changes of a step an event has explained: each exactly one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.observe.step import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actors.observe.contract import LinkCondition, NodeState
    from actors.observe.merging import LinkKey
    from actors.observe.step import Step
    from actors.topology.events import EventKind, EventSeverity

RETIRED: Final = "retired"
NAMED: Final = 5  # most nodes that a sentence names


class Explanation:
    """The changes of a step that no event has explained yet, and the events so far.

    Args:
        step: what changed.

    Attributes:
        nodes, links: states before and after of those that are not explained yet.
        told: the events so far.
    """

    def __init__(self, step: Step) -> None:
        self.nodes = dict(step.nodes)
        self.links = dict(step.links)
        self.told: list[Happening] = []
        self._step = step
        self._shown = step.shown
        self._by_end: dict[str, list[LinkKey]] = {}
        for key in step.links:
            self._by_end.setdefault(key.a, []).append(key)
            self._by_end.setdefault(key.b, []).append(key)

    def check(self) -> None:
        """Check that every change is explained."""
        if self.nodes or self.links:
            raise AssertionError(f"not explained: {self.nodes} {self.links}")

    def links_of(self, node: str) -> Sequence[LinkKey]:
        """Links of a node that changed."""
        return self._by_end.get(node, ())

    def take_nodes(
        self,
        names: Iterable[str],
        accept: Callable[[NodeState | None, NodeState | None], bool] = lambda _old, _new: True,
    ) -> dict[str, list[str]]:
        """The states that an event explains, of nodes that no earlier event explained."""
        found: dict[str, list[str]] = {}
        for name in names:
            change = self.nodes.get(name)
            if change is not None and accept(*change):
                del self.nodes[name]
                found.setdefault(str(change[1] or RETIRED), []).append(name)
        return found

    def take_links(
        self,
        keys: Iterable[LinkKey],
        accept: Callable[[LinkCondition | None, LinkCondition | None], bool],
    ) -> dict[str, list[list[str]]]:
        """The same of links."""
        found: dict[str, list[list[str]]] = {}
        for key in keys:
            change = self.links.get(key)
            if change is not None and accept(*change):
                del self.links[key]
                found.setdefault(str(change[1] or RETIRED), []).append(list(key))
        return found

    def add(
        self,
        kind: EventKind,
        severity: EventSeverity,
        what: str,
        nodes: Iterable[str] = (),
        *,
        link: LinkKey | None = None,
        about: Sequence[str] = (),
        **data: object,
    ) -> None:
        """Add an event; data that says nothing is left out, and `about` nodes more is said."""
        ends = None if link is None else (link.a, link.b)
        if about:
            data |= self._about(about)
        data |= {"now": {"links": self._step.links_known} if data.get("links") else None}
        given = {name: value for name, value in data.items() if value not in ({}, [], None)}
        self.told.append(Happening(kind, severity, what, tuple(nodes), ends, given))

    def _about(self, names: Sequence[str]) -> dict[str, object]:
        """What people want to know of nodes: their names and clients, and which are gateways."""
        known = {name: self._step.facts(name) for name in names}
        facts = [(name, node) for name, node in known.items() if node is not None]
        return {
            "named": {name: node.name for name, node in facts if node.name},
            "clients_of": {name: n.clients for name, n in facts if n.clients is not None},
            "gateways": [name for name, node in facts if node.gateway],
        }

    def neighbours(self, node: str, links: Iterable[Sequence[str]]) -> dict[str, str]:
        """Names, by id, of those at the other ends of links of a node; "" where there is none."""
        others = dict.fromkeys(end for key in links for end in key[:2] if end != node)
        facts = {other: self._step.facts(other) for other in others}
        return {other: (found.name or "") if found else "" for other, found in facts.items()}

    def link(self, kind: EventKind, severity: EventSeverity, what: str, key: LinkKey) -> None:
        """Add the event of one link."""
        links = self.take_links([key], lambda _old, _new: True)
        self.add(kind, severity, f"{self.link_name(key)} {what}", key[:2], link=key, links=links)

    def link_name(self, key: LinkKey) -> str:
        """A link as sentences name it."""
        return f"{key.kind} link {self._shown(key.a)} to {self._shown(key.b)}"

    def list_of(self, names: Sequence[str]) -> str:
        """Nodes as sentences name them; many only by their number."""
        if len(names) <= NAMED:
            return ", ".join(self._shown(name) for name in names)
        return counted(len(names), "node")


def counted(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
