"""How fast the twin takes a mesh apart, beside scipy and networkx doing it by removal.

Every answer that a comparator gave is checked against the twin's, or the benchmark fails.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import networkx as nx
import numpy as np
import typer
from scipy.sparse.csgraph import connected_components

from actors.topology.cuts import single_failures
from actors.topology.model import Topology
from actors.twin.doubles import double_failures
from actors.twin.failure import Failure
from actors.twin.intact import Intact, pairs_of
from actors.twin.internet import Internet
from actors.twin.limits import MAX_PAIRS
from actors.twin.partitions import FailedSets, Partitioner
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, timed
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from actors.twin.results import DoubleFailures

NODES: Final = 10_000
LINKS_PER_NODE: Final = 4
LARGE: Final = (26_000, 27_000)  # nodes and links
DOUBLE: Final = (2000, 8000)  # nodes and links
GATEWAYS: Final = ("n0", "n500", "n900")
DOUBLES_SAMPLE: Final = 200  # pairs of nodes removed by scipy
SETS: Final = 1000
SET_SIZES: Final = (2, 50)
RUNS: Final = 5
SEED: Final = 1
SCIPY_SINGLES: Final = 100  # removals by scipy; the rest is scaled
NETWORKX_SAMPLE: Final = 5  # removals and sets by networkx, which is slow
_METHOD: Final = """\
A random mesh of {nodes:,} nodes and {links:,} links (a random tree and further links between \
random nodes) and one of {large_nodes:,} and {large_links:,}; seed {seed}; one process, {runs} \
runs, taking turns. The twin's times are from the bare list of links to the last figure, the \
building of its arrays included; scipy's matrix and networkx's graph are made beforehand, which \
favours them.

All single failures: the twin's are those of every node and every link. The comparators remove one \
node, count the components that are left, and put it back; {scipy_singles} nodes (scipy) and \
{sample} (networkx) were removed and the time scaled to all nodes; links, which would cost them \
four times as much again, were left out. networkx's own linear search names cut nodes and bridges \
without saying what they cost.

All double failures: a random mesh of {double_nodes:,} nodes and {double_links:,} links with \
{gateways} gateways, every pair of nodes, of links, and of a node and a link, in pairs lost and in \
nodes cut off; one run. scipy removes {doubles_sample} random pairs of nodes and the 20 costliest, \
and the time is scaled to all pairs of nodes.

Random failures: {sets:,} sets of {least} to {most} nodes; scipy masks its matrix for each of \
them, networkx copies its graph for {sample} and the time is scaled. Every figure that a \
comparator gave equalled the twin's."""


def mesh(nodes: int, links: int, seed: int) -> Topology:
    """A connected mesh: a random tree and further random links, `links` in all.

    Raises:
        ValueError: there are too few links for a tree, or too many to be found at random.
    """
    if not nodes - 1 <= links <= nodes * (nodes - 1) // 4:
        raise ValueError(f"{nodes} nodes cannot have {links} links here")
    draw = np.random.default_rng(seed)
    below = np.arange(1, nodes)
    tree = np.stack([(draw.random(nodes - 1) * below).astype(np.int64), below], axis=1)
    found = tree
    while len(found) < links:
        more = np.sort(draw.integers(nodes, size=(links, 2)), axis=1)
        found = np.vstack([found, more[more[:, 0] < more[:, 1]]])
        _, first = np.unique(found[:, 0] * nodes + found[:, 1], return_index=True)
        found = found[np.sort(first)]
    return Topology.of([f"n{at}" for at in range(nodes)], found[:links])


_TWIN: Final = "the twin"
_SCIPY: Final = "scipy: connected_components"
_NETWORKX: Final = "networkx: connected_components"


