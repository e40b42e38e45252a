"""An append-only file of records that survives the death of the process that writes it.

A record is length, CRC-32, kind, header check and body. `commit` hands all that was appended so far
to the kernel in one write: from then on a SIGKILL of the process cannot lose it. (A power cut can:
no commit waits for the disk. A journal that also survives the loss of its host is a copy at a
peer, behind the same `Journal` interface.)

A record torn at the very end of the file is what a crash during a write leaves behind; it was
never committed and is cut off. Damage anywhere else is not explained by a crash, and is an error.
"""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from actors.mesh.errors import JournalCorrupt
from actors.runtime.state_files import ensure_directory, exclusive_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Buffer = bytes | memoryview  # a memoryview has items of one byte
_HEADER = struct.Struct("<IIBxH")  # length and CRC-32 of the body, kind, check of these three
_FIELDS = struct.Struct("<IIB")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
_MAX_BUFFERS = 512  # buffers in one pwritev; IOV_MAX is 1024 on Linux
LOCK_TIMEOUT_S = 30.0  # longest wait for the lock; a killed owner frees it at once

_background = ThreadPoolExecutor(1, thread_name_prefix="journal")  # for snapshots


class Journal(Protocol):
    """Where a partition keeps what it must not lose."""

    size: int
    """Bytes committed."""

    base: int
    """Bytes of them that the last `rewrite` began with."""

    @property
    def is_rewriting(self) -> bool:
        """Whether a `rewrite` has not taken effect yet."""

    def replay(self) -> Iterator[tuple[int, memoryview]]:
        """All committed records as (kind, body), oldest first."""

    def append(self, kind: int, *body: Buffer) -> None:
        """Add a record to the next commit, until which its parts must not change."""

    def commit(self) -> None:
        """Make everything appended survive."""

    def rewrite(self, records: Iterable[tuple[int, Sequence[Buffer]]]) -> None:
        """Replace all records by these, which stand for everything appended so far.

        That takes effect, in one step, with this or with a later commit. Until it has, the parts of
        the records' bodies must not change.
        """

    def close(self) -> None:
        """Let another take the journal over."""


class MemoryJournal:
    """Records kept in memory: for the simulator, whose processes do not die."""

    def __init__(self) -> None:
        self._records: list[tuple[int, bytes]] = []
        self.size = self.base = 0
        self.is_rewriting = False  # a rewrite takes effect at once

    def replay(self) -> Iterator[tuple[int, memoryview]]:
        """All records, oldest first."""
        return ((kind, memoryview(body)) for kind, body in self._records)

    def append(self, kind: int, *body: Buffer) -> None:
        """Keep a record."""
        self._records.append((kind, b"".join(body)))
        self.size += sum(map(len, body))

    def commit(self) -> None:
        """Nothing is left to do."""

    def rewrite(self, records: Iterable[tuple[int, Sequence[Buffer]]]) -> None:
        """Replace all records by these."""
        self._records = [(kind, b"".join(body)) for kind, body in records]
        self.size = self.base = sum(len(body) for _, body in self._records)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class _Successor:
    """A new file on its way to replace a journal's."""

    file: int
    base: int  # size of the snapshot, bytes
    size: int  # size of the snapshot and of all commits since, bytes
    on_disk: Future[None]  # done when the snapshot (the first `base` bytes) is on disk


