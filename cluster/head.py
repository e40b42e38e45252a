"""The program that starts the processes of a head and ends: what `ray start --head` does, sooner.

    python -m cluster.head TEMP_DIR OPTIONS

TEMP_DIR is the cluster's, OPTIONS are those of `HeadOptions` as JSON. `ray start` takes twice
as long: it imports all of Ray's commands, runs a dashboard's process also where no dashboard
is wanted, and its raylet waits for two agents of Ray to have started before it takes a driver. Here
the agents are told their ports, so that nobody waits for them; a worker waits by itself if it needs
one. Workers are set up by `worker_setup`. The Ray Client server, of no use here, is left out: it
opens a port on the host's address.

It is run with the environment that `ray_start` makes. It says the URL of the dashboard, if there is
one, on a line of its own; Ray's file `ray_current_cluster` in TEMP_DIR then has the address.
"""

from __future__ import annotations

import gc
import json
import sys
from types import ModuleType
from typing import Any, Final

import ray.util
from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._private.node import Node
from ray._private.parameter import RayParams
from ray._private.utils import write_ray_address
from ray._raylet import persist_port  # type: ignore[attr-defined]  # missing in Ray's stub

from cluster import worker_setup
from cluster.ray_start import DASHBOARD

# The file by which an agent tells the raylet a port for which the raylet has no option.
_LISTEN_PORT: Final = "dashboard_agent_listen_port"
# Ray imports it, for half a second, only to see whether `ray[default]` is installed: it is.
_CHECKED: Final = "ray.dashboard.optional_deps"


class _Head(Node):
    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        # Without a dashboard, all that this process would do is to report the usage of Ray.
        if include_dashboard:
            super().start_api_server(
                include_dashboard=include_dashboard, raise_on_failure=raise_on_failure
            )

    def start_raylet(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - Ray's own
        port = self.dashboard_agent_listen_port
        session = self.get_session_dir_path()  # type: ignore[no-untyped-call]
        persist_port(session, self.node_id, _LISTEN_PORT, port)
        super().start_raylet(*arguments, **named)


def main() -> None:
    """Start the processes; return when the head takes drivers."""
    temp_dir, options = sys.argv[1], json.loads(sys.argv[2])
    dashboard: bool = options["dashboard"]
    metrics, listening, environments = options["agent_ports"]
    sys.modules.setdefault(_CHECKED, ModuleType(_CHECKED))
    ensure_token_if_auth_enabled(None, create_token_if_missing=False)
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    parameters = RayParams(
        node_ip_address=address,
        node_name=address,
        gcs_server_port=0,  # Ray picks, so that two starts at once do not collide
        num_cpus=options["num_cpus"],
        object_store_memory=options["object_store_bytes"],
        temp_dir=temp_dir,
        include_dashboard=dashboard,
        dashboard_host="127.0.0.1",
        dashboard_port=options["dashboard_port"],
        metrics_agent_port=metrics,
        dashboard_agent_listen_port=listening,
        runtime_env_agent_port=environments,
        metrics_export_port=options["metrics_port"],
        setup_worker_path=worker_setup.__file__,
        # One machine: nothing to scale, and drivers read no logs over the wire.
        no_monitor=True,
        include_log_monitor=False,  # type: ignore[arg-type]  # Ray's annotation is wrong
    )
    head = _Head(parameters, head=True, shutdown_at_exit=False, spawn_reaper=False)
    if dashboard:
        sys.stdout.write(f"{DASHBOARD}http://{head.webui_url}\n")
    write_ray_address(head.address, temp_dir)
    gc.freeze()  # or Python looks through all of Ray for garbage before this process ends


if __name__ == "__main__":
    main()
