"""A simulated mesh in time: radio, Hello protocol, routes, traffic, queues and processors.

What nodes know of their links comes from the mesh's own code: `NeighbourTable` counts the Hellos
that `RadioMedium` lets through, so qualities lag, scatter and vanish as they do in the mesh. The
rest is simple physics:

- Counters are Poisson counts of the frames that `SimulatedTraffic` carries.
- Processor: a share at rest, one that grows with utilisation, and what exhausts it.
- Memory: a slow walk, the queues, and what exhausts it.
- RSSI and SNR: see `radio_signal`; both jitter.
- Whether a link is up, and its quality, are means over the interval, as whoever looks at a network
  several times in an interval has them; the rest is as it is at its end.

A node that is down, or whose telemetry does not arrive, reports NaN for all that it measures. All
that is reported is measured by a node of the mesh at its own end; none of it names a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh.medium import RadioMedium
from actors.mesh.neighbours import NeighbourTable
from actors.topology.etx import COST_UNIT
from serve_apps.inference.simulation.radio_signal import (
    JITTER_DB,
    NOISE_FLOOR_DBM,
    snr_of,
)
from serve_apps.inference.simulation.traffic import SimulatedTraffic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from serve_apps.inference.simulation.simulated_faults import Effects

HALF_LINK_METRICS: Final = (
    "quality",
    "link_up",
    "link_age",
    "rssi",
    "snr",
    "latency",
    "in_packet_rate",
    "out_packet_rate",
)
NODE_METRICS: Final = ("cpu", "memory")
LEAST_QUALITY: Final = 1e-6  # of a link that is not cut


class MeshWorld:
    """One mesh, stepped from one sample to the next.

    Args:
        topology: the mesh as it is when nothing is wrong.
        gateways: indices of the nodes that lead to the internet.
        interval_s: between two samples, s.
        hello_s: between two Hellos of a node, s.
        rng: draws everything.
    """

    def __init__(
        self,
        topology: Topology,
        gateways: NDArray[np.intp],
        interval_s: float,
        hello_s: float,
        rng: np.random.Generator,
    ) -> None:
        self._topology = topology
        self._interval_s, self._hello_s = interval_s, hello_s
        self._rng = rng
        self._medium = RadioMedium(topology, int(rng.integers(2**31)))
        everyone = np.ones(topology.n_nodes, bool)
        self._table = NeighbourTable(topology, everyone, hello_s, int(rng.integers(2**31)), 0.0)
        self._now = 0.0
        self._traffic = SimulatedTraffic(topology, gateways, rng.uniform(0.3, 0.6), rng)
        n_half = 2 * topology.n_links
        self._margin = rng.uniform(0.0, 15.0, n_half)
        self._came_up = np.zeros(n_half)
        self._was_up = np.zeros(n_half, bool)
        self._rest_cpu = rng.uniform(0.05, 0.25, topology.n_nodes)
        self._rest_memory = rng.uniform(0.25, 0.5, topology.n_nodes)
        self._walk = np.zeros(topology.n_nodes)
        self._passing = np.ones(n_half)

    def step(self, effects: Effects) -> dict[str, NDArray[np.float64]]:
        """Let one interval pass; what nodes report at its end, by metric, one row.

        Node metrics are [n_nodes], the others [2 * n_links] by half-link. Quality is a fraction,
        `link_up` the share of the interval, link age in s, RSSI in dBm, SNR in dB, latency in s,
        rates in frames/s, processor and memory as fractions.
        """
        quality = self._suffer(effects)
        seen = []
        for _ in range(max(1, round(self._interval_s / self._hello_s))):
            self._hello(effects)
            seen.append(self._links())
        cost = np.zeros(2 * self._topology.n_links)
        cost[self._table.link] = self._table.cost / COST_UNIT
        self._traffic.route(cost)
        load = self._traffic.step(quality, effects, self._rng)
        up = seen[-1][0]
        halves = {
            "quality": np.mean([measured for _, measured in seen], axis=0),
            "link_up": np.mean([is_up for is_up, _ in seen], axis=0),
            "link_age": np.where(up, self._now - self._came_up, 0.0),
            **self._signal(quality, effects, up),
            "latency": np.where(up, self._jitter(load.latency_s, 0.1), np.nan),
            "in_packet_rate": self._counted(load.arriving),
            "out_packet_rate": self._counted(load.sent),
        }
        dark = effects.silent | effects.mute
        owner = self._topology.ends.reshape(-1)
        nodes = self._machines(load.utilisation, effects)
        return {
            **{name: np.where(dark[owner], np.nan, row) for name, row in halves.items()},
            **{name: np.where(dark, np.nan, row) for name, row in nodes.items()},
        }

    def _suffer(self, effects: Effects) -> NDArray[np.float64]:
        """Have the medium as the effects say; the delivery of each directed link."""
        topology = self._topology
        if not np.array_equal(effects.passing, self._passing):
            self._passing = effects.passing.copy()
            reached = np.maximum(
                topology.quality * effects.passing.reshape(-1, 2)[:, ::-1], LEAST_QUALITY
            )
            self._worse = type(topology).of(topology.ids, topology.ends, reached)
            self._medium.replace(self._worse)
        cut = [tuple(pair) for pair in topology.ends[effects.cut].tolist()]
        self._medium.fault(np.flatnonzero(effects.silent).tolist(), cut)
        quality = topology.link_quality * self._passing.reshape(-1, 2)[:, ::-1].reshape(-1)
        dead = effects.silent[topology.link_source] | effects.silent[topology.link_target]
        return np.where(dead | np.repeat(effects.cut, 2), 0.0, quality)

    def _hello(self, effects: Effects) -> None:
        table = self._table
        self._now += self._hello_s
        hellos = table.hellos(self._now, effects.silent)
        arrived = self._medium.burst(hellos.links, hellos.copies)
        heard = table.hear(hellos, arrived, self._now)
        lost = table.expire(self._now)
        changed = np.concatenate([heard.up, heard.down, heard.cost, lost.down]).astype(np.intp)
        table.settle_costs(changed)

    def _links(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        table = self._table
        up, measured = np.zeros(2 * self._topology.n_links, bool), np.zeros(len(self._came_up))
        up[table.link], measured[table.link] = table.up, np.where(table.up, table.measured, 0.0)
        self._came_up[up & ~self._was_up] = self._now
        self._was_up = up
        return up, measured

    def _signal(
        self, quality: NDArray[np.float64], effects: Effects, up: NDArray[np.bool_]
    ) -> dict[str, NDArray[np.float64]]:
        receives = quality.reshape(-1, 2)[:, ::-1].reshape(-1)
        usual = self._topology.quality[:, ::-1].reshape(-1)
        at_best = snr_of(usual) + np.where(usual > 0.9, self._margin, 0.0)
        fallen = snr_of(receives)
        lossy = effects.passing < 1.0
        snr = np.where(lossy & ~effects.snr_hidden, np.minimum(fallen, at_best), at_best)
        rssi = np.where(lossy & ~effects.rssi_hidden, np.minimum(fallen, at_best), at_best)
        noise = self._rng.normal(0.0, JITTER_DB, (2, len(snr)))
        return {
            "rssi": np.where(up, NOISE_FLOOR_DBM + rssi + noise[0], np.nan),
            "snr": np.where(up, snr + noise[0] + noise[1], np.nan),
        }

    def _machines(
        self, utilisation: NDArray[np.float64], effects: Effects
    ) -> dict[str, NDArray[np.float64]]:
        # What others send keeps the air busy, not the processor.
        busy = np.minimum(utilisation, 1.0) * (1.0 - effects.occupied)
        n_nodes = len(busy)
        cpu = self._rest_cpu + 0.3 * busy
        cpu = cpu + effects.cpu * (0.97 - cpu) + self._rng.normal(0.0, 0.015, n_nodes)
        self._walk = 0.98 * self._walk + self._rng.normal(0.0, 0.003, n_nodes)
        memory = self._rest_memory + 0.05 * np.minimum(utilisation, 1.0) + self._walk
        memory = memory + effects.memory * (0.97 - memory) + self._rng.normal(0.0, 0.005, n_nodes)
        return {"cpu": np.clip(cpu, 0.0, 1.0), "memory": np.clip(memory, 0.0, 1.0)}

    def _counted(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._rng.poisson(rate * self._interval_s) / self._interval_s

    def _jitter(self, values: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
        return values * self._rng.lognormal(0.0, spread, len(values))
