"""Addresses and ports of a cluster of one's own, and the file that tells Prometheus of it."""

from __future__ import annotations

from pydantic import Field

from actors.runtime.settings import IPV4, AbsolutePath, RuntimeSettings


class ClusterSettings(RuntimeSettings):
    """The settings of a cluster that is started for a mesh."""

    dashboard_port: int = Field(
        8611, ge=0, le=65535, description="port of Ray's dashboard; 0: a free one is picked"
    )
    metrics_host: str = Field(
        "127.0.0.1", pattern=IPV4, description="IPv4 address that Ray's metrics listen on"
    )
    metrics_port: int = Field(
        8612,
        ge=0,
        le=65534,
        description="port of Ray's metrics, and the next one of the dashboard's; 0: free ones are"
        " picked",
    )
    prometheus_dir: AbsolutePath | None = Field(
        None, description="directory of the list of targets that Prometheus reads"
    )