@benchmark("twin", "Taking a mesh apart", ("numpy", "scipy", "networkx"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=100, max=50_000, help="Nodes of the mesh.")] = NODES,
    sets: Annotated[
        int, typer.Option(min=10, max=100_000, help="Number of random failures.")
    ] = SETS,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs of each program.")] = RUNS,
) -> Findings:
    """Measure how fast a mesh is taken apart, beside scipy and networkx.

    Raises:
        Unavailable: the programs disagree.
    """
    progress("making the meshes")
    topology = mesh(nodes, LINKS_PER_NODE * nodes, SEED)
    draw = np.random.default_rng(SEED)
    sizes = draw.integers(*SET_SIZES, size=sets, endpoint=True)
    failures = [Failure.at(draw.choice(nodes, size, replace=False)) for size in sizes]
    sample = draw.choice(nodes, min(SCIPY_SINGLES, nodes), replace=False)
    rivals = _Rivals.of(topology)
    single: dict[str, list[float]] = {_TWIN: [], _SCIPY: [], _NETWORKX: []}
    many: dict[str, list[float]] = {_TWIN: [], _SCIPY: [], _NETWORKX: []}
    named, vast = [], []
    large = mesh(*LARGE, SEED)
    for turn in range(runs):
        progress(f"run {turn + 1} of {runs}: single failures")
        cost, took = timed(partial(single_failures, _fresh(topology)))
        single[_TWIN].append(took)
        each = [Failure.at([node]) for node in sample.tolist()]
        _time_rivals(rivals, each, cost.by_node[sample], nodes, single)
        named.append(timed(rivals.named)[1])
        vast.append(timed(partial(single_failures, _fresh(large)))[1])
        progress(f"run {turn + 1} of {runs}: random failures")
        lost, took = timed(partial(_pairs_lost, _fresh(topology), failures))
        many[_TWIN].append(took)
        _time_rivals(rivals, failures, lost, sets, many)
    progress("double failures")
    twice = _doubles(_fresh(mesh(*DOUBLE, SEED)))
    method = _METHOD.format(
        double_nodes=DOUBLE[0],
        double_links=DOUBLE[1],
        gateways=len(GATEWAYS),
        doubles_sample=DOUBLES_SAMPLE,
        nodes=topology.n_nodes,
        links=topology.n_links,
        large_nodes=large.n_nodes,
        large_links=large.n_links,
        seed=SEED,
        runs=runs,
        scipy_singles=len(sample),
        sample=NETWORKX_SAMPLE,
        sets=sets,
        least=SET_SIZES[0],
        most=SET_SIZES[1],
    )
    return _found(
        method,
        topology,
        sets,
        _spreads(single),
        _spreads(many),
        Spread.of(named),
        Spread.of(vast),
        twice,
    )