class FileJournal:
    """A journal in a directory of its own, which it locks while open.

    Rewriting does not delay commits: a thread writes the new file beside the old one. Its
    length is known before, so that commits go behind it from the beginning, to both files; when the
    disk has all of it, it takes the old one's place.

    Args:
        directory: directory of the file, made if absent.

    Raises:
        Conflict: another process has the journal open.
    """

    def __init__(self, directory: Path) -> None:
        ensure_directory(directory)
        self._path = directory / "journal"
        self._held = ExitStack()
        self._held.enter_context(
            exclusive_lock(directory / "lock", timeout_s=LOCK_TIMEOUT_S),
        )
        self._pending: list[Buffer] = []
        self._file = os.open(self._path, _FLAGS, 0o600)
        self.size = os.fstat(self._file).st_size
        self.base = 0
        self._beside = directory / "journal.new"
        self._successor: _Successor | None = None

    def replay(self) -> Iterator[tuple[int, memoryview]]:
        """All committed records, oldest first; cuts off a torn one at the end.

        Raises:
            JournalCorrupt: a record before the last fails its checksum.
        """
        data = memoryview(self._path.read_bytes())
        at = 0
        while at < len(data):
            end = at + _HEADER.size
            if end > len(data):
                break
            length, checksum, kind, check = _HEADER.unpack_from(data, at)
            if check != _check(length, checksum, kind):
                # A torn record has lost its end; a header that is there whole was written so.
                raise JournalCorrupt(self._path, offset=at, why="a record's header is damaged")
            end += length
            if end > len(data):
                break
            body = data[at + _HEADER.size : end]
            if zlib.crc32(body, kind) != checksum:
                if end == len(data):
                    break
                raise JournalCorrupt(
                    self._path, offset=at, why="a record fails its checksum and more follow it"
                )
            yield kind, body
            at = end
        if at < len(data):
            os.ftruncate(self._file, at)
            self.size = at

    def append(self, kind: int, *body: Buffer) -> None:
        """Add a record to the next commit."""
        self._pending += _record(kind, body)

    def commit(self) -> None:
        """Hand everything appended to the kernel."""
        if self._pending:
            try:
                self.size += _write(self._file, self._pending, self.size)
            except OSError:
                # A record torn here would have others behind it once there is room again.
                os.ftruncate(self._file, self.size)
                raise
            parts, self._pending = self._pending, []
            if self._successor is not None:
                try:
                    self._successor.size += _write(
                        self._successor.file, parts, self._successor.size
                    )
                except OSError:
                    self._abandon(self._successor)
                    raise
        if self._successor is not None and self._successor.on_disk.done():
            self._succeed(self._successor)

    @property
    def is_rewriting(self) -> bool:
        """Whether a new file is still on its way."""
        return self._successor is not None

    def rewrite(self, records: Iterable[tuple[int, Sequence[Buffer]]]) -> None:
        """Replace the file by one that begins with these records, once the disk has them."""
        self.commit()
        snapshot = list(records)
        size = sum(_HEADER.size + sum(map(len, body)) for _, body in snapshot)
        file = os.open(self._beside, _FLAGS | os.O_TRUNC, 0o600)
        self._successor = _Successor(file, size, size, _background.submit(_put, file, snapshot))

    def _succeed(self, successor: _Successor) -> None:
        try:
            successor.on_disk.result()
            self._beside.replace(self._path)
        except OSError:
            self._abandon(successor)
            raise
        _background.submit(os.close, self._file)  # in a thread: this frees memory and takes time
        self._file, self.size, self.base = successor.file, successor.size, successor.base
        self._successor = None

    def _abandon(self, successor: _Successor) -> None:
        """Go on with the old file, which has everything too."""
        self._successor = None
        wait([successor.on_disk])
        os.close(successor.file)
        self._beside.unlink()

    def close(self) -> None:
        """Commit and unlock."""
        self.commit()
        if self._successor is not None:
            wait([self._successor.on_disk])
            self._succeed(self._successor)
        os.close(self._file)
        self._held.close()


def _put(file: int, records: list[tuple[int, Sequence[Buffer]]]) -> None:
    """Write records from the beginning of a file on, and wait for the disk."""
    at = 0
    for kind, body in records:
        at += _write(file, _record(kind, body), at)
    os.fsync(file)


def _record(kind: int, body: Sequence[Buffer]) -> list[Buffer]:
    checksum, length = kind, 0
    for part in body:
        checksum = zlib.crc32(part, checksum)
        length += len(part)
    header = _HEADER.pack(length, checksum, kind, _check(length, checksum, kind))
    return [header, *body]


def _check(length: int, checksum: int, kind: int) -> int:
    """16 bits, without which a damaged length would pass for a torn end."""
    return zlib.crc32(_FIELDS.pack(length, checksum, kind)) & 0xFFFF


def _write(file: int, parts: list[Buffer], at: int) -> int:
    """Write all of `parts` from the offset `at` on; the number of bytes."""
    total = 0
    for start in range(0, len(parts), _MAX_BUFFERS):
        some = parts[start : start + _MAX_BUFFERS]
        wanted = sum(map(len, some))
        done = os.pwritev(file, some, at + total)
        if done < wanted:  # interrupted, or the disk is filling up: the rest, or the error
            rest = memoryview(b"".join(some))
            while done < wanted:
                done += os.pwrite(file, rest[done:], at + total + done)
        total += wanted
    return total
