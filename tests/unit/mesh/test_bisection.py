"""Parts of a graph are equal in size, the same each time, and cut along few links."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.mesh import bisection
from actors.topology import radio
from tests.unit.mesh.worlds import meshes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology


def cut(ends: NDArray[np.int32], part: NDArray[np.int16]) -> int:
    return int((part[ends[:, 0]] != part[ends[:, 1]]).sum())


@given(mesh=meshes(12, (1.0,)), count=st.integers(1, 5))
def test_every_node_is_in_one_of_equal_parts(mesh: Topology, count: int) -> None:
    """Whatever the graph, also one in pieces, sizes differ by one at most, each time the same."""
    part = bisection.parts(mesh.ends, mesh.n_nodes, count)
    sizes = np.bincount(part, minlength=count)
    assert sizes.sum() == mesh.n_nodes
    assert len(sizes) == count
    assert sizes.max() - sizes.min() <= 1
    assert (bisection.parts(mesh.ends, mesh.n_nodes, count) == part).all()


@pytest.mark.parametrize("size", [5, 200])
def test_two_crowds_are_parted_at_the_one_link_between_them(size: int) -> None:
    """Below and above the size at which eigenvectors are computed iteratively."""
    crowd = np.array([*combinations(range(size), 2)], np.int32)
    ends = np.concatenate([2 * crowd, 2 * crowd + 1, [[0, 1]]]).astype(np.int32)
    part = bisection.parts(ends, 2 * size, 2)
    assert cut(ends, part) == 1


def test_islands_stay_whole() -> None:
    """Of four islands of equal size, none is cut."""
    ring = np.array([(n, (n + 1) % 6) for n in range(6)], np.int32)
    ends = np.concatenate([4 * ring + island for island in range(4)])
    assert cut(ends, bisection.parts(ends, 24, 4)) == 0
    assert cut(ends, bisection.parts(ends, 24, 2)) == 0


def test_a_plane_mesh_is_cut_along_far_fewer_links_than_at_random() -> None:
    """A square of n nodes can be cut along some sqrt(n) links; a tenth of all is no good cut."""
    mesh = radio.generate(2000, 1)
    part = bisection.parts(mesh.ends, mesh.n_nodes, 4)
    assert cut(mesh.ends, part) < mesh.n_links / 10
