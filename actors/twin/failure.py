"""A set of failed nodes and links, and how people name it.

Invariants: indices are sorted, distinct and of the topology that the failure was made for. The
empty set and the set of everything are failures like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.topology.arrays import read_only
from actors.topology.naming import link_ends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from actors.topology.model import Topology
    from actors.topology.surviving import Surviving


def link_called(topology: Topology, name: str) -> int:
    """The link that results call `name`; ids may contain the separator themselves.

    Raises:
        InvalidInput: there is no such link.
    """
    for a, b in link_ends(name):
        if a in topology and b in topology:
            found = topology.directed_link(topology.index_of(a), topology.index_of(b))
            if found is not None:
                return found >> 1
    raise InvalidInput(f"no link {name}", "the topology has none of that name", "Name its ends.")


# No generated __eq__: the fields are arrays.
@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """What has failed, by index.

    Attributes:
        nodes: int64, failed nodes.
        links: int64, failed links; those of failed nodes need not be among them.
    """

    nodes: NDArray[np.int64]
    links: NDArray[np.int64]

    @classmethod
    def at(cls, nodes: ArrayLike = (), links: ArrayLike = ()) -> Self:
        """A failure of these indices; repeated ones count once."""
        return cls(*(read_only(np.unique(np.asarray(one, np.int64))) for one in (nodes, links)))

    @classmethod
    def named(
        cls,
        topology: Topology,
        nodes: Iterable[str] = (),
        links: Iterable[tuple[str, str]] = (),
    ) -> Self:
        """A failure of nodes by id and links by their ends.

        Raises:
            UnknownNode: a node does not exist.
            InvalidInput: two ends are not neighbours.
        """
        return cls.at(
            [topology.index_of(name) for name in nodes],
            [topology.link_between(a, b) for a, b in links],
        )

    @classmethod
    def called(cls, topology: Topology, names: Iterable[str]) -> Self:
        """The failure of nodes and links named as in results: the inverse of `names`.

        Raises:
            InvalidInput: there is no such node or link.
        """
        given = list(names)
        return cls.at(
            [topology.index_of(name) for name in given if name in topology],
            [link_called(topology, name) for name in given if name not in topology],
        )

    def __or__(self, other: Failure) -> Failure:
        return Failure.at(
            np.concatenate([self.nodes, other.nodes]), np.concatenate([self.links, other.links])
        )

    def survivors(self, topology: Topology) -> Surviving:
        """What is left of the topology.

        Raises:
            IndexError: the failure belongs to a larger topology.
        """
        return topology.without(nodes=self.nodes, links=self.links)

    def labels(self, topology: Topology) -> list[str]:
        """As `names`, as people are told of them."""
        return [
            *(topology.label(node) for node in self.nodes.tolist()),
            *(topology.link_label(link) for link in self.links.tolist()),
        ]

    def names(self, topology: Topology) -> list[str]:
        """Failed nodes, then failed links, as results name them."""
        return [
            *(topology.ids[node] for node in self.nodes.tolist()),
            *(topology.link_name(link) for link in self.links.tolist()),
        ]
