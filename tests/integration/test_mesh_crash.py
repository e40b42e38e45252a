"""Processes of a live mesh die by SIGKILL: what was accepted arrives, once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from living_mesh import MeshStarter, ask, collect, sides, sigkill, until

from actors.mesh import batch as messages
from actors.mesh.client import Mesh
from actors.mesh.contract import COORDINATOR
from actors.mesh.drill import conductor
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.drill_plan import DrillScenario, plan

if TYPE_CHECKING:
    from pathlib import Path

    from actors.mesh.drill.report import DrillReport

BATCH = 20  # messages in one request
PORT = 5


@pytest.fixture
def starter(namespace: str, tmp_path: Path) -> MeshStarter:
    return MeshStarter(namespace, tmp_path)


@dataclass
class Ledger:
    """An application that writes down what it has sent and what has come, payloads and all."""

    mesh: Mesh
    sent: dict[int, bytes] = field(default_factory=dict)  # payloads by id
    arrived: list[tuple[int, bytes]] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    stopping: bool = False
    _serial: int = 0

    async def send_for_ever(self, seed: int) -> None:
        choose = np.random.default_rng(seed)
        n = len(self.mesh.nodes())
        while not self.stopping:
            source = choose.integers(0, n, BATCH)
            to = (source + choose.integers(1, n, BATCH)) % n
            payloads = [self._payload(int(times)) for times in choose.integers(1, 50, BATCH)]
            answer = await self.mesh.send_batch(messages.build(source, to, payloads, port=PORT))
            assert not answer.refusal.any()
            self.sent.update(zip(answer.ids.tolist(), payloads, strict=True))
            await asyncio.sleep(0.02)

    def _payload(self, times: int) -> bytes:
        self._serial += 1
        return b"%d " % self._serial * times

    async def receive_for_ever(self, partition: int) -> None:
        while True:
            received = await self.mesh.receive_batch(partition, port=PORT)
            for message in self.mesh.messages_of(received):
                if message.undeliverable:
                    self.returned.append(message.id)
                else:
                    self.arrived.append((message.id, message.payload))
            await self.mesh.acknowledge(received)
            await asyncio.sleep(0.02)

    async def settled(self) -> bool:
        return set(self.sent) <= {*self.returned, *(i for i, _ in self.arrived)}

    def check(self) -> None:
        """Every accepted message has one fate, and those delivered their payload."""
        fates = Counter([*self.returned, *(i for i, _ in self.arrived)])
        assert set(fates) == set(self.sent)
        assert set(fates.values()) == {1}
        assert [i for i, payload in self.arrived if self.sent[i] != payload] == []


async def test_senders_outlast_the_death_of_a_shard(starter: MeshStarter) -> None:
    """While a shard dies by SIGKILL and comes back, every message accepted has one fate."""
    async with starter.running() as mesh:
        ledger = Ledger(mesh)
        receivers = [asyncio.create_task(ledger.receive_for_ever(number)) for number in (0, 1)]
        senders = [asyncio.create_task(ledger.send_for_ever(seed)) for seed in range(4)]
        await asyncio.sleep(1.0)
        before = len(ledger.sent)
        await sigkill("mesh-shard-00")
        await asyncio.sleep(1.0)
        await until(lambda: _alive(mesh), "the shard is back")
        await asyncio.sleep(1.0)
        ledger.stopping = True
        await asyncio.gather(*senders)
        await until(ledger.settled, "everything accepted has arrived")
        await asyncio.sleep(1.0)  # for what may still arrive a second time
        for task in receivers:
            task.cancel()
        ended = await asyncio.gather(*receivers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        ledger.check()
        assert 0 < before < len(ledger.sent)
        # Notices are for nodes that were gone longer than the mesh waits, not for the rule.
        assert len(ledger.arrived) > len(ledger.sent) // 2


async def _alive(mesh: Mesh) -> bool:
    for number, shard in enumerate(mesh.membership.placement.shard_of):
        version = mesh.membership.placement.version
        await ask(shard, "pending", number, version, np.empty(0, np.uint64))
    return True


async def drill(target: str, seed: int, rate: float) -> DrillReport:
    mesh = await Mesh.attach()
    chosen = plan(DrillScenario.SHARD_KILL, mesh.membership, seed, (target,) if target else ())
    return await Conductor(mesh, chosen, rate, seed, lambda _: None).run()


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drills that spend no longer on calm than their judgement needs."""
    monkeypatch.setattr(conductor, "WARM_UP_S", 0.5)
    monkeypatch.setattr(conductor, "CALM_S", 0.2)


