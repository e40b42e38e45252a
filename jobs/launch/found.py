"""A running session as it was found, by whatever way. Imports nothing that takes time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.runtime.errors import X0Error
from actors.runtime.flags import PREFIX
from actors.runtime.state_files import default_state_dir
from jobs.launch.gateway_client import GatewayClient, NoAnswer
from jobs.launch.record import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FoundSession:
    """How a session is.

    Attributes:
        record: of the session.
        state_dir: of this process.
        state: as of `serve_apps.operations.session_state`.
    """

    record: SessionRecord
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
    """The gateway of the session on record; None if there is none.

    Raises:
        ConfigurationError: the record cannot be read.
    """
    return GatewayClient.of(SessionRecord.load(state_dir), state_dir)


def has_gateway(record: SessionRecord) -> bool:
    """Whether a gateway of this session is to be asked: none if RAY_ADDRESS names another."""
    return bool(record.gateway_url) and not os.environ.get("RAY_ADDRESS")


def by_gateway(state_dir: Path) -> FoundSession | None:
    """Ask the gateway of the session on record: no cluster is joined, and Ray is not even imported.

    Returns:
        None if there is no such gateway, or it cannot say; the actors then have to be asked.

    Raises:
        ConfigurationError: the record cannot be read.
    """
    record = SessionRecord.load(state_dir)
    client = GatewayClient.of(record, state_dir)
    if record is None or client is None:
        return None
    try:
        return FoundSession(record, state_dir, client.ask("GET", "/v1/status"))
    except (X0Error, NoAnswer):
        return None
