"""The way of an alert out of the process that raises it: a line in a file, then to the actor.

Raising costs one write to a file of this process, never waits for the network or for the disk, and
never raises. A line survives the end of its process, however that ends: what nobody has forwarded
by then the actor `alerts` adopts, from spools whose lock is free. The actor takes each alert once,
by its id, so a line may be handed over twice.

A spool holds `MOST_BYTES` at most; what is raised while it is full is counted, logged and lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from actors.runtime import alert_record, log
from actors.runtime.alerting import send_alerts_to
from actors.runtime.flags import PREFIX
from actors.runtime.state_files import default_state_dir, ensure_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.runtime.alerting import Alert

TAKER: Final = "alerts"  # name of the actor that takes alerts over
SPOOL: Final = "spool"  # name of the directory of spools
MOST_SPOOLS: Final = 1_000  # that wait to be adopted, of all processes
MOST_BYTES: Final = 4 * 2**20  # size of a spool
BATCH: Final = 100  # most alerts that are handed over at once
OLDEST_S: Final = 7 * 86_400.0  # a spool that nobody adopts goes after so long
_SUFFIX: Final = ".jsonl"
_TIMEOUT_S: Final = 10.0  # for the taker's answer
_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries to hand over
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class SpooledAlert:
    """An alert on its way.

    Attributes:
        id: given where it was raised; no other alert of any process has it.
        alert: the alert.
    """

    id: str
    alert: Alert


@dataclass(frozen=True, slots=True)
class Orphan:
    """A spool whose process has ended.

    Attributes:
        found: whether there is one.
        alerts: what it holds.
    """

    found: bool = False
    alerts: tuple[SpooledAlert, ...] = ()


class TakesAlerts(Protocol):
    """The actor that takes alerts over."""

    async def take(self, batch: Sequence[SpooledAlert]) -> int:
        """Take alerts over; how many are new. When it returns, they are on disk."""
        ...


def spool_directory() -> Path:
    """Where processes of this machine spool: a spool is of its machine, unlike other settings."""
    given = os.environ.get(f"{PREFIX}STATE_DIR")
    state_dir = Path(given).expanduser().absolute() if given else default_state_dir()
    return state_dir / "alerts" / SPOOL


def leave_alerts(namespace: str) -> None:
    """Leave the alerts of this process, which is in no cluster, to the actor, which adopts them.

    Args:
        namespace: that the actor is in, whenever it runs.
    """
    send_alerts_to(AlertSpool(spool_directory(), namespace).leave)


class AlertSpool:
    """The spool of this process; `append` is its sink of alerts.

    Args:
        directory: directory of the spools of all processes; made at the first alert.
        namespace: of the actor that takes the alerts over, and that adopts the spool.
    """

    def __init__(self, directory: Path, namespace: str) -> None:
        self._directory = directory
        self._namespace = namespace
        self._lock = threading.Lock()
        self._file = -1
        self._read = 0  # bytes that have been handed over
        self._written = 0
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self.lost = 0  # alerts that could not be written down
        self.raised = 0

    def append(self, alert: Alert) -> None:
        """Write an alert down. Neither raises nor waits for anything but this write."""
        try:
            self._append(alert)
            self.raised += 1
        except Exception as error:  # noqa: BLE001 - who alerts has trouble enough
            self.lost += 1
            if self.lost & (self.lost - 1) == 0:  # the 1st, 2nd, 4th, ...: a full disk is no flood
                _log.error(
                    "alert is lost: it cannot be written down",
                    name=str(alert.name),
                    summary=str(alert.summary)[:200],
                    why=f"{type(error).__name__}: {error}",
                    lost=self.lost,
                )

    def leave(self, alert: Alert) -> None:
        """Write an alert down as `append` does, to be adopted although this process lives on."""
        self.append(alert)
        self.close()

    def _append(self, alert: Alert) -> None:
        record = {"id": uuid.uuid4().hex, "alert": alert_record.as_dict(alert)}
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            if self._written + len(line) > MOST_BYTES:
                raise OSError(f"the spool is full: {MOST_BYTES} bytes wait to be taken over")
            if self._file < 0:
                self._file = _opened(self._directory, self._namespace)
            if os.write(self._file, line) != len(line):  # the disk is full
                os.ftruncate(self._file, self._written)
                raise OSError("no space is left")
            self._written += len(line)
        if self._wake is not None:
            loop, event = self._wake
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    def batch(self) -> tuple[list[SpooledAlert], int]:
        """The first alerts that are not handed over yet, and where they end, for `handed_over`."""
        with self._lock:
            if self._file < 0 or self._read >= self._written:
                return [], self._read
            raw = os.pread(self._file, self._written - self._read, self._read)
        found: list[SpooledAlert] = []
        end = self._read
        for line in raw.splitlines(keepends=True):
            if len(found) == BATCH:
                break
            end += len(line)
            found.extend(_parsed(line))
        return found, end

    def handed_over(self, end: int) -> None:
        """Forget what was handed over; the file shrinks when that is everything."""
        with self._lock:
            self._read = end
            if self._file >= 0 and self._read >= self._written:
                os.ftruncate(self._file, 0)
                self._read = self._written = 0

    async def forward(self, taker: TakesAlerts) -> None:
        """Hand alerts over as they are raised, until cancelled."""
        woken = asyncio.Event()
        self._wake = asyncio.get_running_loop(), woken
        failures = 0
        while True:
            woken.clear()
            batch, end = self.batch()
            if not batch and end == self._read:
                await woken.wait()
                continue
            try:
                if batch:
                    async with asyncio.timeout(_TIMEOUT_S):
                        await taker.take(batch)
            except Exception as error:  # noqa: BLE001 - nobody else would hand them over
                if failures == 0:
                    why = f"{type(error).__name__}: {error}"
                    _log.info("alerts wait to be taken over", why=why)
                await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
                failures += 1
            else:
                failures = 0
                self.handed_over(end)

    def close(self) -> None:
        """Close the file; what it holds is adopted. What is raised later gets another file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                self._read = self._written = 0


