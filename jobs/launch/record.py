"""What `x0 up` or `x0 watch` has started, on record in `<state>/mesh.json`, for `x0 down` to end.

Written before the first actor exists and removed after the last one is gone: a crash at any point
leaves a record of something that may live, never something alive without a record.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from actors.runtime.errors import ConfigurationError, NotRunning
from actors.runtime.state_files import write_atomic
from actors.topology.provenance import Network
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "mesh.json"
LOCK: Final = "mesh.lock"  # held while a mesh is launched or ended


START_ONE: Final = "Start one with `x0 up`, or `x0 watch` a real network."


def journals(state_dir: Path) -> Path:
    """Where the journals of all meshes of a state directory are."""
    return state_dir / "mesh"


def observations(state_dir: Path) -> Path:
    """Where the observers of a state directory keep what they know."""
    return state_dir / "observed"


def alerts(state_dir: Path) -> Path:
    """Where the alerts of a state directory are kept, those not told yet included."""
    return state_dir / "alerts"


def owners(state_dir: Path) -> Path:
    """Where the owners of XDP of a state directory keep what they are to do."""
    return state_dir / "xdp"


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One session that was started: an emulated mesh, an observed network, or both.

    Attributes:
        address: of the Ray cluster, "host:port".
        dashboard_url: of the cluster, or "".
        namespace: Ray namespace that all its actors are in.
        own_cluster: the cluster was started for it and ends with it.
        source: of the topology of its emulated mesh, without credentials; "" without one.
        pid: of the process that started it.
        started_at: s since the Unix epoch.
        gateway_url: of the HTTP gateway, or "".
        logs: directory of what all processes of its own cluster say, or "".
        observed: sources of the network that it observes, without credentials, or "".
        poll_s: seconds between two polls of one of these; the default where that is not told.
        session: name of Ray's session, by which its actors' sockets are found, or "".
        companions: names of those that it is to have, separated by commas, or "".
    """

    address: str
    dashboard_url: str
    namespace: str
    own_cluster: bool
    source: str
    pid: int
    started_at: float
    gateway_url: str = ""
    logs: str = ""
    observed: str = ""
    poll_s: float = 60.0
    session: str = ""
    companions: str = ""

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of the session."""
        there = {Network.EMULATED: self.source, Network.OBSERVED: self.observed}
        return tuple(network for network, source in there.items() if source)

    @property
    def what(self) -> dict[str, str]:
        """The networks of the session, by kind, each with its source."""
        both = {"mesh": self.source, "observed network": self.observed}
        return {kind: source for kind, source in both.items() if source}

    def save(self, state_dir: Path) -> None:
        """Write to the record of a state directory in one step."""
        content = json.dumps(asdict(self), indent=2).encode()
        write_atomic(state_dir / NAME, content, private=True)

    @classmethod
    def load(cls, state_dir: Path) -> Self | None:
        """The record of a state directory; None if there is none.

        Raises:
            ConfigurationError: it cannot be read.
        """
        path = state_dir / NAME
        try:
            return cls(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{path} cannot be read",
                f"{type(error).__name__}: {error}",
                "Remove it, then end what may still run with `x0 down`.",
                variable="X0TTA6BL4_STATE_DIR",
            ) from error

    def remove(self, state_dir: Path) -> None:
        """Remove the record if it still is this one; another's stays. Wishes end with it."""
        if SessionRecord.load(state_dir) == self:
            shutil.rmtree(owners(state_dir), ignore_errors=True)
            (state_dir / NAME).unlink(missing_ok=True)


def nothing_on_record(state_dir: Path) -> NotRunning:
    """The error that nothing was started from a state directory."""
    from cluster.local import KEPT_LOGS

    why = f"{state_dir} (X0TTA6BL4_STATE_DIR) has no session on record"
    logs = state_dir / KEPT_LOGS
    try:
        failed = datetime.fromtimestamp(logs.stat().st_ctime, UTC).astimezone()
    except OSError:
        return NotRunning("the session", why=why, remedy=START_ONE)
    last = f"the last one that ended by a fault, on {failed:%Y-%m-%d at %H:%M}"
    return NotRunning(
        "the session", why=f"{why}; {last}, left its logs in {logs}", remedy=START_ONE
    )


def exports(state_dir: Path) -> dict[str, str]:
    """The addresses of the session on record, as variables for a shell.

    Raises:
        NotRunning: none is on record.
        ConfigurationError: the record cannot be read.
    """
    record = SessionRecord.load(state_dir)
    if record is None:
        raise nothing_on_record(state_dir)
    found = {
        "GATEWAY": record.gateway_url,
        "GATEWAY_TOKEN_FILE": str(token_path(state_dir)) if record.gateway_url else "",
        "DASHBOARD": record.dashboard_url,
        "RAY_API_SERVER_ADDRESS": record.dashboard_url,
        "RAY_AUTH_MODE": "token",
        "X0_ADDRESS": record.address,
        "X0_NAMESPACE": record.namespace,
    }
    return {name: value for name, value in found.items() if value}
