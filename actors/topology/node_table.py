"""What is known of the nodes of a topology besides their links, one row a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.topology.arrays import read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNKNOWN_CLIENTS = -1
KM_PER_DEGREE = 111.2  # length of a degree of latitude


# No generated __eq__: arrays need their own, which is `same`.
@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """Columns about nodes, in the order of `Topology.ids`.

    Attributes:
        names: host names or labels; "" where there is none. They need not be unique.
        gateway: bool [n_nodes], True for nodes that lead to the internet.
        clients: int32 [n_nodes], devices connected to each; `UNKNOWN_CLIENTS` where not known.
        location: float64 [n_nodes, 2], latitude and longitude in degrees; NaN where not known.
    """

    names: tuple[str, ...]
    gateway: NDArray[np.bool_]
    clients: NDArray[np.int32]
    location: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.names)
        shapes = (self.gateway.shape, self.clients.shape, self.location.shape)
        if shapes != ((n,), (n,), (n, 2)):
            raise ValueError(f"columns of shapes {shapes} do not fit {n} names")
        for column in (self.gateway, self.clients, self.location):
            read_only(column)

    @classmethod
    def unknown(cls, n_nodes: int) -> NodeTable:
        """A table that says nothing of `n_nodes` nodes."""
        return cls(
            ("",) * n_nodes,
            np.zeros(n_nodes, np.bool_),
            np.full(n_nodes, UNKNOWN_CLIENTS, np.int32),
            np.full((n_nodes, 2), np.nan),
        )

    def kilometres(self) -> NDArray[np.float64]:
        """Places on a plane, float64 [n_nodes, 2]: km east and north of the middle of all.

        NaN where no place is known. Equirectangular, which is right to a per mille over the extent
        of a community.
        """
        known = np.isfinite(self.location).all(axis=1)
        if not known.any():
            return np.full(self.location.shape, np.nan)
        away = self.location - self.location[known].mean(axis=0)
        east = np.cos(np.radians(self.location[known, 0].mean()))
        return np.column_stack([away[:, 1] * east, away[:, 0]]) * KM_PER_DEGREE

    def same(self, other: NodeTable) -> bool:
        """Whether both say the same."""
        return (
            self.names == other.names
            and np.array_equal(self.gateway, other.gateway)
            and np.array_equal(self.clients, other.clients)
            and np.array_equal(self.location, other.location, equal_nan=True)
        )

    def take(self, rows: ArrayLike) -> NodeTable:
        """The table of these rows, in their order."""
        at = np.asarray(rows, np.int64)
        return NodeTable(
            tuple(self.names[row] for row in at.tolist()),
            self.gateway[at],
            self.clients[at],
            self.location[at],
        )

    def then(self, other: NodeTable) -> NodeTable:
        """This table followed by the rows of another."""
        return NodeTable(
            self.names + other.names,
            np.concatenate([self.gateway, other.gateway]),
            np.concatenate([self.clients, other.clients]),
            np.concatenate([self.location, other.location]),
        )