@contextlib.contextmanager
def adopted(directory: Path, namespace: str) -> Iterator[Orphan]:
    """A spool whose process has ended; it goes when the block ends well."""
    for path in sorted(directory.glob(f"{namespace}@*{_SUFFIX}")):
        file = _claimed(path)
        if file < 0:
            continue
        try:
            yield Orphan(found=True, alerts=_lines(file))
            path.unlink(missing_ok=True)
        finally:
            os.close(file)
        return
    yield Orphan()


def _lines(file: int) -> tuple[SpooledAlert, ...]:
    raw = os.pread(file, MOST_BYTES, 0)
    return tuple(alert for line in raw.splitlines() for alert in _parsed(line))


def _parsed(line: bytes) -> list[SpooledAlert]:
    """The alert of a line; none if it is damaged."""
    try:
        record = json.loads(line)
        return [SpooledAlert(str(record["id"])[:64], alert_record.of_dict(record["alert"]))]
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("a damaged line of a spool of alerts is left out", why=str(error)[:200])
        return []


def _claimed(path: Path) -> int:
    """The file, locked; -1 if its process lives, or it has just gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return -1
    return file


def _opened(directory: Path, namespace: str) -> int:
    """A new spool of this process, locked before it has the name by which others look for it."""
    ensure_directory(directory)
    _drop_old(directory)
    if sum(1 for _ in directory.glob(f"*{_SUFFIX}")) >= MOST_SPOOLS:
        raise OSError(f"{MOST_SPOOLS} spools wait to be taken over")
    path = directory / f"{namespace}@{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
    hidden = path.with_suffix(".new")
    file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    hidden.rename(path)
    return file


def _drop_old(directory: Path) -> None:
    """Remove spools that nobody adopts: their namespace has no such actor any more."""
    before = time.time() - OLDEST_S
    for path in directory.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before and (file := _claimed(path)) >= 0:
                path.unlink()
                os.close(file)