def _found(
    method: str,
    topology: Topology,
    sets: int,
    alone: dict[str, Spread],
    together: dict[str, Spread],
    named: Spread,
    large: Spread,
    twice: tuple[float, float],
) -> Findings:
    """The figures.

    Args:
        method: how they were measured.
        topology: the mesh.
        sets: number of random failures.
        alone: seconds for all single failures, by program.
        together: seconds for all random failures, by program.
        named: seconds of networkx's linear search for cut nodes and bridges.
        large: seconds for all single failures of the large mesh, by the twin.
        twice: seconds for all double failures, by the twin and by removal with scipy.
    """
    single, many = _ratios(alone), _ratios(together)
    linear = named.median / alone[_TWIN].median
    rows = [
        [f"all single failures, {name}", str(spread.times(1000)), shown(single[name])]
        for name, spread in alone.items()
    ]
    rows.append(
        ["cut nodes and bridges, named only, networkx", str(named.times(1000)), shown(linear)]
    )
    rows += [
        [f"{sets:,} random failures, {name}", str(spread.times(1000)), shown(many[name])]
        for name, spread in together.items()
    ]
    rows.append([f"all single failures of {LARGE[0]:,} nodes, {_TWIN}", str(large.times(1000)), ""])
    rows += [
        [f"all double failures of {DOUBLE[0]:,} nodes, {_TWIN}", f"{1000 * twice[0]:,.0f}", "1.0"],
        [
            "pairs of nodes alone, scipy: connected_components",
            f"{1000 * twice[1]:,.0f}",
            shown(twice[1] / twice[0]),
        ],
    ]
    return Findings(
        method=method,
        tables=[Table(["", "ms", "times the twin's"], rows)],
        findings=[
            (
                f"All single failures take {alone[_TWIN].times(1000)} ms,"
                f" {shown(single[_SCIPY])} times less than by removal with scipy."
            ),
            (
                f"All double failures of {DOUBLE[0]:,} nodes and {DOUBLE[1]:,} links take"
                f" {twice[0]:.1f} s, {shown(twice[1] / twice[0])} times less than pairs of nodes"
                " alone by removal with scipy."
            ),
            (
                f"{sets:,} random failures take {together[_TWIN].times(1000)} ms,"
                f" {shown(many[_SCIPY])} times less than with scipy."
            ),
        ],
        values={
            "nodes": topology.n_nodes,
            "links": topology.n_links,
            "all_single_ms": 1000 * alone[_TWIN].median,
            "all_single_vs_scipy": single[_SCIPY],
            "all_single_vs_networkx": single[_NETWORKX],
            "named_only_vs_networkx": linear,
            "k_failures_ms": 1000 * together[_TWIN].median,
            "k_failures_vs_scipy": many[_SCIPY],
            "k_failures_vs_networkx": many[_NETWORKX],
            "large_all_single_ms": 1000 * large.median,
            "all_double_s": twice[0],
            "all_double_vs_scipy": twice[1] / twice[0],
            "all_single_s": {name: spread.as_dict() for name, spread in alone.items()},
            "k_failures_s": {name: spread.as_dict() for name, spread in together.items()},
            "large_all_single_s": large.as_dict(),
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rivals:
    """The mesh as scipy and networkx hold it."""

    matrix: csr_array[np.int8, tuple[int, int]]
    network: nx.Graph[int]

    @classmethod
    def of(cls, topology: Topology) -> _Rivals:
        network: nx.Graph[int] = nx.Graph()
        network.add_nodes_from(range(topology.n_nodes))
        network.add_edges_from(topology.ends.tolist())
        return cls(topology.without().adjacency, network)

    def scipy_pairs(self, failure: Failure) -> int:
        """Connected pairs that are left."""
        keep = np.ones(self.matrix.shape[0], np.bool_)
        keep[failure.nodes] = False
        _, label = connected_components(self.matrix[keep][:, keep], directed=False)
        size = np.bincount(label).astype(np.int64)
        return int((size * (size - 1) // 2).sum())

    def networkx_pairs(self, failure: Failure) -> int:
        """Connected pairs that are left."""
        left = self.network.copy()
        left.remove_nodes_from(failure.nodes.tolist())
        sizes = map(len, nx.connected_components(left))
        return sum(size * (size - 1) // 2 for size in sizes)

    def named(self) -> tuple[set[int], list[tuple[int, int]]]:
        """Cut nodes and bridges by networkx's linear search."""
        cut_nodes = nx.articulation_points(self.network)
        return set(cut_nodes), list(nx.bridges(self.network))  # type: ignore[arg-type]  # of its stub


def _time_rivals(
    rivals: _Rivals,
    failures: Sequence[Failure],
    lost: NDArray[np.int64],
    whole: int,
    seconds: dict[str, list[float]],
) -> None:
    """Let the rivals answer, scale their times to `whole` failures, and check their answers."""
    n = rivals.matrix.shape[0]
    few = failures[:NETWORKX_SAMPLE]
    left, took = timed(lambda: [rivals.scipy_pairs(failure) for failure in failures])
    seconds[_SCIPY].append(took * whole / len(failures))
    slow, took = timed(lambda: [rivals.networkx_pairs(failure) for failure in few])
    seconds[_NETWORKX].append(took * whole / len(few))
    survivors = np.array([n - len(failure.nodes) for failure in failures])
    # The mesh is connected, so all pairs of survivors were.
    truth = survivors * (survivors - 1) // 2 - np.array(left)
    if not np.array_equal(truth, lost) or slow != left[: len(few)]:
        raise defect("the twin, scipy and networkx count different pairs")


def _doubles(topology: Topology) -> tuple[float, float]:
    """Seconds for all double failures by the twin, and for those of nodes by removal with scipy.

    Raises:
        Unavailable: the two disagree.
    """

    def twin() -> tuple[DoubleFailures, Intact]:
        intact = Intact(topology)
        internet = Internet.of(topology, GATEWAYS)
        return double_failures(intact, MAX_PAIRS, internet, "pairs"), intact

    (found, intact), took = timed(twin)
    n = topology.n_nodes
    draw = np.random.default_rng(SEED)
    pairs = [draw.choice(n, 2, replace=False).tolist() for _ in range(DOUBLES_SAMPLE)]
    # The costliest too, so that the comparison is of more than zeros.
    pairs += [[topology.index_of(one.a), topology.index_of(one.b)] for one in found.nodes[:20]]
    rivals = _Rivals.of(topology)
    left, slow = timed(lambda: [rivals.scipy_pairs(Failure.at(pair)) for pair in pairs])
    beyond = {frozenset((one.a, one.b)): one.pairs_lost for one in found.nodes}
    for (a, b), connected in zip(pairs, left, strict=True):
        alone = _explained(intact, a, b)
        extra = beyond.get(frozenset((topology.ids[a], topology.ids[b])), 0)
        if (n - 2) * (n - 3) // 2 - connected != alone + extra:
            raise defect("the twin and scipy count different pairs of a double failure")
    return took, slow * (n * (n - 1) // 2) / len(pairs)


def _explained(intact: Intact, a: int, b: int) -> int:
    """Pairs of others that a or b parts alone, by removing each."""
    topology = intact.topology
    parts = [topology.without(nodes=[gone]).components for gone in (a, b)]
    keep = np.ones(topology.n_nodes, np.bool_)
    keep[[a, b]] = False
    both = np.unique(np.stack(parts)[:, keep], axis=1, return_counts=True)[1]
    return pairs_of(int(keep.sum())) - sum(map(pairs_of, both.tolist()))


def _pairs_lost(topology: Topology, failures: Sequence[Failure]) -> NDArray[np.int64]:
    return Partitioner(topology).figures(FailedSets.of(failures)).pairs_lost


def _fresh(topology: Topology) -> Topology:
    """A copy without anything computed from it."""
    copy: Topology = pickle.loads(pickle.dumps(topology))  # noqa: S301 - made one expression earlier
    return copy


def _spreads(seconds: dict[str, list[float]]) -> dict[str, Spread]:
    return {name: Spread.of(values) for name, values in seconds.items()}


def _ratios(spreads: dict[str, Spread]) -> dict[str, float]:
    """Medians as multiples of the twin's."""
    return {name: spread.median / spreads[_TWIN].median for name, spread in spreads.items()}


if __name__ == "__main__":
    measure.main()
