"""Where an authority of this session's own has its files and its socket, and whom it names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from actors.identity.endpoint import LONGEST
from actors.runtime import unix_rpc

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY: Final = "identity"  # within the state directory
FEDERATED: Final = "federated"  # of bundles of other trust domains, within that
AUTHORITY: Final = "authority.json"
LOCK: Final = "authority.lock"
GATEWAY: Final = "gateway"  # hints of SVIDs, which say what each is for
ALERTS: Final = "alerts"
SERVICES: Final = (GATEWAY, ALERTS)
_SOCKET: Final = "agent.sock"


def socket_of(directory: Path) -> Path:
    """Where the socket of a directory is; elsewhere, if its path would be too long for a socket.

    Raises:
        OSError: there is no other place that is this user's alone.
    """
    beside = directory / _SOCKET
    if len(str(beside).encode()) <= LONGEST:
        return beside
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return unix_rpc.usable_directory() / f"identity-{name}.sock"
