"""Which records of different sources are about one node: those with one id, or one address.

Within one source each id is a node of its own, and an address that two of its nodes have joins
nothing. What was once found to be one node stays one, whatever addresses are told later, until a
source lists both ids.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actors.topology.network import NetworkNode


_AMBIGUOUS: Final = ""  # no id: the address belongs to several nodes


class Identities:
    """Finds the id by which the network knows a node.

    Attributes:
        aliases: the id of the node that another id means.
    """

    def __init__(self, aliases: Mapping[str, str] | None = None) -> None:
        self.aliases: dict[str, str] = dict(aliases or {})

    def canonical(self, name: str) -> str:
        """The id by which the network knows the node that a source calls `name`."""
        return self.aliases.get(name, name)

    def learn(
        self,
        sources: Sequence[Mapping[str, NetworkNode]],
        members: Mapping[str, Iterable[str]],
    ) -> None:
        """Find records of one node.

        Args:
            sources: the nodes that each source lists, by its ids; earlier sources give the ids.
            members: addresses of the known nodes by id; their ids stay.
        """
        for nodes in sources:
            self._part(nodes)
        if len(sources) < 2:
            return
        owner: dict[str, str] = {}
        for name, addresses in members.items():
            for address in addresses:
                owner[address] = _AMBIGUOUS if address in owner else name
        listed = [{self.canonical(name) for name in nodes} for nodes in sources]
        for nodes in sources:
            self._join(nodes, owner, listed)

    def _part(self, nodes: Mapping[str, NetworkNode]) -> None:
        """Forget aliases of nodes that one source tells apart."""
        if not self.aliases:
            return
        claimed: dict[str, str] = {}
        for name in sorted(nodes, key=lambda name: (name in self.aliases, name)):
            meant = self.canonical(name)
            if meant in claimed:
                del self.aliases[name]
            else:
                claimed[meant] = name

    def _join(
        self, nodes: Mapping[str, NetworkNode], owner: dict[str, str], listed: list[set[str]]
    ) -> None:
        shared = Counter(address for node in nodes.values() for address in set(node.addresses))
        for name, node in nodes.items():
            own = [address for address in node.addresses if shared[address] == 1]
            if name not in self.aliases:
                meant = self._meant(name, own, owner)
                if meant and not any(name in one and meant in one for one in listed):
                    self._mean(name, meant, listed)
            for address in own:
                owner.setdefault(address, self.canonical(name))

    def _meant(self, name: str, addresses: Iterable[str], owner: Mapping[str, str]) -> str:
        """The one other node that has one of these addresses; empty if there is none."""
        found = {self.canonical(owner[address]) for address in addresses if address in owner}
        found -= {name, _AMBIGUOUS}
        return found.pop() if len(found) == 1 else ""

    def _mean(self, name: str, node: str, listed: list[set[str]]) -> None:
        """From now on `name` means `node`."""
        for alias, meant in self.aliases.items():
            if meant == name:
                self.aliases[alias] = node
        self.aliases[name] = node
        for one in listed:
            if name in one:
                one.remove(name)
                one.add(node)
