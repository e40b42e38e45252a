"""The twin of a live mesh: what it knows, how it keeps up, and that it survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from living_mesh import MeshStarter, ask, inject, pid_of, sigkill, status, until
from test_mesh_refresh import RING, RING_LINKS, map_of

from actors.mesh.client import Mesh
from actors.mesh.contract import COORDINATOR
from actors.mesh.membership import Faults
from actors.runtime import spawn
from actors.runtime.errors import InvalidInput, Unavailable
from actors.topology.errors import UnknownNode
from actors.twin import actor, client
from actors.twin.actor import TwinActor
from actors.twin.conditions import Conditions
from actors.twin.contract import TWIN
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.scenario import of
from jobs.launch.options import twin_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from actors.twin.results import Reply


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


@asynccontextmanager
async def twinned(starter: MeshStarter, **settings: Any) -> AsyncIterator[Mesh]:
    """A mesh that is ready, and its twin."""
    async with starter.running(**settings) as mesh:
        spawn.detached(TwinActor, TWIN, twin_options(starter.options(**settings)))
        yield mesh


Beside = Callable[[], AbstractAsyncContextManager[Mesh]]


@pytest.fixture
def beside(shared: MeshStarter, rested: Beside) -> Beside:
    """The mesh that most of these tests share, and its twin."""

    @asynccontextmanager
    async def resting() -> AsyncIterator[Mesh]:
        async with rested() as mesh:
            spawn.detached(TwinActor, TWIN, twin_options(shared.options()))
            yield mesh

    return resting


async def what(*, limit_s: float = 60.0, plot: bool = False, **asked: Any) -> Reply:
    return await client.ask(of(asked), plot=plot, limit_s=limit_s)


async def seen(nodes: int, links: int) -> None:
    """Wait until the twin sees a mesh of this size."""

    async def so() -> bool:
        about = (await what(fail={})).about
        return (about.nodes, about.links) == (nodes, links)

    await until(so, f"the twin sees {nodes} nodes and {links} links")


async def test_the_live_mesh_is_answered_as_its_map(beside: Beside) -> None:
    """Once all links are up: pairs, parts and single failures are those of the map, exactly;
    losses, of which the nodes know what they have measured, are near; and Hellos are the mesh's."""
    async with beside() as mesh:
        whole = mesh.membership.topology
        await seen(whole.n_nodes, whole.n_links)
        known = Intact(whole, Conditions(hello_s=0.2))
        worst = whole.ids[int(known.cuts.by_node.argmax())]
        bridge = whole.ends[int(known.cuts.by_link.argmax())].tolist()
        for fail in (
            {"nodes": [worst]},
            {"links": [[whole.ids[node] for node in bridge]]},
            {"nodes": list(whole.ids)},
            {},
        ):
            asked = {"fail": fail, "singles": True, "worst_pairs": 5}
            live = await what(**asked)
            mapped = reply(of(asked), replace(live.about, live=False), known, plot=False)
            assert live.about.live
            assert (live.about.source, live.about.links_down) == ("radio:24", 0)
            assert live.answer.single_failures == mapped.answer.single_failures
            assert live.answer.worst_pairs == mapped.answer.worst_pairs
            found, expected = live.answer.impact, mapped.answer.impact
            assert found is not None
            assert expected is not None
            assert (found.pairs_lost, found.components) == (
                expected.pairs_lost,
                expected.components,
            )
            assert found.recovery == expected.recovery
            if expected.loss is not None and found.loss is not None:
                assert found.loss.before == pytest.approx(expected.loss.before, abs=0.1)


async def test_faults_are_seen_and_forgotten(beside: Beside) -> None:
    """A node that falls silent has no links in the twin until it speaks again."""
    async with beside() as mesh:
        whole = mesh.membership.topology
        await seen(whole.n_nodes, whole.n_links)
        node = int(whole.degree.argmax())
        await inject(Faults(silent=frozenset({node})))
        await seen(whole.n_nodes, whole.n_links - int(whole.degree[node]))
        found = await what(fail={})
        assert found.about.links_down == whole.degree[node]
        assert found.answer.impact is not None
        assert whole.ids[node] in found.answer.impact.isolated_nodes
        await inject(Faults())
        await seen(whole.n_nodes, whole.n_links)


