"""A Ray cluster of one's own on this machine, started and ended without touching any other.

The head gets its own temporary directory, which identifies its processes, and ports that the
kernel picks unless some are asked for, so several clusters live side by side. What was started is
on record in `<state>/cluster.json` before the first process exists: after a crash at any point, the
next `load`, `start` or `stop` on that state directory finds the remains and ends them.
Of a cluster that ended by a fault the logs are kept, in `<state>/logs-of-the-last-failure`.
How the head is started, and what guards it, is in `ray_start` and `token`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from actors.runtime import log
from actors.runtime.errors import ConfigurationError, Conflict
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic
from cluster import processes, ray_start
from cluster.ray_start import HeadOptions
from cluster.token import ensure_token

RECORD: Final = "cluster.json"
LOCK: Final = "cluster.lock"
KEPT_LOGS: Final = "logs-of-the-last-failure"
START_TIMEOUT_S: Final = 90.0
_GRACE_S: Final = 1.0  # only the raylet takes longer: it waits for the ended GCS
_STOP_TIMEOUT_S: Final = 20.0
# Ray puts Unix sockets below it, whose paths may have 107 bytes, so TMPDIR is not followed.
_TEMP_ROOT: Final = Path("/tmp")  # noqa: S108 - mkdtemp makes a private directory in it
_TEMP_PREFIX: Final = "x0-"
_TEMP_NAME: Final = "ray"
_DAEMONS: Final = {"gcs_server": "the control process", "raylet": "the node's process"}
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """One cluster, as recorded.

    Attributes:
        address: "host:port" for `spawn.connect`; empty while starting.
        dashboard_url: "http://127.0.0.1:port", empty without a dashboard.
        temp_dir: Ray's directory, used by this cluster only. Ray opens it to every user of the
            host, so it lies in a private one.
        session: session id that the processes were started in; None before the first.
        pids: ids of the daemons right after the start, for information; `stop` finds them again.
        started_at: seconds since the Unix epoch.
        boot_id: boot id of the machine; no process of the cluster survives a reboot.
        state: directory of the record.
    """

    address: str
    dashboard_url: str
    temp_dir: str
    session: int | None
    pids: tuple[int, ...]
    started_at: float
    boot_id: str
    state: Path = field(compare=False)

    @classmethod
    def start(
        cls,
        state: Path,
        options: HeadOptions | None = None,
        *,
        timeout_s: float = START_TIMEOUT_S,
    ) -> Self:
        """Start a head node and return once it takes drivers.

        If it fails or is interrupted, what was started is ended before the error goes on.

        Args:
            state: directory of the record; made if missing.
            options: options of the head; None for the defaults, on any free ports.
            timeout_s: seconds until the start counts as failed.

        Raises:
            Conflict: a cluster of this state directory runs or is being started.
            ConfigurationError: Ray is not installed beside this Python, or the token is unusable.
            Unavailable: Ray did not start; the error repeats its output.
        """
        ensure_directory(state)
        with exclusive_lock(state / LOCK):
            running = _recover(state)
            if running is not None:
                raise Conflict(
                    "a cluster is already running",
                    f"{state / RECORD} names it, at {running.address}",
                    "Use it, or end it first with `x0 down`.",
                )
            ensure_token()
            fresh = cls(
                address="",
                dashboard_url="",
                temp_dir=str(_new_temp_dir()),
                session=None,
                pids=(),
                started_at=time.time(),
                boot_id=_boot_id(),
                state=state,
            )
            try:
                _write(fresh)
                head = ray_start.launch(Path(fresh.temp_dir), options or HeadOptions())
                started = replace(fresh, session=head.session)
                _write(started)
                address, dashboard_url = head.wait(timeout_s=timeout_s)
                ready = replace(
                    started,
                    address=address,
                    dashboard_url=dashboard_url,
                    pids=tuple(p.pid for p in processes.members(head.temp_dir, head.session)),
                )
                _write(ready)
            except BaseException:
                _end(_read(state) or fresh, keep_logs=state)
                raise
            return ready

    @classmethod
    def recorded(cls, state: Path) -> LocalCluster | None:
        """The cluster on record in `state`, whether it lives or not; None if there is none.

        Raises:
            ConfigurationError: the record cannot be read.
        """
        return _read(state)

    @classmethod
    def load(cls, state: Path) -> LocalCluster | None:
        """The running cluster on record in `state`; None if there is none.

        A record whose processes are gone, or whose start was cut off, is logged and removed.
        While another process is starting a cluster there, the answer is None.

        Raises:
            ConfigurationError: the record cannot be read.
        """
        if not (state / RECORD).exists():
            return None
        try:
            with exclusive_lock(state / LOCK):
                return _recover(state)
        except Conflict:
            cluster = _read(state)
            return cluster if cluster is not None and cluster.address else None

    def alive(self) -> bool:
        """Tell whether the head's processes live (a quick look, not a call)."""
        return not self.dead()

    def dead(self) -> str:
        """Which of the head's processes are gone, in words; "" while all of them live."""
        if self.boot_id != _boot_id():
            return "the host has been restarted"
        living = processes.names(processes.members(Path(self.temp_dir), self.session))
        gone = [f"{does} ({name})" for name, does in _DAEMONS.items() if name not in living]
        are = "is" if len(gone) == 1 else "are"
        return f"{' and '.join(gone)} of its Ray cluster {are} gone" if gone else ""

    @property
    def logs(self) -> Path:
        """The directory of the logs of Ray and the actors; it is removed with the cluster."""
        return Path(self.temp_dir) / "session_latest" / "logs"

    def stop(self, *, keep_logs: Path | None = None) -> None:
        """End the cluster and remove its directory and record. A second time does nothing.

        Args:
            keep_logs: state directory to keep the logs in, for a cluster that ends by a fault.

        Raises:
            Conflict: another process is starting or stopping it, or some processes would not end.
        """
        if not self.state.is_dir():
            return
        with exclusive_lock(self.state / LOCK, timeout_s=_STOP_TIMEOUT_S):
            _end(self, keep_logs=keep_logs)


