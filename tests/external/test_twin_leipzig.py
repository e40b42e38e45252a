"""The twin on measured community meshes, to the figures that are known of them."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from actors.topology.source import read
from actors.twin.advice import advise
from actors.twin.answer import answer
from actors.twin.doubles import double_failures
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet
from actors.twin.partitions import FailedSets
from actors.twin.picture import draw
from actors.twin.results import NodesAndClients
from actors.twin.scenario import parse
from actors.twin.single import single_failures, worst_pairs

MAPS = Path(__file__).parents[2].parent / "shared" / "data" / "topologies"

pytestmark = pytest.mark.skipif(not MAPS.is_dir(), reason=f"no published maps at {MAPS}")


@pytest.fixture(scope="module")
def leipzig() -> Intact:
    """144 nodes and 290 links: islands of radio, and the VPN servers that join them."""
    return Intact(read(str(MAPS / "freifunk-leipzig.meshviewer.json")).topology)


def test_radio_alone() -> None:
    """The largest island: 26 cut nodes, 29 bridges; the worst node disconnects 60.6 % of pairs."""
    island = read(str(MAPS / "freifunk-leipzig.meshviewer.json"), vpn=False).topology
    found = single_failures(Intact(island))
    assert (island.n_nodes, island.n_links) == (68, 110)
    assert (len(found.spof_nodes), len(found.bridges)) == (26, 29)
    assert found.spof_nodes[0].share == pytest.approx(0.606, abs=0.0005)


def test_single_failures(leipzig: Intact) -> None:
    """40 cut nodes and 44 bridges; the worst node disconnects 64.8 % of the surviving pairs."""
    found = single_failures(leipzig)
    assert (len(found.spof_nodes), len(found.bridges), found.node_connectivity) == (40, 44, 1)
    assert found.spof_nodes[0].share == pytest.approx(0.648, abs=0.0005)


@pytest.fixture(scope="module")
def everything() -> Intact:
    """144 nodes and 290 links, tunnels among them."""
    return Intact(read(str(MAPS / "freifunk-leipzig.meshviewer.json")).topology)


def test_what_a_failure_costs_people(everything: Intact) -> None:
    """The worst node by pairs costs hardly anybody the internet; the worst by clients does."""
    internet = Internet.of(everything.topology)
    assert internet is not None
    assert len(internet.access.gateways) == 16
    by_pairs = single_failures(everything, internet, "pairs").spof_nodes
    assert [one.cut_off for one in by_pairs[:2]] == [
        NodesAndClients(1, 0, 1),
        NodesAndClients(31, 33, 31),
    ]
    assert by_pairs[0].pairs_lost == 6582
    by_clients = single_failures(everything, internet)
    assert by_clients.ranked_by == "clients"
    assert by_clients.spof_nodes[0] == by_pairs[1]
    found = impact(everything, Failure.named(everything.topology, [by_pairs[1].node]), (), internet)
    assert found.cut_off == by_pairs[1].cut_off


def test_which_two_must_not_fail_together(everything: Intact) -> None:
    """The costliest two nodes, against taking out every two; neither of them costs as much."""
    topology, internet = everything.topology, Internet.of(everything.topology)
    assert internet is not None
    found = double_failures(everything, 5, internet, "nodes")
    worst = found.nodes[0]
    assert worst.cut_off is not None
    offline: dict[tuple[int, ...], set[int]] = {}

    def of(*gone: int) -> set[int]:
        if gone not in offline:
            lost = internet.offline(topology.without(nodes=gone))
            offline[gone] = set(np.flatnonzero(lost).tolist())
        return offline[gone]

    n = topology.n_nodes
    most = max((len(of(a, b) - of(a) - of(b)), -a, -b) for a in range(n) for b in range(a + 1, n))
    ids = topology.ids
    assert (worst.cut_off.nodes, worst.a, worst.b) == (most[0], ids[-most[1]], ids[-most[2]])


def test_losses(leipzig: Intact) -> None:
    """Mean loss over ETX paths with 3 retries: 0.094 intact, 0.677 without the worst node."""
    worst = single_failures(leipzig).spof_nodes[0].node
    found = impact(leipzig, Failure.named(leipzig.topology, [worst])).loss
    intact = impact(leipzig, Failure.at()).loss
    assert intact is not None
    assert found is not None
    assert intact.before == intact.during == intact.after == pytest.approx(0.094, abs=0.002)
    assert found.after == pytest.approx(0.677, abs=0.002)
    # Until routes change, whatever led over the node is lost, and much of that cannot be mended.
    assert found.after <= found.during <= 1.0


def test_loss_after_a_node_that_cuts_nothing(leipzig: Intact) -> None:
    """Without a node of degree 8 that is no cut node, mean loss stays 0.094."""
    topology = leipzig.topology
    harmless = np.flatnonzero((topology.degree == 8) & (leipzig.cuts.by_node == 0))
    assert len(harmless)
    losses = [impact(leipzig, Failure.at([node])).loss for node in harmless.tolist()]
    assert min(abs(loss.after - 0.094) for loss in losses) <= 0.002
    assert all(loss.after == pytest.approx(0.094, abs=0.01) for loss in losses)


def test_the_worst_two_are_the_worst_of_all_pairs(leipzig: Intact) -> None:
    """The costliest pair is that of taking apart the mesh once for each pair."""
    n = leipzig.topology.n_nodes
    first, second = np.triu_indices(n, 1)
    row = np.arange(len(first)).repeat(2)
    both = np.stack([first, second], axis=1).reshape(-1)
    none = np.empty(0, np.int64)
    lost = leipzig.partitioner.figures(FailedSets(len(first), row, both, none, none)).pairs_lost
    found = worst_pairs(leipzig, 20)
    assert found.exhaustive
    assert [one.pairs_lost for one in found.pairs] == np.sort(lost)[::-1][:20].tolist()


def test_advice_helps(leipzig: Intact) -> None:
    """Each advised link removes lost pairs, more than any of 300 random ones does."""
    found = advise(leipzig, 3)
    assert len(found.links) == 3
    gains = [link.removes for link in found.links]
    assert gains == sorted(gains, reverse=True)
    graph = nx.Graph(leipzig.topology.ends.tolist())
    draw_pairs = np.random.default_rng(1).integers(graph.number_of_nodes(), size=(300, 2))
    total = int(leipzig.cuts.by_node.sum() + leipzig.cuts.by_link.sum())
    assert found.separated_pairs == total
    for a, b in draw_pairs.tolist():
        if a != b and not graph.has_edge(a, b):
            assert gains[0] >= total - _separated(leipzig, a, b)


def _separated(leipzig: Intact, a: int, b: int) -> int:
    topology = leipzig.topology
    ends = np.vstack([topology.ends, [[a, b]]])
    more = Intact(type(topology).of(topology.ids, ends))
    return int(more.cuts.by_node.sum() + more.cuts.by_link[:-1].sum())


def test_a_scenario_on_the_map(leipzig: Intact) -> None:
    """A file of questions is answered, and the picture drawn."""
    worst = single_failures(leipzig).spof_nodes[0].node
    scenario = parse(f"fail: {{nodes: [{worst}]}}\nsingles: true\nworst_pairs: 3\nrandom: {{k: 3}}")
    found = answer(scenario, leipzig.topology)
    assert found.impact is not None
    assert found.impact.pairs_lost == 6582
    assert sum(part.size for part in found.impact.components) == 143
    failure = Failure.named(leipzig.topology, [worst])
    assert b"6,582 of 10,153 pairs lost" in draw(
        leipzig.topology, failure, found.impact, image="svg"
    )
