"""The live loop tells the history and the metrics, and survives what fails meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.history.archive import Archive
from actors.runtime.errors import Unavailable
from actors.runtime.metrics import MemoryMetrics
from actors.topology.events import EventKind, EventSeverity, NetworkEvent
from actors.topology.provenance import Network
from serve_apps.inference import live_loop
from serve_apps.inference.condition import condition_model
from serve_apps.inference.evidence_ranking import EvidenceRanker
from serve_apps.inference.hosts_traffic import Counted
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.live_loop import LiveLoop, LiveOptions
from serve_apps.inference.neighbour_traffic import HalfTraffic
from serve_apps.inference.settings import SHIPPED
from serve_apps.settings import Settings
from tests.unit.inference.looks import Looks, grid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from actors.topology.events import EventPage
    from actors.topology.samples import NetworkSample
    from serve_apps.inference.errors import ModelUnusable

OPTIONS = LiveOptions(Network.OBSERVED, interval_s=0.01, look_s=0.002, began_at=100.0)


class World:
    """A network, and a history; both can fail."""

    def __init__(
        self,
        remembered: Callable[[], Sequence[NetworkEvent]] = tuple,
        models: Path = SHIPPED,
    ) -> None:
        self.network = Looks(grid())
        self.blind = self.full = False
        self.stored: dict[int, NetworkEvent] = {}
        self.reports: list[str] = []
        self.metrics = MemoryMetrics()
        self.told: list[ModelUnusable] = []
        self.loop = LiveLoop(
            OPTIONS,
            self,
            EvidenceRanker(),
            self.report,
            self.metrics,
            remembered=remembered,
            model=condition_model(models, self.told.append),
        )

    async def look(self) -> NetworkSample:
        if self.blind:
            raise Unavailable("no answer", "blind", "Wait.", retry_after_s=1.0)
        return self.network.sample()

    async def report(self, source: str, network: Network, page: EventPage) -> int:
        if self.full:
            raise Unavailable("no answer", "full", "Wait.", retry_after_s=1.0)
        assert network is Network.OBSERVED
        self.reports.append(source)
        new = {event.number: event for event in page.events if event.number not in self.stored}
        self.stored |= new
        return len(new)

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for _, event in sorted(self.stored.items())]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.loop.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not holds():  # noqa: ASYNC110 - a condition of any kind
                await asyncio.sleep(0.005)

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.value(f"x0tta6bl4_inference_{name}", network="observed", **labels)


async def calm(world: World) -> None:
    for _ in range(4):
        world.loop._watch.look(world.network.sample())
        await world.loop.judge()


async def test_an_incident_is_stored_counted_and_closed() -> None:
    world = World()
    await calm(world)
    async with world.running():
        world.network.kill("n11")
        await world.until(lambda: world.stored)
        assert world.kinds[0] is EventKind.INCIDENT_OPENED
        assert world.stored[1].nodes[0] == "n11"
        await world.until(lambda: world.value("incidents_open") == 1)
        assert world.value("nodes_disturbed") == 5
        assert world.value("incidents_total", cause="node") == 1
        world.network.silent.clear()
        await world.until(lambda: world.kinds[-1] is EventKind.INCIDENT_CLOSED)
    assert {*world.reports} == {"inference:observed"}
    assert "n11" in world.stored[1].what


async def test_every_node_is_scored_and_an_incident_keeps_the_scores_of_its_nodes() -> None:
    world = World()
    for _ in range(12):  # some intervals are normal
        world.loop._watch.look(world.network.sample())
        await world.loop.judge()
    assert world.value("nodes_scored") == len(world.network.sample().nodes.ids)
    assert world.value("nodes_anomalous") == 0
    world.network.kill("n11")
    world.loop._watch.look(world.network.sample())
    await world.loop.judge()
    assert world.value("nodes_anomalous") >= 1
    assert world.stored[1].data["anomalous"]["n11"] > 0.5


async def test_without_a_model_incidents_are_followed_and_no_node_counts_as_well(
    tmp_path: Path,
) -> None:
    world = World(models=tmp_path)
    await calm(world)
    assert world.value("failing") == 1
    assert "condition" in world.loop.failing
    assert math.isnan(world.value("nodes_anomalous"))
    world.network.kill("n11")
    world.loop._watch.look(world.network.sample())
    await world.loop.judge()
    assert world.kinds == [EventKind.INCIDENT_OPENED]
    assert world.stored[1].data["anomalous"] == {}


async def test_a_harmed_model_is_told_and_the_last_good_one_goes_on_scoring(
    tmp_path: Path,
) -> None:
    for file in SHIPPED.glob("condition.*"):
        shutil.copy(file, tmp_path)
    world = World(models=tmp_path)
    await calm(world)
    assert world.value("failing") == 0
    (tmp_path / "condition.safetensors").write_bytes(b"noise")
    await calm(world)
    assert len(world.told) == 1
    assert world.value("failing") == 1
    assert "condition.safetensors" in world.loop.failing
    assert world.value("nodes_scored") == len(world.network.sample().nodes.ids)
    shutil.copy(SHIPPED / "condition.safetensors", tmp_path)
    await calm(world)
    assert world.value("failing") == 0


async def test_a_history_that_does_not_answer_is_told_later_in_order() -> None:
    world = World()
    await calm(world)
    world.full = True
    async with world.running():
        world.network.kill("n11")
        await world.until(lambda: world.loop.open)
        await world.until(lambda: world.value("failing") == 1)
        world.network.silent.clear()
        await world.until(lambda: not world.loop.open)
        assert world.stored == {}
        world.full = False
        world.network.kill("n22")
        await world.until(lambda: len(world.stored) >= 3)
        await world.until(lambda: world.value("failing") == 0)
    assert world.kinds[:3] == [
        EventKind.INCIDENT_OPENED,
        EventKind.INCIDENT_CLOSED,
        EventKind.INCIDENT_OPENED,
    ]


async def test_a_network_that_cannot_be_seen_is_not_well_and_not_broken() -> None:
    world = World()
    await calm(world)
    world.blind = True
    async with world.running():
        await world.until(lambda: world.value("unseen_intervals_total") > 2)
        assert world.stored == {}
        world.blind = False
        world.network.kill("n11")
        await world.until(lambda: world.stored)
    assert world.kinds == [EventKind.INCIDENT_OPENED]


async def test_a_restart_goes_on_with_what_was_open_and_closes_what_belongs_to_another_mesh() -> (
    None
):
    """Its process may end at any moment; a history that does not answer is asked again."""
    first = World()
    await calm(first)
    first.network.kill("n11")
    await calm(first)
    (told,) = first.stored.values()
    old = replace(told, data={**told.data, "incident": "old", "since": 1.0})
    answers = iter([Unavailable("no answer", "full", "Wait.", retry_after_s=1.0), (old, told)])

    def remembered() -> tuple[NetworkEvent, ...]:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    second = World(remembered)
    second.network.kill("n11")
    async with second.running():
        await second.until(lambda: second.stored)
        assert second.kinds == [EventKind.INCIDENT_CLOSED]
        assert second.stored[1].data["incident"] == "old"
        assert second.stored[1].data["why"] == "its network has ended"
        await second.until(lambda: second.loop.judged > 5)
        assert [one.id for one in second.loop.open] == [told.data["incident"]]
        second.network.silent.clear()
        await second.until(lambda: len(second.stored) > 1)
    assert second.stored[2].kind is EventKind.INCIDENT_CLOSED
    assert second.stored[2].data["incident"] == told.data["incident"]


def test_what_is_remembered_is_read_from_the_history(tmp_path: Path) -> None:
    archive = Archive.of(Settings(state_dir=tmp_path))
    assert live_loop.remembered(archive, Network.OBSERVED) == ()
    event = NetworkEvent(
        1, 5.0, EventKind.INCIDENT_OPENED, EventSeverity.WARNING, ("a",), None, "x"
    )
    other = replace(event, number=2, kind=EventKind.LINK_DOWN)
    with archive.events.alone(5.0):
        archive.events.record("inference:observed", Network.OBSERVED, 1, [event, other])
        archive.events.record("inference:emulated", Network.EMULATED, 1, [event])
    assert live_loop.remembered(archive, Network.OBSERVED) == [event]


async def test_what_hosts_receive_is_asked_for_and_a_failure_of_it_costs_nothing_else() -> None:
    """It is told as long as it lasts; the network is judged all the same."""

    class Traffic:
        def __init__(self, found: Counted | Exception) -> None:
            self.found = found

        async def read(self) -> Counted:
            if isinstance(self.found, Exception):
                raise self.found
            return self.found

    received = HalfTraffic(1.0, 2.0, math.nan, math.nan, math.nan, 1.0)
    known = {HalfLink("n00,n01,wifi", 0): received}
    world, traffic = World(), Traffic(Counted(known, neighbours=2, others=5))
    world.loop._traffic = traffic  # type: ignore[assignment]
    world.loop._watch.look(world.network.sample())
    await world.loop.judge()
    (one, other) = (await world.loop.condition()).received
    assert (one.name, one.value, other.name, other.value) == (
        "xdp_throughput",
        1.0,
        "xdp_packet_rate",
        2.0,
    )
    labels = {"network": "observed"}
    assert world.metrics.value("x0tta6bl4_inference_half_links_counted", **labels) == 1
    counted = "x0tta6bl4_inference_xdp_addresses"
    assert world.metrics.value(counted, owner="other", **labels) == 5
    gone = Unavailable("no answer", "it is gone", "Wait.", retry_after_s=1.0)
    for failure in (gone, Counted(silent={"box": gone})):
        traffic.found = failure
        world.loop._watch.look(world.network.sample())
        judged = world.loop.judged
        await world.loop.judge()
        assert world.loop.judged == judged + 1
        assert "received traffic: no answer" in world.loop.failing
        traffic.found = Counted()
        await world.loop.judge()
        assert world.loop.failing == ""
