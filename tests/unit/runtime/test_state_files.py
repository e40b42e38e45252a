"""Files that are whole, private and locked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.errors import ConfigurationError, Conflict
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from actors.runtime.state_files import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.binary(max_size=2000), second=st.binary(max_size=2000))
def test_a_write_replaces_the_whole_content(tmp_path: Path, first: bytes, second: bytes) -> None:
    """After a write the file holds exactly what was written, and nothing lies beside it."""
    path = tmp_path / "record"
    write_atomic(path, first)
    write_atomic(path, second)
    assert path.read_bytes() == second
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_private_whatever_it_was_before(tmp_path: Path) -> None:
    """`private` gives mode 0600 even where the old file was open to all."""
    path = tmp_path / "record"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_atomic(path, b"new", private=True)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error before the rename changes nothing and leaves no temporary file."""
    path = tmp_path / "record"
    write_atomic(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_directories_are_made_private_and_existing_ones_left_alone(tmp_path: Path) -> None:
    """New directories have mode 0700, parents included; a second call changes nothing."""
    tmp_path.chmod(0o755)
    assert ensure_directory(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    ensure_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_file_in_the_place_of_a_directory_is_said(tmp_path: Path) -> None:
    """The error names the path and the variable to change."""
    (tmp_path / "state").write_bytes(b"")
    for path in (tmp_path / "state", tmp_path / "state" / "below"):
        with pytest.raises(ConfigurationError, match="X0TTA6BL4_STATE_DIR") as caught:
            ensure_directory(path)
        assert "state" in caught.value.what


def test_a_lock_excludes_and_is_free_afterwards(tmp_path: Path) -> None:
    """While one holds the lock another is refused, after an error in the block included."""
    path = tmp_path / "lock"

    def fail_inside() -> None:
        with exclusive_lock(path):
            with pytest.raises(Conflict), exclusive_lock(path, timeout_s=0.1):
                raise AssertionError("two held one lock")
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    with exclusive_lock(path):
        assert path.exists()


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    """SIGKILL of the holder frees the lock."""
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Conflict), exclusive_lock(path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with exclusive_lock(path):
            assert path.exists()
    finally:
        holder.kill()
        holder.communicate()
