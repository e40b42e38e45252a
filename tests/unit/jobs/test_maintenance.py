"""A planned outage silences what follows from it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.alerting import AlertName
from actors.topology.model import Topology
from actors.twin import scenario
from actors.twin.answer import answer
from jobs.launch import maintenance

if TYPE_CHECKING:
    from actors.twin.results import Impact

WINDOW = (1_000.0, 2_000.0)


def impact(
    topology: Topology, nodes: list[str], gateways: list[str], *links: tuple[str, str]
) -> Impact:
    asked: dict[str, object] = {"fail": {"nodes": nodes, "links": list(links)}}
    if gateways:
        asked["gateways"] = gateways
    found = answer(scenario.of(asked, "of a test"), topology).impact
    assert found is not None
    return found


@st.composite
def outages(draw: st.DrawFn) -> tuple[Topology, list[str], list[str]]:
    """A network in one or more parts, some nodes that fail, and its gateways if it has any."""
    count = draw(st.integers(2, 12))
    ids = [f"n{at}" for at in range(count)]
    pairs = [(a, b) for a in range(count) for b in range(a)]
    links = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    failed = draw(st.lists(st.sampled_from(ids), unique=True, min_size=1, max_size=3))
    gateways = draw(st.lists(st.sampled_from(ids), unique=True, max_size=3))
    return Topology.of(ids, links, 1.0), failed, gateways


@given(outages())
def test_who_is_cut_off_only_by_it_follows_from_it(
    outage: tuple[Topology, list[str], list[str]],
) -> None:
    topology, failed, gateways = outage
    found = maintenance.following(
        impact(topology, [], gateways), impact(topology, failed, gateways)
    )
    graph = topology.to_networkx()
    left = graph.copy()
    left.remove_nodes_from(failed)
    assert found >= {*failed}
    for node in {*topology.ids} - {*failed}:
        if gateways:
            before = nx.node_connected_component(graph, node) & {*gateways}
            after = nx.node_connected_component(left, node) & {*gateways}
            assert (node in found) == (bool(before) and not after)
        elif node in found:  # it is not in the largest part any more
            largest = max(map(len, nx.connected_components(left)))
            assert len(nx.node_connected_component(left, node)) <= largest


def test_a_link_silences_the_cause_of_its_ends_and_not_their_own_failure() -> None:
    """A star with a leaf behind another: the leaf behind is cut off."""
    topology = Topology.of(["hub", "a", "b", "behind"], [(0, 1), (0, 2), (1, 3)], 1.0)
    intact, failed = impact(topology, [], ["hub"]), impact(topology, [], ["hub"], ("a", "behind"))
    subjects = maintenance.following(intact, failed)
    assert subjects == {"behind"}
    links = maintenance.failed_links(failed)
    assert [{*ends} for ends in links] == [{"a", "behind"}]
    nodes, cause = maintenance.silences("observed", subjects, links, WINDOW, "new cable", "ann")
    assert (nodes.names, nodes.subjects, nodes.labels) == (
        frozenset(),
        {"behind"},
        {"network": "observed"},
    )
    assert (cause.names, cause.subjects) == ({AlertName.ROOT_CAUSE_FOUND}, {"a", "behind"})
    assert {(one.starts, one.ends, one.comment, one.by) for one in (nodes, cause)} == {
        (*WINDOW, "new cable", "ann")
    }


def test_a_link_that_others_replace_silences_its_cause_alone() -> None:
    topology = Topology.of(["a", "b", "c"], [(0, 1), (1, 2), (0, 2)], 1.0)
    intact, failed = impact(topology, [], ["a"]), impact(topology, [], ["a"], ("a", "b"))
    subjects = maintenance.following(intact, failed)
    links = maintenance.failed_links(failed)
    (only,) = maintenance.silences("emulated", subjects, links, WINDOW, "", "ann")
    assert only.names == {AlertName.ROOT_CAUSE_FOUND}
