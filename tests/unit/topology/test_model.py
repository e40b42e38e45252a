"""The graph: numbering, invariants, equality, pickling, and failures against networkx."""

from __future__ import annotations

import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.errors import TopologyError, UnknownNode
from actors.topology.model import KINDS, Topology


@st.composite
def topologies(draw: st.DrawFn, max_nodes: int = 12) -> Topology:
    n_nodes = draw(st.integers(0, max_nodes))
    pairs = [(a, b) for a in range(n_nodes) for b in range(a)]
    links = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    links = [(b, a) if draw(st.booleans()) else (a, b) for a, b in links]
    probability = st.floats(0, 1, exclude_min=True)
    quality = [(draw(probability), draw(probability)) for _ in links]
    kind = [draw(st.integers(0, len(KINDS) - 1)) for _ in links]
    ids = [f"n{index}" for index in range(n_nodes)]
    return Topology.of(ids, links, np.reshape(quality, (-1, 2)), np.array(kind, dtype=int))


def oracle(topology: Topology) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(topology.n_nodes))
    graph.add_edges_from(topology.ends.tolist())
    return graph


@given(topologies())
def test_directed_links_pair_up(topology: Topology) -> None:
    """Directed links 2e and 2e + 1 are link e there and back, each with its own quality."""
    for link in range(topology.n_links):
        a, b = topology.ends[link].tolist()
        forth, back = 2 * link, 2 * link + 1
        assert (topology.link_source[forth], topology.link_target[forth]) == (a, b)
        assert (topology.link_source[back], topology.link_target[back]) == (b, a)
        assert topology.link_quality[[forth, back]].tolist() == topology.quality[link].tolist()
        assert topology.directed_link(a, b) == forth
        assert topology.directed_link(b, a) == back


@given(topologies())
def test_out_links_are_the_neighbours(topology: Topology) -> None:
    """The rows of out_links hold each node's links sorted by target, and nothing else."""
    graph = oracle(topology)
    indptr, links = topology.out_links
    for node in range(topology.n_nodes):
        row = links[indptr[node] : indptr[node + 1]]
        assert (topology.link_source[row] == node).all()
        assert topology.link_target[row].tolist() == sorted(graph[node])
    assert sorted(links.tolist()) == list(range(2 * topology.n_links))
    assert topology.degree.tolist() == [graph.degree(node) for node in range(topology.n_nodes)]


@given(topologies())
def test_absent_links_are_not_found(topology: Topology) -> None:
    """Pairs that are not neighbours have no directed link, and neither have odd indices."""
    graph = oracle(topology)
    for a in range(topology.n_nodes):
        for b in range(-1, topology.n_nodes + 2):
            assert (topology.directed_link(a, b) is not None) == graph.has_edge(a, b)


@given(topologies())
def test_pickle_keeps_content_and_protection(topology: Topology) -> None:
    """A pickled topology comes back equal, with equal hash, and still read-only."""
    _ = topology.out_links  # a filled cache must not travel
    copy = pickle.loads(pickle.dumps(topology))  # noqa: S301 - pickled one line above
    assert copy == topology
    assert hash(copy) == hash(topology)
    assert "out_links" not in vars(copy)
    for array in (copy.ends, copy.quality, copy.kind):
        assert not array.flags.writeable


@given(topologies(), st.data())
def test_any_change_of_content_is_unequal(topology: Topology, data: st.DataObject) -> None:
    """Topologies that differ in one quality, kind or id are unequal and hash apart."""
    if topology.n_links == 0:
        return
    link = data.draw(st.integers(0, topology.n_links - 1))
    quality, kind = topology.quality.copy(), topology.kind.copy()
    quality[link, 0] = 0.5 if quality[link, 0] != 0.5 else 0.25
    kind[link] = (kind[link] + 1) % len(KINDS)
    others = [
        Topology.of(topology.ids, topology.ends, quality, topology.kind),
        Topology.of(topology.ids, topology.ends, topology.quality, kind),
        Topology.of(("other", *topology.ids[1:]), topology.ends, topology.quality, topology.kind),
    ]
    for other in others:
        assert other != topology
        assert other.digest != topology.digest


def test_arrays_are_private_and_read_only() -> None:
    """Neither the caller's arrays nor the topology's own can change it afterwards."""
    ends = np.array([[0, 1]])
    topology = Topology.of("ab", ends)
    ends[0, 0] = 1
    assert topology.ends.tolist() == [[0, 1]]
    arrays = (topology.ends, topology.quality, topology.link_source, topology.out_links.links)
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@given(topologies(), st.data())
def test_failures_match_networkx(topology: Topology, data: st.DataObject) -> None:
    """Components, their number and the diameter under failures are those of the pruned graph."""
    n_nodes, n_links = topology.n_nodes, topology.n_links
    failed_nodes = data.draw(st.sets(st.integers(0, n_nodes - 1))) if n_nodes else set()
    failed_links = data.draw(st.sets(st.integers(0, n_links - 1))) if n_links else set()
    graph = oracle(topology)
    graph.remove_edges_from(topology.ends[sorted(failed_links)].tolist() if failed_links else [])
    graph.remove_nodes_from(failed_nodes)

    rest = topology.without(nodes=sorted(failed_nodes), links=sorted(failed_links))

    assert int(rest.link_alive.sum()) == graph.number_of_edges()
    parts = [set(part) for part in nx.connected_components(graph)]
    assert rest.n_components == len(parts)
    for part in parts:
        label = rest.components[next(iter(part))]
        assert set(np.flatnonzero(rest.components == label).tolist()) == part
    assert (rest.components[sorted(failed_nodes)] == -1).all()
    assert rest.largest_component().sum() == max(map(len, parts), default=0)
    diameters = [nx.diameter(graph.subgraph(part)) for part in parts]
    assert rest.diameter() == max(diameters, default=0)


