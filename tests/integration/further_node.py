"""Joins a further Ray node to a cluster of this machine: python further_node.py ADDRESS TEMP_DIR.

What `ray start` would not do: it takes a cluster on loopback for one that nobody may join.
"""

from __future__ import annotations

import sys
from typing import Any

from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._raylet import persist_port  # type: ignore[attr-defined]  # missing in Ray's stub

from cluster.ray_start import free_ports


class _Further(Node):
    def start_raylet(self, *arguments: Any, **named: Any) -> None:
        session = self.get_session_dir_path()  # type: ignore[no-untyped-call]
        port = self.dashboard_agent_listen_port
        persist_port(session, self.node_id, "dashboard_agent_listen_port", port)
        super().start_raylet(*arguments, **named)


def main() -> None:
    """Start its processes; return when it has joined."""
    address, temp_dir = sys.argv[1:]
    metrics, listening, environments, exported = free_ports(4)
    parameters = RayParams(
        gcs_address=address,
        node_ip_address="127.0.0.1",
        num_cpus=1,
        object_store_memory=100 << 20,
        temp_dir=temp_dir,
        metrics_agent_port=metrics,
        dashboard_agent_listen_port=listening,
        runtime_env_agent_port=environments,
        metrics_export_port=exported,
        include_log_monitor=False,  # type: ignore[arg-type]  # Ray's annotation is wrong
    )
    _Further(parameters, head=False, shutdown_at_exit=False, spawn_reaper=False)


if __name__ == "__main__":
    main()
