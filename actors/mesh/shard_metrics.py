"""The metrics of a shard, and its status."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import psutil

from actors.mesh.contract import ShardStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.host import MeshHost
    from actors.runtime.lag import LoopLag
    from actors.runtime.metrics import Metrics

_LABELS = ("shard",)


class ShardMetrics:
    """Counts and gauges of one shard; Ray exports them.

    Args:
        name: name of the shard, the only label of the metrics.
        metrics: registry that the metrics are added to.
        lag: probe of the delays of the shard's event loop.
    """

    def __init__(self, name: str, metrics: Metrics, lag: LoopLag) -> None:
        self._name = name
        self._hops = self._dropped = 0
        self._process = psutil.Process()
        prefix = "x0tta6bl4_mesh_"
        self._accepted = metrics.counter(
            prefix + "accepted_total", "Messages accepted from applications", _LABELS
        )
        self._delivered = metrics.counter(
            prefix + "delivered_total", "Messages that applications have consumed", _LABELS
        )
        self._hop_total = metrics.counter(
            prefix + "hops_total", "Messages times hops received by hosted nodes", _LABELS
        )
        self._dropped_total = metrics.counter(
            prefix + "dropped_total",
            "Copies of messages dropped for want of room or of a way; their origins send others",
            _LABELS,
        )
        self._lag = lag
        self._spf = metrics.histogram(
            prefix + "spf_seconds", "Time of a route computation", _LABELS
        )
        self._gauges = {
            "hosted_nodes": metrics.gauge(prefix + "hosted_nodes", "Nodes hosted", _LABELS),
            "neighbours": metrics.gauge(
                prefix + "neighbours", "Directed links of hosted nodes", _LABELS
            ),
            "neighbours_up": metrics.gauge(
                prefix + "neighbours_up", "Directed links of hosted nodes that are up", _LABELS
            ),
            "open_messages": metrics.gauge(
                prefix + "open_messages", "Accepted, not yet delivered or returned", _LABELS
            ),
            "unread_messages": metrics.gauge(
                prefix + "unread_messages", "Delivered, not yet consumed", _LABELS
            ),
            "in_transit": metrics.gauge(
                prefix + "in_transit", "Copies of messages in custody", _LABELS
            ),
        }

    def accepted(self, count: int) -> None:
        """Messages were accepted."""
        self._accepted.inc(count, shard=self._name)

    def delivered(self, count: int) -> None:
        """Messages were consumed by applications."""
        self._delivered.inc(count, shard=self._name)

    def spf(self, seconds: float) -> None:
        """A route computation took this long."""
        self._spf.observe(seconds, shard=self._name)

    def publish(self, host: MeshHost, present: NDArray[np.bool_]) -> None:
        """Export the gauges and counts of the host, as `status` takes it."""
        status = self.status(host, present)
        values = {
            "hosted_nodes": status.nodes,
            "neighbours": status.neighbours,
            "neighbours_up": status.neighbours_up,
            "open_messages": status.open_messages,
            "unread_messages": status.unread_messages,
            "in_transit": status.in_transit,
        }
        for name, value in values.items():
            self._gauges[name].set(float(value), shard=self._name)
        self._hop_total.inc(max(0, host.hop_count - self._hops), shard=self._name)
        self._dropped_total.inc(max(0, host.dropped - self._dropped), shard=self._name)
        self._hops, self._dropped = host.hop_count, host.dropped

    def status(self, host: MeshHost, present: NDArray[np.bool_]) -> ShardStatus:
        """The present state; `present` (bool [n_nodes]) tells the nodes that the map has."""
        table = host.neighbours
        linked, heard = np.zeros((2, host.topology.n_nodes), bool)
        linked[table.node] = heard[table.node[table.up]] = True
        return ShardStatus(
            name=host.name,
            pid=os.getpid(),
            version=host.placement.version,
            partitions=tuple(sorted(host.partitions)),
            hears=host.in_reach,
            nodes=int((host.hosted & present).sum()),
            left=int((host.hosted & ~present).sum()),
            unheard=int((linked & ~heard).sum()),
            neighbours=len(table.up),
            neighbours_up=int(table.up.sum()),
            silent=int((host.medium.silent & host.hosted).sum()),
            database=len(host.database),
            database_version=host.database.version,
            digest=host.database.digest,
            routes_version=host.router.version,
            open_messages=sum(len(p.outbox) for p in host.partitions.values()),
            unread_messages=sum(len(p.inbox) for p in host.partitions.values()),
            unread_of_left=sum(
                int(p.inbox.waiting[~present].sum()) for p in host.partitions.values()
            ),
            in_transit=host.in_transit,
            hop_count=host.hop_count,
            largest_lag_s=self._lag.largest.late_s,
            starved_s=self._lag.largest.starved_s,
            rss_bytes=int(self._process.memory_info().rss),
        )
