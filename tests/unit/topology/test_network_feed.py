"""A watched network as the topology of a mesh that is to be like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.runtime.errors import ActorUnavailable
from actors.topology.errors import TopologyError
from actors.topology.link_state import LinkState, Roster
from actors.topology.model import Topology
from actors.topology.network_feed import FORMAT, NetworkFeed
from actors.topology.provenance import Network, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

# Two islands: a - b - c, and d - e.
WORLD = Topology.of("abcde", [(0, 1), (1, 2), (3, 4)], kind=[0, 0, 0], kinds=("wifi", "vpn-fastd"))


class Seen:
    """A network of one shard, whose links are up or down as a test says."""

    def __init__(self, world: Topology) -> None:
        self.world = world
        self.revision = 1
        self.digest = 1
        self.down: set[int] = set()
        self.silent = False

    def become(self, world: Topology, down: Iterable[int] = ()) -> None:
        self.world, self.down = world, set(down)
        self.revision += 1
        self.digest += 1

    async def roster(self) -> Roster:
        present = np.ones(self.world.n_nodes, bool)
        return Roster(self.revision, "seen", self.world, present, ("observer",))

    async def link_state(self, shard: str, _known: tuple[int, int] | None) -> LinkState | None:
        if self.silent:
            raise ActorUnavailable(shard)
        link = np.arange(2 * self.world.n_links, dtype=np.int32)
        cost = np.full(len(link), 256, np.int32)
        cost[[row for row in link if row >> 1 in self.down]] = 0
        return LinkState(self.revision, self.digest, link, cost, np.ones(len(link)))

    async def provenance(self) -> Provenance:
        return Provenance(Network.OBSERVED, "seen", {"dangling links": 2}, ("old",), 7.0)


def ids(imported: object) -> str:
    return "".join(imported.topology.ids)  # type: ignore[attr-defined]


async def test_the_largest_component_is_the_mesh_and_the_rest_is_said() -> None:
    """What the sources left out is counted with what this leaves out."""
    found = await NetworkFeed(Seen(WORLD), "seen").poll()
    assert found is not None
    assert (ids(found), found.format) == ("abc", FORMAT)
    assert found.left_out == {
        "dangling links": 2,
        "nodes outside the component": 2,
        "links outside the component": 1,
    }
    assert found.warnings == ("old",)


async def test_a_network_that_is_the_same_is_not_new() -> None:
    """As a map that is polled."""
    seen = Seen(WORLD)
    feed = NetworkFeed(seen, "seen")
    assert await feed.poll() is not None
    assert await feed.poll() is None
    seen.become(WORLD, down=[1])
    changed = await feed.poll()
    assert changed is not None
    assert ids(changed) == "ab"


async def test_islands_that_change_size_do_not_exchange_the_mesh() -> None:
    """The component that shares most nodes with the one before stays the mesh."""
    seen = Seen(WORLD)
    feed = NetworkFeed(seen, "seen")
    await feed.poll()
    seen.become(Topology.of("abcdefg", [(0, 1), (3, 4), (4, 5), (5, 6)]))
    found = await feed.poll()
    assert found is not None
    assert ids(found) == "ab"


async def test_tunnels_and_components_are_as_wanted() -> None:
    """Every kind of tunnel counts as one."""
    world = Topology.of(
        "abcde", [(0, 1), (1, 2), (3, 4)], kind=[0, 1, 0], kinds=("wifi", "vpn-fastd")
    )
    found = await NetworkFeed(Seen(world), "seen", vpn=False, all_components=True).poll()
    assert found is not None
    assert (found.topology.n_nodes, found.topology.n_links) == (5, 2)
    assert found.left_out["VPN links"] == 1


@pytest.mark.parametrize("how", ["all links down", "silent"])
async def test_what_cannot_be_emulated_is_said(how: str) -> None:
    """The mesh then stays as it was; the error names the network."""
    seen = Seen(WORLD)
    feed = NetworkFeed(seen, "seen")
    if how == "silent":
        seen.silent = True
    else:
        seen.down = {0, 1, 2}
    with pytest.raises(TopologyError, match="seen"):
        await feed.poll()
