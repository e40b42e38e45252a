"""A running mesh as it was found, whichever way it was asked. Imports nothing that takes time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import X0Error
from actors.runtime.flags import PREFIX
from actors.runtime.state_files import default_state_dir
from jobs.launch.gateway_client import GatewayClient, NoAnswer
from jobs.launch.record import MeshRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FoundMesh:
    """How a mesh is.

    Attributes:
        record: of the mesh.
        state_dir: of this process.
        state: as of `serve_apps.operations.mesh_state`.
    """

    record: MeshRecord
    state_dir: Path
    state: Mapping[str, Any]


def state_dir() -> Path:
    """The state directory of this environment.

    All settings are read, and checked, if any but this one is given; that takes a quarter second.

    Raises:
        ConfigurationError: a setting is wrong or unknown.
    """
    own = f"{PREFIX}STATE_DIR"
    if any(name.upper().startswith(PREFIX) and name != own for name in os.environ):
        from serve_apps.settings import Settings

        return Settings.load().state_dir
    given = os.environ.get(own)
    return default_state_dir() if given is None else Path(given).expanduser().absolute()


def gateway(state_dir: Path) -> GatewayClient | None:
    """The gateway of the mesh on record; None if there is none.

    Raises:
        ConfigurationError: the record cannot be read.
    """
    return GatewayClient.of(MeshRecord.load(state_dir), state_dir)


def by_gateway(state_dir: Path) -> FoundMesh | None:
    """Ask the gateway of the mesh on record: no cluster is joined, and Ray is not even imported.

    Returns:
        None if there is no such gateway, or it cannot say; the actors then have to be asked.

    Raises:
        ConfigurationError: the record cannot be read.
    """
    record = MeshRecord.load(state_dir)
    client = GatewayClient.of(record, state_dir)
    if record is None or client is None:
        return None
    try:
        return FoundMesh(record, state_dir, client.ask("GET", "/v1/mesh/status"))
    except (X0Error, NoAnswer):
        return None
