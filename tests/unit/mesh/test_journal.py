"""What a journal promises to whoever opens it after a crash."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.mesh import journal as journals
from actors.mesh.errors import JournalCorrupt
from actors.mesh.journal import FileJournal, MemoryJournal
from actors.runtime.errors import Conflict
from tests.examples import share

if TYPE_CHECKING:
    from pathlib import Path

    from actors.mesh.journal import Journal

RECORDS = [(1, b"first"), (7, b""), (255, b"\0" * 40), (3, b"last")]


def written(directory: Path, records: list[tuple[int, bytes]]) -> Path:
    """A committed and closed journal; its file."""
    journal = FileJournal(directory)
    for kind, body in records:
        journal.append(kind, body[:2], body[2:])
    journal.close()
    return directory / "journal"


def read(directory: Path) -> list[tuple[int, bytes]]:
    journal = FileJournal(directory)
    try:
        return [(kind, bytes(body)) for kind, body in journal.replay()]
    finally:
        journal.close()


@given(records=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)), max_size=8))
@settings(max_examples=share(1 / 3), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_committed_is_replayed(
    records: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Records come back in order with their kinds, from memory and from a file."""
    directory = tmp_path_factory.mktemp("journal")
    file = written(directory, records)
    assert read(directory) == records
    journal: Journal = MemoryJournal()
    for kind, body in records:
        journal.append(kind, body[:2], body[2:])
    assert [(kind, bytes(body)) for kind, body in journal.replay()] == records
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_uncommitted_is_in_the_file(tmp_path: Path) -> None:
    """Before the commit the file does not have a record, after it the file does."""
    journal = FileJournal(tmp_path)
    journal.append(1, b"x")
    assert (tmp_path / "journal").stat().st_size == 0
    journal.commit()
    assert (tmp_path / "journal").stat().st_size == journal.size > 0
    journal.close()


def test_a_torn_end_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    """Cut off anywhere, the journal has exactly the whole records and can be written on."""
    whole = written(tmp_path / "whole", RECORDS).read_bytes()
    ends = [
        len(written(tmp_path / f"end{k}", RECORDS[:k]).read_bytes())
        for k in range(len(RECORDS) + 1)
    ]
    for cut in range(len(whole) + 1):
        directory = tmp_path / f"cut{cut}"
        directory.mkdir()
        (directory / "journal").write_bytes(whole[:cut])
        left = [record for record, end in zip(RECORDS, ends[1:], strict=True) if end <= cut]
        assert read(directory) == left
        assert (directory / "journal").stat().st_size == ends[len(left)]
        journal = FileJournal(directory)
        journal.append(9, b"next")
        journal.close()
        assert read(directory) == [*left, (9, b"next")]


def test_damage_before_the_end_is_an_error(tmp_path: Path) -> None:
    """A flipped bit in any byte but the last record's body is reported, with where it is."""
    file = written(tmp_path / "journal", RECORDS)
    whole = file.read_bytes()
    last_body = len(whole) - len(RECORDS[-1][1])
    padding = journals._FIELDS.size  # the one byte of a header that means nothing
    starts = [
        len(written(tmp_path / f"start{k}", RECORDS[:k]).read_bytes()) for k in range(len(RECORDS))
    ]
    for at in range(last_body):
        if at - padding in starts:
            continue
        for bit in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[at] ^= bit
            file.write_bytes(damaged)
            with pytest.raises(JournalCorrupt) as caught:
                read(file.parent)
            assert caught.value.offset == max(start for start in starts if start <= at)
            assert file.read_bytes() == damaged  # what is damaged is left for a person to see