@given(topologies(max_nodes=8))
def test_masks_and_indices_say_the_same(topology: Topology) -> None:
    """A failed set may be given as indices or as a mask."""
    mask = np.arange(topology.n_nodes) % 2 == 0
    by_mask = topology.without(nodes=mask)
    by_index = topology.without(nodes=np.flatnonzero(mask))
    assert (by_mask.node_alive == by_index.node_alive).all()
    assert (by_mask.link_alive == by_index.link_alive).all()


@pytest.mark.parametrize("failed", [[3], [-1], [True], [0.5]])
def test_a_failed_set_that_does_not_fit_is_refused(failed: list[object]) -> None:
    """Indices out of range, masks of another length and fractions are errors, not ignored."""
    with pytest.raises(IndexError):
        Topology.of("abc").without(nodes=failed)


@given(topologies(), st.data())
def test_subgraph_keeps_inner_links(topology: Topology, data: st.DataObject) -> None:
    """A subgraph has the kept nodes in order and exactly the links between them."""
    keep = np.array([data.draw(st.booleans()) for _ in topology.ids], dtype=bool)
    inner = topology.subgraph(keep)
    expected = oracle(topology).subgraph(np.flatnonzero(keep).tolist())
    named = {frozenset((topology.ids[a], topology.ids[b])) for a, b in expected.edges}
    assert {frozenset((inner.ids[a], inner.ids[b])) for a, b in inner.ends} == named


def test_index_of_suggests_what_looks_alike() -> None:
    """A mistyped id is refused with the id that was probably meant."""
    topology = Topology.of(["n46fd", "n94ee"])
    assert topology.index_of("n94ee") == 1
    assert "n94ee" in topology
    with pytest.raises(UnknownNode, match="n94ee"):
        topology.index_of("n94e")


@pytest.mark.parametrize(
    ("ids", "links", "quality", "kind", "entry"),
    [
        (["a", "a"], [], 1.0, 0, "ids[1]"),
        (["a", "b\nc"], [], 1.0, 0, "ids[1]"),
        (["a", ""], [], 1.0, 0, "ids[1]"),
        (["a", "b"], [(0, 0)], 1.0, 0, "links[0]"),
        (["a", "b"], [(0, 1), (1, 0)], 1.0, 0, "links[1]"),
        (["a", "b"], [(0, 2)], 1.0, 0, "links[0]"),
        (["a", "b"], [(-1, 1)], 1.0, 0, "links[0]"),
        (["a", "b"], [(0, 1)], 0.0, 0, "links[0]"),
        (["a", "b"], [(0, 1)], [[1.0, 1.1]], 0, "links[0]"),
        (["a", "b"], [(0, 1)], float("nan"), 0, "links[0]"),
        (["a", "b"], [(0, 1)], 1.0, 3, "links[0]"),
        (["a", "b"], [(0, 1)], 1.0, -1, "links[0]"),
        (["a", "b"], [(0.0, 1.0)], 1.0, 0, "ends"),
        (["a", "b"], [(0, 1)], 1.0, 0.5, "kind"),
    ],
)
def test_broken_invariants_are_refused(
    ids: list[str], links: list[tuple[int, int]], quality: object, kind: object, entry: str
) -> None:
    """Whatever breaks an invariant is refused with the first entry that does."""
    with pytest.raises(TopologyError) as caught:
        Topology.of(ids, links, quality, kind)  # type: ignore[arg-type]
    assert caught.value.entry == entry
    assert entry in str(caught.value)


def test_columns_of_different_length_are_refused() -> None:
    """Ends, qualities and kinds must have a row for each link."""
    ends = np.array([[0, 1]], dtype=np.int32)
    with pytest.raises(TopologyError, match="do not match"):
        Topology(("a", "b"), ends, np.ones((2, 2)), np.zeros(1, np.int8))
    with pytest.raises(TopologyError, match="shape"):
        Topology(("a", "b"), np.zeros((1, 4), np.int32), np.ones((2, 2)), np.zeros(2, np.int8))


def test_the_empty_graph_answers() -> None:
    """A graph without nodes has no components, no diameter and no links to find."""
    empty = Topology.of([])
    assert empty.components().tolist() == []
    assert empty.diameter() == 0
    assert empty.without().largest_component().tolist() == []
    assert empty.out_links.indptr.tolist() == [0]
