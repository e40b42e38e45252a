"""From a fault to the person on call: in time, once, in words; on a real mesh, over real https."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from living_mesh import HELLO_S, MeshStarter, inject
from pydantic import SecretStr

from actors.alerts.actor import AlertsActor
from actors.alerts.contract import ALERTS
from actors.history.actor import HistorianActor
from actors.history.archive import Archive
from actors.history.contract import HISTORIAN
from actors.history.event_store import EventQuery
from actors.mesh.drill import conductor
from actors.mesh.drill.conductor import Conductor
from actors.mesh.drill.drill_plan import DrillScenario, plan
from actors.mesh.membership import Faults
from actors.runtime import alerting, spawn
from actors.runtime.alert_forwarding import forwarding
from actors.runtime.alerting import on_pqc_handshake_failure
from actors.topology.events import MESH, EventKind
from jobs.launch.alerts_companion import alerts_options
from jobs.launch.history_companion import history_options
from serve_apps.settings import Settings
from tests.alert_services import ROUTING_KEY, PagerDuty
from tests.local_tls import Authority

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from actors.mesh.client import Mesh

LEAVES = 30
LATE_S = 2.0
RATE = 200.0


def village(path: Path) -> Path:
    """A map: the gateway hugo, the mast behind it, and a ring of nodes around the mast."""
    leaves = [f"leaf{at:02}" for at in range(LEAVES)]
    nodes = [
        {"node_id": name, "hostname": name, "is_online": True, "is_gateway": name == "hugo",
         "clients": 0 if name == "hugo" else 3}
        for name in ("hugo", "mast", *leaves)
    ]  # fmt: skip
    pairs = [("hugo", "mast"), *(("mast", leaf) for leaf in leaves)]
    pairs += list(zip(leaves, [*leaves[1:], leaves[0]], strict=True))
    links = [
        {"source": a, "target": b, "type": "wifi", "source_tq": 1.0, "target_tq": 1.0}
        for a, b in pairs
    ]
    file = path / "meshviewer.json"
    file.write_text(json.dumps({"timestamp": "2026-11-29", "nodes": nodes, "links": links}))
    return file


class OnCall(PagerDuty):
    """PagerDuty, and when each of its events arrived."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority)
        self.arrived: list[float] = []

    def _take(self, event: dict[str, Any]) -> Any:
        self.arrived.append(time.time())
        return super()._take(event)

    def first(self, words: str) -> float | None:
        """When the first event whose summary has these words arrived."""
        for at, event in zip(self.arrived, self.events, strict=True):
            if event.action == "trigger" and words in event.summary:
                return at
        return None


async def test_a_drill_a_storm_and_a_failed_handshake_arrive_in_time_and_once(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within two seconds after it was detected.

    The bound is what is promised, so it is asserted here, and only here, although a test should
    hold on the slowest machine. It counts from the moment that the event says: before that, it is
    the mesh's time to detect, which its own bound is about.
    """
    monkeypatch.setattr(conductor, "WARM_UP_S", 0.5)
    authority = Authority(tmp_path)
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(alerting, "_sinks", [])  # of this process, for this test
    with OnCall(authority).running() as on_call:
        given: dict[str, Any] = {
            "topology": str(village(tmp_path)),
            "hello_s": HELLO_S,
            "log_level": "WARNING",
            "alerts_pagerduty_routing_key": SecretStr(ROUTING_KEY),
            "alerts_pagerduty_url": on_call.url,
            "alerts_ca_file": str(authority.bundle),
        }
        settings = Settings(state_dir=tmp_path, namespace=namespace, **given)
        starter = MeshStarter(namespace, tmp_path)
        async with starter.running(topology=settings.topology) as mesh:
            spawn.detached(HistorianActor, HISTORIAN, history_options(settings))
            spawn.detached(AlertsActor, ALERTS, alerts_options(settings))
            store = Archive.of(settings).events
            await _until(lambda: store.progress(MESH).view is not None)
            await _drill(mesh, store, on_call)
            await _storm(mesh, store, on_call)
            await _handshake(namespace, on_call)


async def _drill(mesh: Mesh, store: Any, on_call: OnCall) -> None:
    """One node dies, with traffic in the mesh, and comes back."""
    chosen = plan(DrillScenario.RANDOM_NODE, mesh.membership, 1, ("leaf07",))
    report = await Conductor(mesh, chosen, RATE, 1, lambda _: None).run()
    assert report.shortcomings == []
    silent = await _event(store, EventKind.NODE_SILENT, "leaf07")
    at = await _arrival(on_call, "Node leaf07 is silent")
    assert at - silent.at <= LATE_S
    await _until(lambda: not on_call.open)
    assert len(on_call.pages) == 1


async def _storm(mesh: Mesh, store: Any, on_call: OnCall) -> None:
    """The gateway dies, and all are behind it: one page, with a list."""
    pages = len(on_call.pages)
    await inject(Faults(silent=frozenset({mesh.membership.topology.ids.index("hugo")})))
    lost = await _event(store, EventKind.GATEWAY_LOST)
    clients = 3 * (LEAVES + 1)
    behind = f"{LEAVES + 1} nodes with {clients} clients behind it reach no gateway any more"
    at = await _arrival(on_call, f"Gateway hugo is silent; {behind}")
    assert at - lost.at <= LATE_S
    (page,) = on_call.pages[pages:]
    first = next(one for one in on_call.events if one.key == page)
    assert "leaf07" in json.dumps(first.body)
    await inject(Faults())
    await _until(lambda: not on_call.open)
    assert on_call.pages[pages:] == [page]


async def _handshake(namespace: str, on_call: OnCall) -> None:
    """A failed handshake of post-quantum cryptography, in any process."""
    forwards = asyncio.create_task(forwarding(namespace))
    await asyncio.sleep(0)  # it begins
    failed = time.time()
    on_pqc_handshake_failure("bad_signature", "leaf03")
    at = await _arrival(on_call, "Post-quantum handshake with leaf03 failed: bad_signature")
    assert at - failed <= LATE_S
    forwards.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await forwards


async def _arrival(on_call: OnCall, words: str) -> float:
    """When the first event with these words arrived, Unix time, s."""
    found: list[float] = []

    def arrived() -> bool:
        at = on_call.first(words)
        found.extend([] if at is None else [at])
        return bool(found)

    await _until(arrived)
    return found[0]


async def _event(store: Any, kind: EventKind, node: str = "") -> Any:
    query = EventQuery(kinds=[kind], nodes=[node] if node else [])
    await _until(lambda: store.find(query))
    return (await asyncio.to_thread(store.find, query))[0].event


async def _until(condition: Any, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.05)
