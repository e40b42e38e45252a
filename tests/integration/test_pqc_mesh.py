"""A mesh with PQC_BEACONS: it works as without, and nothing unproven gets in."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

import pytest
from living_mesh import MeshStarter, ask, collect, sides, sigkill, until

from actors.identity.enrolment import Enrolment
from actors.identity.errors import HandshakeFailed
from actors.mesh import control
from actors.mesh.frames import Envelope
from jobs.launch import beacon_questions
from jobs.terminal import beacon_tables

if TYPE_CHECKING:
    from pathlib import Path

    from actors.mesh.client import Mesh

PORT = 5
EPOCH_S = 10.0
SKEW_S = 60.0  # a busy machine passes beacons on late
SHARDS = ("mesh-shard-00", "mesh-shard-01")
NEVER = {"clock_skew", "bad_signature", "bad_certificate", "wrong_key", "replayed", "malformed"}


async def test_a_mesh_whose_shards_prove_everything(namespace: str, tmp_path: Path) -> None:
    """Routes, messages, refusals, new keys, and a shard that dies and comes back as itself."""
    starter = MeshStarter(namespace, tmp_path)
    options = {"beacon_epoch_s": EPOCH_S, "beacon_skew_s": SKEW_S}
    async with starter.running(pqc_beacons=True, **options) as mesh:
        await _sends(mesh)
        first = await _protected()
        await _refuses_what_is_not_sealed()
        await _is_shown(mesh)
        _keeps_seeds_private(tmp_path)

        before = time.monotonic()
        registry, node = await _forgotten()
        await until(lambda: _heard_anew(first), "keys are replaced")
        assert await _lost_since(before) == []
        second = await _protected()
        assert registry.enrolled(node, "ml-dsa-65") is not None

        await sigkill(SHARDS[0])
        await until(lambda: _heard_anew(second), "the shard's nodes are heard in a new epoch")
        await _sends(mesh)
        await _protected()


async def _sends(mesh: Mesh) -> None:
    """A message from a node of each shard to one of the other arrives."""
    here, there = (side[0] for side in sides(mesh))
    for source, target in ((here, there), (there, here)):
        await mesh.node(source).send(target, b"proven", port=PORT)
        arrived = await collect(mesh, target, 1, port=PORT)
        assert [message.payload for message in arrived] == [b"proven"]


async def _protected() -> dict[str, int]:
    """Epochs by node, as the other shard has heard them; every neighbour across is among them."""
    epochs: dict[str, int] = {}
    for shard, other in (SHARDS, SHARDS[::-1]):
        report = await _report(shard)
        assert report["sessions"].keys() == {other}
        assert report["without_key"] == []
        assert not NEVER & report["refused"].keys()
        heard = {name: each["epoch"] for name, each in report["heard"].items()}
        assert heard
        assert heard.keys().isdisjoint(report["signing"])
        epochs |= heard
    return epochs


async def _is_shown(mesh: Mesh) -> None:
    """`x0 beacons` has every node, and the ages of those that another shard hears."""
    answers = await beacon_questions._ask()
    found = beacon_tables.document(answers.shards, answers.down)
    assert [row["node"] for row in found["nodes"]] == sorted(mesh.membership.topology.ids)
    assert any(row["age_s"] is not None for row in found["nodes"])
    assert {(one["from"], one["to"]) for one in found["sessions"]} == {SHARDS, SHARDS[::-1]}
    assert found["handshakes_failed"]["unsealed"] == 1
    assert (found["pqc_beacons"], found["down"], found["without_key"]) == (True, {}, [])


async def _report(shard: str) -> dict[str, Any]:
    report: dict[str, Any] = await ask(shard, "protection")
    return report


async def _heard_anew(before: dict[str, int]) -> bool:
    heard = (await _report(SHARDS[1]))["heard"]
    assert heard.keys() <= before.keys()
    return bool(heard) and all(each["epoch"] > before[name] for name, each in heard.items())


async def _lost_since(before: float) -> list[Any]:
    """Neighbours that were lost: none, since each Hello counted."""
    events = [event for shard in SHARDS for event in await ask(shard, "events", before)]
    return [event for event in events if event.kind == "neighbour-lost"]


async def _forgotten() -> tuple[Enrolment, str]:
    """Have the key of a node forgotten that the other shard does not hear anyway."""
    signing, heard = (await _report(SHARDS[0]))["signing"], (await _report(SHARDS[1]))["heard"]
    node = next(name for name in signing if name not in heard)
    assert await beacon_questions._forget([node]) == [node]
    return Enrolment((await control.coordinator().options()).shard.directory), node


async def _refuses_what_is_not_sealed() -> None:
    """An envelope as it is, a record of no session, bytes of no protocol."""
    with pytest.raises(HandshakeFailed) as caught:
        await ask(SHARDS[0], "exchange", Envelope(SHARDS[1], 1))
    assert caught.value.reason == "unsealed"
    with pytest.raises(HandshakeFailed) as caught:
        await ask(SHARDS[0], "converse", b"\x13" + bytes(5000))
    assert caught.value.reason == "unexpected_message"
    assert await ask(SHARDS[0], "converse", b"\x10" + bytes(100)) == b"\x12"
    failed = (await _report(SHARDS[0]))["handshakes_failed"]
    assert failed.items() >= {"unsealed": 1, "unexpected_message": 1}.items()


def _keeps_seeds_private(state_dir: Path) -> None:
    seeds = list(state_dir.rglob("*.seed"))
    assert len(seeds) == 4  # two partitions, two shards
    assert {stat.S_IMODE(seed.stat().st_mode) for seed in seeds} == {0o600}
    secrets = [seed.read_bytes() for seed in seeds]
    others = [p for p in state_dir.rglob("*") if p.is_file() and p not in seeds]
    assert not any(secret in path.read_bytes() for secret in secrets for path in others)
