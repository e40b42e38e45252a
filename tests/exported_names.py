"""Which metrics of the rules of Prometheus which run of the project is seen to export."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

import httpx
import ray

if TYPE_CHECKING:
    from collections.abc import Collection

OF_MESH: Final = {
    "ray_x0tta6bl4_actor_loop_lag_seconds",
    "ray_x0tta6bl4_history_events_total",
    "ray_x0tta6bl4_mesh_neighbours",
    "ray_x0tta6bl4_mesh_neighbours_up",
}
OF_OBSERVER: Final = {
    "ray_x0tta6bl4_observe_links",
    "ray_x0tta6bl4_observe_nodes_without_gateway",
    "ray_x0tta6bl4_observe_source_ok",
}
OF_PAYMENTS: Final = {
    "ray_x0tta6bl4_payments_clock_skew_seconds",
    "ray_x0tta6bl4_payments_cursor_age_seconds",
    "ray_x0tta6bl4_payments_reviews",
    "ray_x0tta6bl4_payments_settled_total",
}
OF_XDP: Final = {  # those of a kernel see these set
    "ray_x0tta6bl4_xdp_attached",
    "ray_x0tta6bl4_xdp_drops_total",
    "ray_x0tta6bl4_xdp_evicted_flows_total",
    "ray_x0tta6bl4_xdp_mode",
    "ray_x0tta6bl4_xdp_table_entries",
    "ray_x0tta6bl4_xdp_untabled_packets_total",
    "ray_x0tta6bl4_xdp_wanted",
}
OF_IDENTITY: Final = {"ray_x0tta6bl4_svid_life_left_ratio"}  # its actor's tests see it set
OF_FAILURES: Final = {"ray_x0tta6bl4_errors_total"}
# Tests of the live loop, of the historian and of the actor of alerts see these counted.
ELSEWHERE: Final = {
    "ray_x0tta6bl4_alerts_channel_up",
    "ray_x0tta6bl4_alerts_pending",
    "ray_x0tta6bl4_history_late_healings_total",
    "ray_x0tta6bl4_inference_incidents_open",
    "ray_x0tta6bl4_inference_incidents_total",
    "ray_x0tta6bl4_inference_nodes_anomalous",
    "ray_x0tta6bl4_inference_nodes_scored",
}


def of_this_cluster() -> str:
    """The address of the exporter of the cluster that this process has joined."""
    (node,) = ray.nodes()
    return f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"


def wait_exported(address: str, names: Collection[str], timeout_s: float = 120) -> None:
    """Wait until Ray's exporter has samples of all these metrics: it collects every 10 s."""
    deadline = time.monotonic() + timeout_s
    while True:
        text = httpx.get(f"http://{address}/metrics", trust_env=False).text
        missing = set(names) - set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE))
        if not missing:
            return
        assert time.monotonic() < deadline, f"not exported: {missing}"
        time.sleep(0.5)
