"""The hook by which `ray start` changes its parameters for `cluster.local` (RAY_START_HOOK).

It runs inside the `ray` command. Ray's command line cannot switch the Ray Client server off, and
this project has no use for `ray://`: a process of 90 MB, most of a second at start, and a port on
the host's address that two clusters would fight for.
"""

from __future__ import annotations

from typing import Protocol


class _RayParams(Protocol):
    ray_client_server_port: int | None


def without_client_server(ray_params: _RayParams, _head: bool) -> None:  # noqa: FBT001 - Ray's call
    """Leave the Ray Client server out."""
    ray_params.ray_client_server_port = None
