from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.topology import source
from loadtests import kernel_routes
from loadtests.grid import centre, grid, write_netjson
from loadtests.plane_mesh import LINKS_PER_NODE, graph

if TYPE_CHECKING:
    from pathlib import Path

GATEWAY, REJECT, LOCAL = "00000003", "00200200", "80200001"


def line(node: int, device: str, *, metric: int = 1024, flags: str = GATEWAY) -> str:
    """A line as Linux 6.18 prints it, seen under babeld 1.12.1."""
    destination = f"{int(kernel_routes.PREFIX) + node + 1:032x}"
    none = "0" * 32
    return (
        f"{destination} 80 {none} 00 fe80000000000000783cadfffeaeb199"
        f" {metric:08x} 00000001 00000000 {flags} {device:>8}"
    )


def test_the_grid_survives_its_centre(tmp_path: Path) -> None:
    """The published grid reads back as it is, and without its centre no survivor is cut off."""
    topology = grid(5)
    write_netjson(topology, tmp_path / "grid.json")
    imported = source.read(str(tmp_path / "grid.json"))
    assert imported.topology == _as_other(topology)
    assert not imported.warnings
    assert (topology.n_nodes, topology.n_links) == (25, 40)
    assert topology.ids[centre(topology)] == "r2c2"
    components = topology.without(nodes=[centre(topology)]).components
    assert len(set(components[components >= 0].tolist())) == 1


def _as_other(topology: object) -> object:
    """The same mesh with the kind of link that NetJSON leaves open."""
    from actors.topology.model import KINDS, Topology

    assert isinstance(topology, Topology)
    return Topology.of(topology.ids, topology.ends, 1.0, KINDS.index("other"))


@pytest.mark.parametrize("side", [1, 2, 4])
def test_a_grid_without_a_centre_is_refused(side: int) -> None:
    """An even or tiny side is an error, not a grid whose centre is elsewhere."""
    with pytest.raises(ValueError, match="odd side"):
        grid(side)


def test_kernel_routes_name_the_next_hop() -> None:
    """A route's device names its next hop; the node's own address and other networks are none."""
    text = "\n".join(
        [
            line(0, "to3"),
            line(1, "lo", flags=LOCAL, metric=0),
            line(2, "to1"),
            line(2, "to3", metric=2048),
            f"{'fe80':0<32} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001 to1",
        ]
    )
    assert kernel_routes.parse(text, 4).tolist() == [3, -1, 1, -1]


def test_an_unreachable_route_leads_nowhere() -> None:
    """A rejecting route wins over a dearer one that leads on, as it does in the kernel."""
    text = "\n".join([line(0, "to2", metric=2048), line(0, "lo", flags=REJECT, metric=1)])
    assert kernel_routes.parse(text, 1).tolist() == [-1]


def test_the_benchmark_graph_is_what_its_claim_says() -> None:
    """It has four links a node, in one piece, and the same each time for the same seed."""
    topology, cost = graph(500, 3)
    assert topology.n_links == LINKS_PER_NODE * topology.n_nodes
    assert topology.components().max() == 0
    assert len(cost) == 2 * topology.n_links
    assert cost.min() > 0
    again, same = graph(500, 3)
    assert again == topology
    assert np.array_equal(same, cost)
