"""How fast routes are computed, beside networkx and scipy called plainly; and how many need not be.

`forwarding_trees` gives what forwarding needs: towards a destination, every node's remaining
distance and the link to its next hop. networkx and scipy give distances and predecessors. All
three must agree on every distance, or the benchmark fails.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final, cast

import networkx as nx
import numpy as np
import typer
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from actors.topology import spf
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, timed
from loadtests.plane_mesh import graph
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from loadtests.plane_mesh import Costs

NODES: Final = 10_000
TREES: Final = 64  # destinations that are active at once
SAMPLES: Final = 3  # destinations for networkx, which is slow
RUNS: Final = 5
CHANGES: Final = 100
SEED: Final = 1
_METHOD: Final = """\
{nodes:,} nodes at random places and {links:,} links: the Delaunay triangulation and the shortest \
further pairs; costs of each direction drawn evenly from one to four times that of a perfect link. \
In one process, {runs} runs of each. The graph objects of networkx and scipy are made beforehand, \
which favours them. All distances were found equal.

A change is one random link that dies, or becomes up to four times as dear or cheap, both ways; \
{changes} changes against {trees} active trees. The trees that `touched` names are computed again; \
for five of the changes all trees were, and the distances in those not named had not altered."""


_OURS: Final = "this mesh: forwarding_trees"
_SCIPY: Final = "scipy: dijkstra, one call a source"
_NETWORKX: Final = "networkx: single_source_dijkstra"


@benchmark("routes", "Computing routes", ("numpy", "scipy", "networkx"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=100, max=50_000, help="Nodes of the mesh.")] = NODES,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Runs of each program.")] = RUNS,
) -> Findings:
    """Measure how many forwarding trees a second are computed, beside networkx and scipy.

    Raises:
        Unavailable: the programs disagree, or an untouched tree has altered.
    """
    progress(f"making a mesh of {nodes:,} nodes")
    topology, cost = graph(nodes, SEED)
    draw = np.random.default_rng(SEED)
    destinations = draw.choice(nodes, min(TREES, nodes), replace=False).astype(np.int32)
    per_s = _compare(topology, cost, destinations, runs, progress)
    progress("single changes")
    touched, update_s = _changes(topology, cost, destinations, draw)
    full_s = Spread.of(len(destinations) / rate for rate in per_s[_OURS].values)
    base = per_s[_NETWORKX].median
    ratios = {name: spread.median / base for name, spread in per_s.items()}
    saved = full_s.median / update_s.median
    speed = Table(
        ["", "trees/s", "times networkx"],
        [[name, str(s), shown(ratios[name])] for name, s in per_s.items()],
    )
    change = Table(
        ["after one change", "trees touched, %", "until all are right again, ms"],
        [
            ["`touched`, then those", str(touched.times(100)), str(update_s.times(1000))],
            ["all of them", "100", str(full_s.times(1000))],
        ],
    )
    rate = (
        f"{ratios[_OURS]:.1f} times as many trees a second as networkx,"
        f" {ratios[_OURS] / ratios[_SCIPY]:.2f} times as many as plain scipy, which gives no"
        " next links."
    )
    change_rate = (
        f"After one change the tables are right again {saved:.1f} times as soon as by"
        " computing all of them (medians)."
    )
    return Findings(
        method=_METHOD.format(
            nodes=topology.n_nodes,
            links=topology.n_links,
            runs=runs,
            changes=CHANGES,
            trees=len(destinations),
        ),
        tables=[speed, change],
        findings=[rate, change_rate],
        values={
            "nodes": topology.n_nodes,
            "links": topology.n_links,
            "trees_per_s": {name: s.as_dict() for name, s in per_s.items()},
            "ratio_to_networkx": ratios,
            "touched_share": touched.as_dict(),
            "update_s": update_s.as_dict(),
            "full_s": full_s.as_dict(),
        },
    )


def _compare(
    topology: Topology, cost: Costs, destinations: Costs, runs: int, progress: Progress
) -> dict[str, Spread]:
    """Trees per second of each program, by name."""
    n = topology.n_nodes
    source, target = topology.link_source, topology.link_target
    # Reversed: a tree towards a destination is a tree from it over the links turned round.
    matrix = csr_array((cost.astype(np.float64), (target, source)), shape=(n, n))
    network: nx.DiGraph[int] = nx.DiGraph()
    network.add_nodes_from(range(n))
    network.add_weighted_edges_from(
        zip(target.tolist(), source.tolist(), cost.tolist(), strict=True)
    )
    few = destinations[:SAMPLES]

    def ours() -> NDArray[np.float64]:
        found = spf.forwarding_trees(topology, cost, destinations).distance
        return np.where(found == spf.INFINITE, np.inf, found)

    def scipy_plainly() -> NDArray[np.float64]:
        return np.array(
            [dijkstra(matrix, indices=at, return_predecessors=True)[0] for at in destinations]
        )

    def networkx_plainly() -> list[dict[int, float]]:
        # Its annotation allows for a single target, which is not given.
        found = [nx.single_source_dijkstra(network, at)[0] for at in few.tolist()]
        return cast("list[dict[int, float]]", found)

    # Taking turns, so that a busy spell of the machine falls on all of them.
    seconds: dict[str, list[float]] = {_OURS: [], _SCIPY: [], _NETWORKX: []}
    for turn in range(runs):
        progress(f"run {turn + 1} of {runs}")
        mine, took = timed(ours)
        seconds[_OURS].append(took / len(destinations))
        plain, took = timed(scipy_plainly)
        seconds[_SCIPY].append(took / len(destinations))
        lengths, took = timed(networkx_plainly)
        seconds[_NETWORKX].append(took / len(few))
        theirs = np.full((len(few), n), np.inf)
        for row, found in enumerate(lengths):
            theirs[row, list(found)] = list(found.values())
        if not (np.array_equal(mine, plain) and np.array_equal(mine[: len(few)], theirs)):
            raise defect("distances differ between this mesh, scipy and networkx")
    return {name: Spread.of(1 / each for each in took) for name, took in seconds.items()}


def _changes(
    topology: Topology, cost: Costs, destinations: Costs, draw: np.random.Generator
) -> tuple[Spread, Spread]:
    """Share of the trees touched by random changes, and seconds until those are right again."""
    trees = spf.forwarding_trees(topology, cost, destinations)
    shares, seconds = [], []
    for number in range(CHANGES):
        new = cost.copy()
        ends = 2 * int(draw.integers(topology.n_links)) + np.arange(2)
        factor = draw.choice([0.0, draw.uniform(0.25, 4.0)])  # 0: the link has died
        new[ends] = (cost[ends] * factor).astype(np.int32)
        start = time.perf_counter()
        hit = spf.touched(topology, trees, cost, new)
        again = spf.forwarding_trees(topology, new, destinations[hit])
        seconds.append(time.perf_counter() - start)
        shares.append(float(hit.mean()))
        if number % (CHANGES // 5) == 0:
            _check(trees, again, spf.forwarding_trees(topology, new, destinations), hit)
    return Spread.of(shares), Spread.of(seconds)


def _check(old: spf.Trees, again: spf.Trees, full: spf.Trees, hit: NDArray[np.bool_]) -> None:
    kept = np.array_equal(old.distance[~hit], full.distance[~hit])
    if not kept or not np.array_equal(again.distance, full.distance[hit]):
        raise defect("a tree that a change did not touch has altered")


if __name__ == "__main__":
    measure.main()