async def test_a_new_map_is_followed(starter: MeshStarter, tmp_path: Path) -> None:
    """Nodes that join and leave do so in the twin; who has left is unknown there."""
    path = tmp_path / "ring.json"
    path.write_bytes(map_of(RING, RING_LINKS))
    async with twinned(starter, topology=str(path)):
        await seen(8, 8)
        first = (await what(fail={})).about.revision
        path.write_bytes(map_of((*RING[:-1], "new"), (*RING_LINKS[:-2], ("r0", "new"))))
        await ask(COORDINATOR, "refresh")
        await seen(8, 7)
        found = await what(fail={"nodes": ["r0"]})
        assert found.about.revision != first
        assert found.answer.impact is not None
        assert found.answer.impact.newly_isolated_nodes == ["new"]
        with pytest.raises(UnknownNode):
            await what(fail={"nodes": [RING[-1]]})


async def test_it_survives_sigkill_and_the_mesh_does_not_notice(beside: Beside) -> None:
    """After SIGKILL the restarted twin looks at the mesh anew and answers as before."""
    async with beside() as mesh:
        whole = mesh.membership.topology
        await seen(whole.n_nodes, whole.n_links)
        before = await what(singles=True)
        shards = [shard.pid for shard in (await status()).shards]
        killed = await sigkill(TWIN)

        async def back() -> bool:
            return await pid_of(TWIN) != killed

        async def answers() -> bool:
            return (await what(singles=True)).answer == before.answer

        await until(back, "the twin has restarted")
        await until(answers, "the twin answers")
        assert [shard.pid for shard in (await status()).shards] == shards


async def test_a_shard_that_is_killed_takes_nothing_from_the_twin(beside: Beside) -> None:
    """While a shard is down the twin answers, and afterwards it sees the whole mesh again."""
    async with beside() as mesh:
        whole = mesh.membership.topology
        await seen(whole.n_nodes, whole.n_links)
        await sigkill("mesh-shard-01")
        assert (await what(fail={})).about.nodes == whole.n_nodes
        await seen(whole.n_nodes, whole.n_links)


def _under_way(twin: Any) -> int:
    under_way: int = twin._under_way
    return under_way


async def test_questions_are_bounded(beside: Beside) -> None:
    """Long questions end in time, saying how far they came; too many are refused at once; those
    whose askers have gone make room."""
    long = {"random": {"k": 5, "of": "elements", "samples": 1_000_000}}
    async with beside():
        await what(fail={})
        with pytest.raises(InvalidInput, match=r"takes too long: .*random failed sets, \d+%"):
            await what(limit_s=0.3, **long)
        tasks = [asyncio.create_task(what(limit_s=60, **long)) for _ in range(actor.WAITING)]

        async def full() -> bool:
            return bool(await ask(TWIN, "__ray_call__", _under_way) == actor.WAITING)

        await until(full, "all these questions are under way")
        with pytest.raises(Unavailable, match="no more questions"):
            await what(fail={})
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (await what(fail={})).answer.impact is not None


async def test_it_draws(beside: Beside) -> None:
    """The picture comes with the answer, of the same mesh."""
    async with beside():
        found = await what(plot=True, singles=True)
        assert found.picture is not None
        assert found.picture.startswith(b"\x89PNG")
        assert found.answer.single_failures is not None
        assert found.pictured == (found.answer.single_failures.spof_nodes[0].node,)


async def test_a_mesh_without_a_twin_says_so(starter: MeshStarter) -> None:
    """As under MINIMAL."""
    async with starter.running():
        with pytest.raises(Unavailable, match="has no twin"):
            await what(fail={})


async def test_a_twin_without_a_mesh_is_not_ready(starter: MeshStarter) -> None:
    """It says what it lacks, and is ready once the mesh is."""
    options = starter.options()
    spawn.detached(TwinActor, TWIN, twin_options(options))
    with pytest.raises(Unavailable, match="not ready: cannot find actor mesh-coordinator"):
        await what(fail={})
    starter.begin(options)

    async def ready() -> bool:
        return (await what(fail={})).about.nodes == 24

    await until(ready, "the twin is ready")
