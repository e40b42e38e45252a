"""A mesh in parts: of a map that is, or whose parts are joined by links too weak to come up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from living_mesh import MeshStarter, collect, status

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


@pytest.mark.parametrize("between", [None, 1e-5])
async def test_each_part_works_by_itself(
    starter: MeshStarter, tmp_path: Path, between: float | None
) -> None:
    """It becomes ready, routes lead within each part, and what is for the other comes back."""
    links = [("a", "b", 1.0), ("c", "d", 1.0)]
    links += [] if between is None else [("b", "c", between)]
    path = tmp_path / "parts.json"
    path.write_text(
        json.dumps(
            {
                "nodes": [{"node_id": node} for node in "abcd"],
                "links": [
                    {"source": a, "target": b, "source_tq": tq, "target_tq": tq, "type": "wifi"}
                    for a, b, tq in links
                ],
            }
        )
    )
    async with starter.running(topology=str(path), all_components=True) as mesh:
        shards = (await status()).shards
        assert [(shard.nodes, shard.database) for shard in shards] == [(2, 2), (2, 2)]
        for source, to in ("a", "b"), ("d", "c"):
            await mesh.send(source, to, b"within")
            assert [m.payload for m in await collect(mesh, to, 1)] == [b"within"]
        sent = await mesh.send("a", "d", b"across")
        assert [(m.id, m.undeliverable) for m in await collect(mesh, "a", 1)] == [(sent, True)]
