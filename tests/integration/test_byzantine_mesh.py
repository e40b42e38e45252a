"""A mesh with BYZANTINE: nodes lie and are found out, and the others get their messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from living_mesh import MeshStarter, ask, collect, in_time, sides, until

from actors.mesh import control
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.drill_plan import DrillScenario, plan
from actors.mesh.frames import Envelope
from actors.mesh.lies import Lie
from actors.mesh.membership import Faults
from actors.mesh.sync import SyncFrame
from actors.topology.advertisement import Lsa
from jobs.launch import quarantine_questions
from jobs.terminal import quarantine_tables

if TYPE_CHECKING:
    from pathlib import Path

    from actors.mesh.client import Mesh
    from actors.mesh.drill.report import DrillReport

PORT = 5
SHARDS = ("mesh-shard-00", "mesh-shard-01")


async def test_a_mesh_in_which_nodes_lie(namespace: str, tmp_path: Path) -> None:
    """Messages, forgeries, a node that tells two stories and its pardon, and three drills."""
    starter = MeshStarter(namespace, tmp_path)
    async with starter.running(byzantine=True) as mesh:
        await _sends(mesh)
        await _forgeries_are_refused(mesh)
        await _counts_paths(mesh)
        for scenario in (DrillScenario.LIAR, DrillScenario.REPLAY, DrillScenario.EQUIVOCATOR):
            result = await _drilled(mesh, scenario)
            assert result.shortcomings == [], scenario
            assert result.delivered > 0
        assert result.detected_s is not None
        assert result.detected_s <= result.convergence_bound_s
        await until(_nobody_is_proven, "the drill's liar is pardoned by both shards")
        await _sends(mesh)
        await _found_and_pardoned_by_hand(mesh)


async def _sends(mesh: Mesh) -> None:
    """A message from a node of each shard to one of the other arrives."""
    here, there = (side[0] for side in sides(mesh))
    for source, target in ((here, there), (there, here)):
        await mesh.node(source).send(target, b"proven", port=PORT)
        arrived = await collect(mesh, target, 1, port=PORT)
        assert [message.payload for message in arrived] == [b"proven"]


async def _report(shard: str) -> dict[str, Any]:
    report: dict[str, Any] = await ask(shard, "quarantine")
    return report


async def _forgeries_are_refused(mesh: Mesh) -> None:
    """What a shard tells of another's node without its signature is believed nowhere."""
    topology, placement = mesh.membership.topology, mesh.membership.placement
    owner = [placement.shard_of[part] for part in placement.partition_of.tolist()]
    link = next(
        link
        for link in range(2 * topology.n_links)
        if owner[topology.link_source[link]] == SHARDS[0]
        and owner[topology.link_target[link]] == SHARDS[1]
    )
    victim = int(topology.link_target[link])
    forged = Lsa(victim, 4000, 1, signature=b"x" * 64)
    envelope = Envelope(SHARDS[0], placement.version, sync=SyncFrame((forged,)), sync_link=link)
    answer = await ask(SHARDS[1], "exchange", envelope)
    assert answer.sync_heard

    async def counted() -> bool:
        return bool((await _report(SHARDS[1]))["forged"] == 1)

    await until(counted, "the forgery is checked and refused")
    assert (await _report(SHARDS[1]))["proven"] == []
    other_way = replace(envelope, sync_link=link ^ 1)
    assert await ask(SHARDS[1], "exchange", other_way) is None, "it speaks for another's node"


async def _counts_paths(mesh: Mesh) -> None:
    """`x0 quarantine list --from` counts the paths to every other node."""
    source = mesh.membership.topology.ids[0]
    found = quarantine_tables.document(await quarantine_questions._ask(source))
    assert (found["byzantine"], found["liars_withstood"], found["proven"]) == (True, 1, {})
    assert len(found["disjoint_paths"]) == mesh.membership.topology.n_nodes - 1
    assert set(found["disjoint_paths"].values()) <= {1, 2}
    assert found["counts"]["believed"] > 0
    assert found["down"] == {}


async def _found_and_pardoned_by_hand(mesh: Mesh) -> None:
    """`x0 quarantine list` shows who told two stories, `clear` gives it a key, once."""
    node = next(index for index in range(24) if mesh.membership.topology.degree[index] > 1)
    name = mesh.membership.topology.ids[node]
    lies = frozenset({(node, Lie.STORIES)})
    await control.coordinator().inject(Faults(lies=lies))

    async def listed() -> bool:
        found = quarantine_tables.document(await quarantine_questions._ask(None))
        return bool(found["proven"].get(name) == list(SHARDS))

    await until(listed, "both shards know the proof")
    await control.coordinator().inject(Faults())
    done = await quarantine_questions._clear([name])
    assert (done.cleared, done.not_proven) == ((name,), ())
    await until(_nobody_is_proven, "the node is believed again")
    done = await quarantine_questions._clear([name])
    assert (done.cleared, done.not_proven) == ((), (name,))


async def _drilled(mesh: Mesh, scenario: DrillScenario) -> DrillReport:
    chosen = plan(scenario, mesh.membership, seed=3)
    return await in_time(Conductor(mesh, chosen, 200.0, 3, lambda _: None).run)


async def _nobody_is_proven() -> bool:
    return all([(await _report(shard))["proven"] == [] for shard in SHARDS])
