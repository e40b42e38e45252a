"""Where nodes live."""

from __future__ import annotations

import pickle

import networkx as nx
import numpy as np
import pytest

from actors.mesh.errors import StalePlacement
from actors.mesh.placement import place
from actors.topology.model import Topology
from tests.unit.mesh.worlds import grid, of_graph

SHARDS = ("s0", "s1", "s2")


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_partitions_are_balanced(shards: int) -> None:
    """Sizes of partitions differ by one node at most, and each has a shard."""
    placement = place(grid(10, 10), [f"s{k}" for k in range(shards)])
    sizes = np.bincount(placement.partition_of, minlength=shards)
    assert sizes.max() - sizes.min() <= 1
    assert placement.shards == tuple(f"s{k}" for k in range(shards))


@pytest.mark.parametrize("seed", range(3))
def test_few_links_cross_between_shards(seed: int) -> None:
    """A placement cuts less than half the links that a random one would."""
    graph = nx.random_geometric_graph(150, 0.13, seed=seed)
    mesh = of_graph(graph)

    def crossing(partition_of: np.ndarray) -> int:
        return int((partition_of[mesh.ends[:, 0]] != partition_of[mesh.ends[:, 1]]).sum())

    placement = place(mesh, SHARDS)
    shuffled = np.random.default_rng(seed).permutation(placement.partition_of)
    assert crossing(placement.partition_of) < crossing(shuffled) / 2


def test_a_moved_partition_has_its_new_owner_and_version() -> None:
    """Moving makes the next version and leaves the older one as it was."""
    first = place(grid(3, 3), SHARDS)
    second = first.moved([0, 2], "s1")
    assert second.version == first.version + 1
    assert second.shard_of == ("s1", "s1", "s1")
    assert second.partitions_of("s1") == [0, 1, 2]
    assert second.shards == ("s1",)
    assert first.shard_of == SHARDS


def test_new_nodes_join_their_neighbours() -> None:
    """Nodes that join are placed beside a neighbour, lonely ones where it is emptiest."""
    mesh = grid(3, 3)
    first = place(mesh, SHARDS)
    ends = [*mesh.ends.tolist(), (8, 9), (9, 10)]
    grown = Topology.of([*mesh.ids, "x", "y", "z"], ends)
    second = first.extended(grown)
    assert second.version == first.version + 1
    assert second.partition_of[:9].tolist() == first.partition_of.tolist()
    assert second.partition_of[9] == second.partition_of[10] == first.partition_of[8]
    sizes = np.bincount(second.partition_of[:11], minlength=3)
    assert sizes[second.partition_of[11]] == sizes.min()


def test_a_stale_request_learns_the_owner() -> None:
    """Asking a shard that does not own the partition names the owner, across processes too."""
    placement = place(grid(3, 3), SHARDS).moved([0], "s1")
    placement.check(0, 2, "s1")
    with pytest.raises(StalePlacement) as caught:
        placement.check(0, 1, "s0")
    error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - made one expression earlier
    assert (error.owner, error.partition) == ("s1", 0)
