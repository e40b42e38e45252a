"""The Ray cluster of a mesh as the settings want it: its ports, and what its processes may know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from actors.runtime.settings import variable
from actors.runtime.state_files import ensure_directory, write_atomic
from cluster.ports import Ports, check_free
from cluster.ray_start import HeadOptions, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from serve_apps.settings import Settings

PORTS: Final = ("gateway_port", "dashboard_port", "metrics_port")  # settings of fixed ports
TARGETS: Final = "x0tta6bl4.json"
_DASHBOARD_HOST: Final = "127.0.0.1"
_MODE_DIRECTORY: Final = 0o755


def options(settings: Settings, *, dashboard: bool) -> HeadOptions:
    """What to start the head with.

    Raises:
        ConfigurationError: a port is taken; the error names by whom.
    """
    name = variable("metrics_port")
    if dashboard:
        here = variable("dashboard_port")
        check_free("the dashboard", _DASHBOARD_HOST, settings.dashboard_port, here)
    metrics = settings.metrics_port
    ports = (metrics, metrics + 1) if metrics else tuple(free_ports(2))
    for port in ports:
        check_free("Ray's metrics", settings.metrics_host, port, name)
    return HeadOptions(
        dashboard=dashboard,
        ports=Ports(settings.dashboard_port, *ports),
        metrics_host=settings.metrics_host,
        without=tuple(settings.secret_variables()),
    )


def any_ports(settings: Settings) -> Settings:
    """The settings with any free port instead of each one that was not asked for."""
    usual = [name for name in PORTS if name not in settings.model_fields_set]
    return settings.model_copy(update=dict.fromkeys(usual, 0))


def targets_file(settings: Settings) -> Path:
    """Where the targets for Prometheus are listed (its file-based service discovery)."""
    return (settings.prometheus_dir or settings.state_dir / "prometheus") / TARGETS


def write_targets(settings: Settings, head: HeadOptions, gateway_url: str) -> None:
    """List what Prometheus is to scrape, readable by everybody: it holds addresses only.

    Raises:
        ConfigurationError: the directory cannot be made.
    """
    host = settings.metrics_host
    ray = [f"{host}:{head.ports.metrics}"]
    if head.dashboard:
        ray.append(f"{host}:{head.ports.dashboard_metrics}")
    groups = [{"labels": {"job": "x0-ray"}, "targets": ray}]
    if gateway_url:
        address = gateway_url.removeprefix("http://")
        groups.append({"labels": {"job": "x0-gateway"}, "targets": [address]})
    path = targets_file(settings)
    new = not path.parent.exists()
    ensure_directory(path.parent)
    if new:
        path.parent.chmod(_MODE_DIRECTORY)
    write_atomic(path, json.dumps(groups, indent=2).encode())


def remove_targets(settings: Settings) -> None:
    """Remove the list, whose targets are gone."""
    targets_file(settings).unlink(missing_ok=True)
