"""Many failed sets at once, against taking each out of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import radio
from actors.topology.model import Topology
from actors.twin import partitions
from actors.twin.failure import Failure
from actors.twin.partitions import FailedSets, Figures, Partitioner
from tests.unit.twin.meshes import World, connected_before, connected_pairs, failures, worlds

if TYPE_CHECKING:
    import pytest


def truth(world: World, failure: Failure) -> tuple[int, int, int, int, int]:
    after = world.failed(failure)
    return (
        connected_before(world, after),
        connected_pairs(after),
        nx.number_connected_components(after),
        nx.number_of_isolates(after),
        len(failure.nodes),
    )


@given(st.data())
def test_agrees_with_taking_each_set_out(data: st.DataObject) -> None:
    """Every figure of every set is networkx's, whatever else is asked in the same go."""
    world = data.draw(worlds(1) if data.draw(st.booleans()) else worlds())
    drawn = data.draw(st.lists(failures(world.topology), max_size=5))
    figures = Partitioner(world.topology).figures(FailedSets.of(drawn))
    found = list(zip(*(column.tolist() for column in figures), strict=True))
    assert found == [truth(world, failure) for failure in drawn]


@given(st.data())
def test_components_of_nodes(data: st.DataObject) -> None:
    """Two nodes have one component just when a path joins them, and failed nodes have none."""
    world = data.draw(worlds())
    drawn = data.draw(st.lists(failures(world.topology), min_size=1, max_size=3))
    nodes = np.arange(world.topology.n_nodes)
    (part,) = Partitioner(world.topology).parts(FailedSets.of(drawn))
    for failure, component in zip(drawn, part.components_of(nodes).tolist(), strict=True):
        after = world.failed(failure)
        for a in range(len(nodes)):
            assert (component[a] < 0) == (a not in after)
            for b in range(a):
                if a in after and b in after:
                    assert (component[a] == component[b]) == nx.has_path(after, a, b)


def test_many_rows_are_the_same_as_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many sets are handled in one go makes no difference, nor does their form."""
    topology = radio.generate(60, 3)
    draw = np.random.default_rng(1)
    nodes = draw.random((40, 60)) < 0.1
    links = draw.random((40, topology.n_links)) < 0.1
    sets = FailedSets.masked(nodes, links)
    one_by_one = FailedSets.of(
        [
            Failure.at(np.flatnonzero(a), np.flatnonzero(b))
            for a, b in zip(nodes, links, strict=True)
        ]
    )
    together = Partitioner(topology).figures(sets)
    monkeypatch.setattr(partitions, "CELLS", 100)
    apart = Partitioner(topology).figures(one_by_one)
    assert np.array_equal(np.stack(together), np.stack(apart))
    assert together.pairs_lost.max() > 0


def test_no_set_and_no_node() -> None:
    """No sets give no figures, and a mesh without nodes has nothing to lose."""
    assert [
        len(column) for column in Partitioner(radio.generate(5)).figures(FailedSets.of([]))
    ] == [0] * 5
    nothing = Partitioner(Topology.of([])).figures(FailedSets.of([Failure.at()]))
    assert Figures(*(column.tolist() for column in nothing)) == ([0], [0], [0], [0], [0])


def test_more_fragments_than_narrow_numbers_hold() -> None:
    """The hub of 40,000 leaves leaves them all alone; a leaf, one less."""
    n = 40_001
    star = Topology.of([f"n{i}" for i in range(n)], [(0, i) for i in range(1, n)])
    figures = Partitioner(star).figures(FailedSets.of([Failure.at([0]), Failure.at([7], [2])]))
    assert figures.components.tolist() == [40_000, 2]
    assert figures.isolated.tolist() == [40_000, 1]
    assert figures.pairs_after.tolist() == [0, 39_999 * 39_998 // 2]
    assert figures.pairs_lost.tolist() == [40_000 * 39_999 // 2, 39_999]
