"""The core of the gateway: token, receipts, picture of the mesh."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import ConfigurationError, InvalidInput
from actors.topology.link_state import LinkState
from actors.topology.model import Topology
from serve_apps.gateway.mesh_view import MeshView, Snapshot
from serve_apps.gateway.receipts import InboxPosition, Receipts
from serve_apps.web import auth

if TYPE_CHECKING:
    from pathlib import Path

WORLD = Topology.of(["a", "b", "c"], [(0, 1), (1, 2)])


def look(*down: int, world: Topology = WORLD, **changes: object) -> Snapshot:
    cost = np.full(2 * world.n_links, 256, np.int32)
    cost[list(down)] = 0
    link = np.arange(2 * world.n_links, dtype=np.int32)
    present = np.ones(world.n_nodes, bool)
    said = {"down": {}} | changes
    return Snapshot(world, present, [LinkState(1, 1, link, cost, np.ones(len(link)))], **said)  # type: ignore[arg-type]


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    """The token stays the same, its file is for the owner alone, and a weak one is refused."""
    token = auth.ensure_token(tmp_path)
    path = auth.token_path(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert auth.ensure_token(tmp_path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    with pytest.raises(ConfigurationError, match="Remove the file"):
        auth.ensure_token(tmp_path)


@given(st.text(max_size=30), st.tuples(*[st.integers(0, 2**40)] * 3))
def test_a_receipt_is_good_for_its_node_alone(node: str, place: tuple[int, int, int]) -> None:
    """A receipt reads back at its node; at another, or altered, it is refused."""
    receipts = Receipts(b"k" * 32)
    written = receipts.write(node, InboxPosition(*place))
    assert receipts.read(node, [written]) == [InboxPosition(*place)]
    for other, text in ((node + "x", written), (node, "1" + written), (node, written[:-1])):
        with pytest.raises(InvalidInput):
            receipts.read(other, [text])


@given(st.lists(st.one_of(st.text(), st.integers(), st.none(), st.floats()), min_size=1))
def test_made_up_receipts_are_refused(values: list[object]) -> None:
    """Whatever is given as a receipt and is none is an InvalidInput."""
    with pytest.raises(InvalidInput):
        Receipts(b"k" * 32).read("a", values)


def test_a_node_that_nobody_hears_is_silent() -> None:
    """Without any link that is up; one that is heard again is up."""
    picture = MeshView()
    picture.take(look())
    picture.take(look(2, 3, down={"s1": "killed"}))
    assert [n["state"] for n in picture.nodes()] == ["up", "up", "silent"]
    assert [row["state"] for row in picture.links()] == ["up", "down"]
    assert picture.down == {"s1": "killed"}
    picture.take(look())
    assert [n["state"] for n in picture.nodes()] == ["up", "up", "up"]


def test_a_new_map_keeps_what_is_known() -> None:
    """Links that stay keep their state over a renumbering; those who left are not listed."""
    picture = MeshView()
    picture.take(look(0))
    grown = Topology.of(["a", "b", "c", "d"], [(2, 3), (1, 2), (0, 1)])
    picture.take(Snapshot(grown, np.array([True, True, False, True]), [], {}))
    assert [node["id"] for node in picture.nodes()] == ["a", "b", "d"]
    assert picture.cost.tolist() == [0, 0, 256, 256, 0, 256]