def _write(cluster: LocalCluster) -> None:
    values = asdict(cluster)
    del values["state"]
    write_atomic(cluster.state / RECORD, json.dumps(values, indent=2).encode(), private=True)


def _end(cluster: LocalCluster, *, keep_logs: Path | None) -> None:
    temp_dir = Path(cluster.temp_dir)
    if cluster.boot_id == _boot_id():
        left = processes.end(temp_dir, cluster.session, grace_s=_GRACE_S, timeout_s=_STOP_TIMEOUT_S)
        if left:
            raise Conflict(
                f"the cluster in {temp_dir} does not end",
                f"processes {', '.join(map(str, left))} survive SIGKILL",
                "Repeat `x0 down`; if they stay, the kernel holds them: see `ps -o stat,wchan`.",
            )
    if keep_logs is not None:
        _keep(cluster.logs, keep_logs / KEPT_LOGS)
    shutil.rmtree(temp_dir.parent, ignore_errors=True)  # parts may be gone already; checked below
    if temp_dir.parent.exists():
        _log.warning("could not remove a directory", path=str(temp_dir.parent))
    current = _read(cluster.state)
    if current is not None and current.temp_dir == cluster.temp_dir:
        (cluster.state / RECORD).unlink(missing_ok=True)


def _keep(logs: Path, kept: Path) -> None:
    """Keep logs instead of those of an earlier failure."""
    if not logs.is_dir():
        return
    shutil.rmtree(kept, ignore_errors=True)
    try:
        shutil.copytree(logs, kept, symlinks=True)
    except OSError as error:  # such as a full disk: no reason to leave the rest
        _log.warning("could not keep the logs", path=str(kept), why=str(error))
    else:
        _log.warning("kept the logs of a cluster that failed", path=str(kept))


def _recover(state: Path) -> LocalCluster | None:
    cluster = _read(state)
    if cluster is None:
        return None
    if cluster.address and cluster.alive():
        return cluster
    _log.warning(
        "cleared the record of a cluster that is gone",
        record=str(state / RECORD),
        address=cluster.address or "never ready",
        why=cluster.dead() or "its start was cut off",
    )
    _end(cluster, keep_logs=state)
    return None


def _read(state: Path) -> LocalCluster | None:
    path = state / RECORD
    try:
        values = json.loads(path.read_bytes())
        temp_dir = Path(values["temp_dir"])
        # stop() removes this directory: never take a name that start() could not have made.
        if not _is_temp_dir(temp_dir):
            raise ValueError(f"temp_dir {temp_dir} is not one that `x0 up` makes")  # noqa: TRY301 - one remedy for all
        return LocalCluster(**{**values, "pids": tuple(values["pids"]), "state": state})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path} cannot be read",
            f"{type(error).__name__}: {error}",
            "Remove it; if a cluster still runs, end its processes by their temporary directory.",
            variable="X0TTA6BL4_STATE_DIR",
        ) from error


def _new_temp_dir() -> Path:
    temp_dir = Path(tempfile.mkdtemp(prefix=_TEMP_PREFIX, dir=_TEMP_ROOT)) / _TEMP_NAME
    temp_dir.mkdir()
    return temp_dir


def _is_temp_dir(path: Path) -> bool:
    outer = path.parent
    return (
        path.name == _TEMP_NAME
        and outer.parent == _TEMP_ROOT
        and outer.name.startswith(_TEMP_PREFIX)
        and ".." not in path.parts
    )


def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()