@pytest.mark.usefixtures("brisk")
async def test_ten_kills_in_a_row_lose_and_double_nothing(starter: MeshStarter) -> None:
    """A shard is killed under load ten times in one mesh: nothing is lost, doubled or circles."""
    async with starter.running(topology="radio:48"):
        for seed in range(10):
            report = await drill(f"mesh-shard-{seed % 2:02d}", seed, rate=3000)
            assert report.shortcomings == [], f"drill {seed}"
            assert (report.lost_accepted, report.duplicates) == (0, 0)
            assert report.accepted == report.sent > 1000
            assert report.detected_s is not None
        deaths = Counter(shard for _, shard in await ask(COORDINATOR, "deaths", 0.0))
        assert deaths == {"mesh-shard-00": 5, "mesh-shard-01": 5}


@pytest.mark.usefixtures("brisk")
async def test_take_overs_lose_and_double_nothing(starter: MeshStarter) -> None:
    """With FAILOVER the other shard takes over, and may be killed in its turn."""
    async with starter.running(topology="radio:48", failover=True):
        owners = []
        for seed in range(3):
            owner = (await Mesh.attach()).membership.placement.shard_of[0]
            report = await drill(owner, seed, rate=3000)
            assert report.shortcomings == [], f"drill {seed}"
            assert report.accepted == report.sent > 1000
            owners.append(owner)
            after = (await Mesh.attach()).membership.placement
            assert len(after.shards) == 1
            assert owner not in after.shards
        # The second and the third to die had taken everything over.
        assert owners == ["mesh-shard-00", "mesh-shard-01", "mesh-shard-00"]


async def test_the_mesh_goes_on_without_its_coordinator(starter: MeshStarter) -> None:
    """While the coordinator dies and comes back, messages arrive; the membership is the same."""
    async with starter.running() as mesh:
        here, there = (side[0] for side in sides(mesh))
        before = mesh.membership
        # Only who is attached already does without the coordinator.
        assert await mesh.node(there).receive() == []
        pid = await sigkill(COORDINATOR)
        for number in range(20):
            await mesh.send(here, there, b"%d" % number)
        found = await collect(mesh, there, 20)
        assert sorted(int(m.payload) for m in found) == list(range(20))

        async def back() -> bool:
            after = (await Mesh.attach()).membership
            assert after.topology == before.topology
            assert after.placement.shard_of == before.placement.shard_of
            assert after.placement.partition_of.tolist() == before.placement.partition_of.tolist()
            return True

        await until(back, "the coordinator is back")
        assert await sigkill(COORDINATOR) != pid
        await until(back, "the coordinator is back again")
        # It watches over the shards as before.
        at = time.monotonic()
        await sigkill("mesh-shard-01")

        async def noted() -> bool:
            deaths = await ask(COORDINATOR, "deaths", at)
            return [shard for _, shard in deaths] == ["mesh-shard-01"]

        await until(noted, "the death of a shard is noted")


@pytest.mark.parametrize("flag", ["off", "on"])
async def test_a_restarted_coordinator_keeps_the_shards_together(
    starter: MeshStarter, flag: str
) -> None:
    """A shard that dies after the coordinator did comes back to one placement, and delivers."""
    # So patient that no message is returned while the shard restarts.
    async with starter.running(failover=flag == "on", hello_s=10.0) as mesh:
        here, there = (side[0] for side in sides(mesh))
        await sigkill(COORDINATOR)
        await Mesh.attach()  # the coordinator is back
        await sigkill("mesh-shard-01")
        ids = [await mesh.send(here, there, b"%d" % number) for number in range(20)]
        found = await collect(mesh, there, 20)
        assert sorted(m.id for m in found) == sorted(ids)
        assert not any(m.undeliverable for m in found)
