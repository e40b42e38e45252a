"""Datagrams are lost as often as links lose them, and where routes end."""

from __future__ import annotations

from math import prod

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from actors.mesh.datagram import DatagramFate, send_on
from actors.mesh.medium import RadioMedium
from actors.mesh.router import MeshRouter
from actors.topology.advertisement import Lsa
from actors.topology.model import Topology
from tests.examples import share
from tests.unit.mesh.worlds import meshes, of_graph

N = 20_000


def routed(mesh: Topology) -> MeshRouter:
    """Tables over links that all cost the same."""
    lsas = []
    for node in range(mesh.n_nodes):
        indptr, links = mesh.out_links
        around = sorted(mesh.link_target[links[indptr[node] : indptr[node + 1]]].tolist())
        lsas.append(Lsa(node, 1, 1, tuple(around), tuple(256 for _ in around)))
    router = MeshRouter(mesh, alternates=False)
    router.start(lsas, 1, range(mesh.n_nodes))
    return router


def sent(
    mesh: Topology,
    source: int,
    destination: int,
    attempts: int,
    hosted: list[int],
    medium: RadioMedium | None = None,
    count: int = N,
) -> tuple[np.ndarray, np.ndarray]:
    here = np.zeros(mesh.n_nodes, bool)
    here[hosted] = True
    at, to = np.full(count, source, np.int32), np.full(count, destination, np.int32)
    return send_on(at, to, attempts, here, mesh, routed(mesh), medium or RadioMedium(mesh, 1))


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_they_arrive_with_the_product_of_their_hops(attempts: int) -> None:
    """Each hop is crossed by any of the attempts, in the direction of travel, and none repeated."""
    quality = [(0.7, 0.1), (0.5, 0.2), (0.9, 0.3)]
    line = Topology.of([f"n{i}" for i in range(4)], [(0, 1), (1, 2), (2, 3)], quality)
    at, fate = sent(line, 0, 3, attempts, [0, 1, 2, 3])
    expected = prod(1 - (1 - there) ** attempts for there, _ in quality)
    arrived = fate == DatagramFate.ARRIVED
    assert binomtest(int(arrived.sum()), N, expected).pvalue > 1e-6
    assert (at[arrived] == 3).all()
    assert set(fate[~arrived].tolist()) == {DatagramFate.LOST}


@given(mesh=meshes(qualities=(1.0,)), data=st.data())
@settings(max_examples=share(5 / 6))
def test_perfect_links_lose_none(mesh: Topology, data: st.DataObject) -> None:
    """They arrive, or stop at the first node of another host on the way, whoever hosts what."""
    nodes = st.integers(0, mesh.n_nodes - 1)
    source, destination = data.draw(nodes), data.draw(nodes)
    hosted = data.draw(st.lists(nodes, unique=True))
    at, fate = sent(mesh, source, destination, 1, hosted, count=3)
    path = routed(mesh).route(source, destination)
    assert path is not None
    stop = next(node for node in path[0] if node == destination or node not in hosted)
    assert at.tolist() == [stop] * 3
    assert (
        fate.tolist()
        == [DatagramFate.ARRIVED if stop == destination else DatagramFate.ELSEWHERE] * 3
    )


def test_silent_nodes_and_cut_links_lose_all() -> None:
    """What routes do not know of yet loses what follows them; one to itself needs no radio."""
    line = of_graph(nx.path_graph(3))
    medium = RadioMedium(line, 1)
    medium.fault([], [(1, 2)])
    at, fate = sent(line, 0, 2, 4, [0, 1, 2], medium, 3)
    assert (at.tolist(), fate.tolist()) == ([1] * 3, [DatagramFate.LOST] * 3)
    medium.fault([0], [])
    assert sent(line, 0, 2, 4, [0, 1, 2], medium, 1)[1].tolist() == [DatagramFate.LOST]
    assert sent(line, 0, 0, 4, [0, 1, 2], medium, 1)[1].tolist() == [DatagramFate.ARRIVED]


def test_without_a_route_they_are_lost() -> None:
    """Where there is no way, and where no table exists yet, the node that has one drops it."""
    apart = Topology.of(["a", "b", "c"], [(0, 1)], 1.0)
    assert sent(apart, 0, 2, 4, [0, 1, 2], count=1)[1].tolist() == [DatagramFate.LOST]
    alone = np.zeros(1, np.int32)
    empty = MeshRouter(apart, alternates=False)
    empty.start([], 0)
    hosted = np.ones(3, bool)
    _, fate = send_on(alone, alone + 1, 1, hosted, apart, empty, RadioMedium(apart, 1))
    assert fate.tolist() == [DatagramFate.LOST]


def test_no_datagrams() -> None:
    """Nothing sent is nothing lost."""
    at, fate = sent(of_graph(nx.path_graph(2)), 0, 1, 1, [0], count=0)
    assert (len(at), len(fate)) == (0, 0)
