"""What is known of nodes and links besides the graph travels with it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.mesh.membership import Membership
from actors.topology.diff import merge
from actors.topology.errors import TopologyError
from actors.topology.model import Topology
from actors.topology.node_table import UNKNOWN_CLIENTS, NodeTable

if TYPE_CHECKING:
    from pathlib import Path


def known(topology: Topology) -> Topology:
    """The topology with a row for each node, and its first link unmeasured one way and doubled."""
    n = topology.n_nodes
    table = NodeTable(
        tuple(f"name of {each}" for each in topology.ids),
        np.arange(n) == 0,
        np.arange(n, dtype=np.int32),
        np.stack([np.arange(n, dtype=float), np.arange(n, dtype=float)], 1),
    )
    measured = np.ones((topology.n_links, 2), bool)
    measured[0, 1] = False
    parallel = np.ones(topology.n_links, np.int16)
    parallel[0] = 2
    return replace(topology, measured=measured, parallel=parallel, nodes=table)


def test_nothing_is_known_unless_it_is_said() -> None:
    """All links are single and measured; names are empty, clients unknown, places nowhere."""
    plain = Topology.of("abc", [(0, 1), (1, 2)])
    assert plain.measured.all()
    assert (plain.parallel == 1).all()
    assert plain.nodes.names == ("", "", "")
    assert (plain.nodes.clients == UNKNOWN_CLIENTS).all()
    assert np.isnan(plain.nodes.location).all()


def test_columns_are_part_of_every_part() -> None:
    """A subgraph, a graph of fewer links and a pickled one keep the rows that belong to it."""
    whole = known(Topology.of("abcd", [(0, 1), (1, 2), (2, 3)]))
    part = whole.subgraph(np.array([False, True, True, True]))
    assert part.nodes.names == ("name of b", "name of c", "name of d")
    assert part.nodes.clients.tolist() == [1, 2, 3]
    assert part.measured.all()
    fewer = whole.keeping(np.array([True, False, True]))
    assert (fewer.measured[0].tolist(), fewer.parallel.tolist()) == ([True, False], [2, 1])
    back = pickle.loads(pickle.dumps(whole))  # noqa: S301 - made here
    assert back == whole
    assert back.nodes.names == whole.nodes.names


def test_a_merge_turns_and_extends_the_columns() -> None:
    """Nodes keep what was said last of them; a link keeps its direction, and its marks with it."""
    old = known(Topology.of("ab", [(0, 1)]))
    new = known(Topology.of("bca", [(0, 2), (0, 1)]))  # b--a, b--c
    merged = merge(old, new).topology
    assert merged.ids == ("a", "b", "c")
    assert merged.nodes.names == ("name of a", "name of b", "name of c")
    assert merged.nodes.clients.tolist() == [2, 0, 1]
    assert merged.measured[0].tolist() == [False, True]
    assert merged.parallel.tolist() == [2, 1]
    gone = merge(old, Topology.of("bc", [(0, 1)])).topology
    assert gone.nodes.names == ("name of a", "", "")


def test_columns_that_do_not_fit_are_refused() -> None:
    """Each must have a row per link or node, and no pair less than one link."""
    plain = Topology.of("abc", [(0, 1), (1, 2)])
    for wrong in (
        {"measured": np.ones((1, 2), bool)},
        {"parallel": np.ones(3, np.int16)},
        {"parallel": np.zeros(2, np.int16)},
        {"nodes": NodeTable.unknown(2)},
    ):
        with pytest.raises(TopologyError):
            replace(plain, **wrong)  # type: ignore[arg-type]


def test_a_membership_keeps_them_on_disk(tmp_path: Path) -> None:
    """Saved and loaded; a file of an earlier version, which lacks them, is read as well."""
    topology = known(Topology.of("abc", [(0, 1), (1, 2)]))
    path = tmp_path / "membership.npz"
    Membership.begin(topology, ["mesh-shard-00"]).save(path)
    loaded = Membership.load(path)
    assert loaded is not None
    assert loaded.topology == topology
    assert loaded.topology.nodes.names == topology.nodes.names
    assert loaded.topology.nodes.gateway.tolist() == [True, False, False]