def test_two_processes_cannot_have_one_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that another process has open is refused, and free once that process is gone."""
    script = (
        "import sys, pathlib\n"
        "from actors.mesh.journal import FileJournal\n"
        "journal = FileJournal(pathlib.Path(sys.argv[1]))\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    monkeypatch.setattr(journals, "LOCK_TIMEOUT_S", 0.0)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(Conflict, match="lock"):
            FileJournal(tmp_path)
        other.kill()
    FileJournal(tmp_path).close()


def test_rewriting_replaces_everything(tmp_path: Path) -> None:
    """After a rewrite the new records are there alone, and appending goes on behind them."""
    written(tmp_path, RECORDS)
    (tmp_path / "journal.new").write_bytes(b"left by a crash during an earlier rewrite")
    journal = FileJournal(tmp_path)
    journal.append(1, b"superseded")
    journal.rewrite(iter([(5, [b"snap", b"shot"])]))
    journal.append(6, b"after")
    while journal.is_rewriting:
        journal.commit()
    assert journal.size == (tmp_path / "journal").stat().st_size
    assert 0 < journal.base < journal.size
    journal.close()
    assert read(tmp_path) == [(5, b"snapshot"), (6, b"after")]
    assert not (tmp_path / "journal.new").exists()
    memory = MemoryJournal()
    memory.append(1, b"old")
    memory.rewrite([(5, [b"n", b"ew"])])
    assert [(kind, bytes(body)) for kind, body in memory.replay()] == [(5, b"new")]
    assert memory.size == 3


def test_until_the_disk_has_the_new_file_the_old_one_has_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before that, nothing is lost; after it, what was committed meanwhile is there."""
    held = threading.Event()
    fsync = os.fsync

    def late(file: int) -> None:
        if threading.current_thread() is not threading.main_thread():  # it writes the new file
            held.wait(60)
        fsync(file)

    monkeypatch.setattr(journals.os, "fsync", late)
    journal = FileJournal(tmp_path / "here")
    journal.append(1, b"before")
    journal.rewrite([(5, [b"snapshot"])])
    journal.append(2, b"meanwhile")
    journal.commit()
    assert journal.is_rewriting
    shutil.copytree(tmp_path / "here", tmp_path / "killed")
    assert read(tmp_path / "killed") == [(1, b"before"), (2, b"meanwhile")]
    held.set()
    journal.close()
    assert read(tmp_path / "here") == [(5, b"snapshot"), (2, b"meanwhile")]


def test_commits_go_behind_a_snapshot_that_is_not_written_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread writes the snapshot, and nobody waits for it to commit."""
    held = threading.Event()
    put = journals._put

    def late(*arguments: Any) -> None:
        held.wait(30)
        put(*arguments)

    monkeypatch.setattr(journals, "_put", late)
    journal = FileJournal(tmp_path / "here")
    snapshot = [(5, b"many"), (6, b""), (5, b"records" * 1000)]
    journal.rewrite([(kind, [body[:3], body[3:]]) for kind, body in snapshot])
    for number in range(3):
        journal.append(2, b"meanwhile", bytes([number]))
        journal.commit()
    shutil.copytree(tmp_path / "here", tmp_path / "killed")
    held.set()
    while journal.is_rewriting:
        journal.commit()
    journal.append(3, b"after")
    journal.commit()
    meanwhile = [(2, b"meanwhile" + bytes([number])) for number in range(3)]
    assert journal.size == (tmp_path / "here" / "journal").stat().st_size
    journal.close()
    assert read(tmp_path / "here") == [*snapshot, *meanwhile, (3, b"after")]
    assert read(tmp_path / "killed") == meanwhile


def test_a_snapshot_that_finds_no_room_leaves_the_old_journal(tmp_path: Path) -> None:
    """The error of the thread that writes it is raised by a commit, whose records are kept."""
    journal = FileJournal(tmp_path)
    journal.append(1, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        journal.rewrite([(5, [b"x" * 10_000])])
        with pytest.raises(OSError, match="File too large"):  # noqa: PT012 - one of them does
            while True:
                journal.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not journal.is_rewriting
    journal.append(2, b"after")
    journal.close()
    assert read(tmp_path) == [(1, b"before"), (2, b"after")]
    assert not (tmp_path / "journal.new").exists()


def test_a_disk_that_fails_leaves_the_old_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised by a commit, whose records are kept."""

    def failing(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journals.os, "fsync", failing)
    journal = FileJournal(tmp_path)
    journal.append(1, b"before")
    journal.rewrite([(5, [b"snapshot"])])
    with pytest.raises(OSError, match="Input/output"):  # noqa: PT012 - one of them does
        while True:
            journal.append(2, b"meanwhile")
            journal.commit()
    journal.close()
    first, *others = read(tmp_path)
    assert first == (1, b"before")
    assert set(others) == {(2, b"meanwhile")}
    assert not (tmp_path / "journal.new").exists()


def test_a_failed_rewrite_leaves_the_old_journal(tmp_path: Path) -> None:
    """When the snapshot cannot be made, what was committed stays."""
    written(tmp_path, RECORDS)
    journal = FileJournal(tmp_path)

    def failing() -> object:
        yield 5, [b"half"]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        journal.rewrite(failing())  # type: ignore[arg-type]
    journal.close()
    assert read(tmp_path) == RECORDS


def test_a_commit_that_finds_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    """After an error halfway through a write, the same records can be committed, once and whole."""
    journal = FileJournal(tmp_path)
    journal.append(1, b"before")
    journal.commit()
    committed = journal.size
    journal.append(2, b"x" * 10_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (committed + 100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "journal").stat().st_size == journal.size == committed
    journal.close()  # commits
    assert read(tmp_path) == [(1, b"before"), (2, b"x" * 10_000)]
