"""Files that must survive a crash: whole or absent, private where asked, owned by one process.

A write is temporary file, fsync, rename, fsync of the directory: after a power cut the name holds
the old content or the new, never a part (Pillai et al., "All File Systems Are Not Created Equal",
OSDI 2014). A lock is flock(2): the kernel lets go of it when its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import ConfigurationError, Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY_MODE: Final = 0o700
PRIVATE_MODE: Final = 0o600
_SHARED_MODE: Final = 0o644
_POLL_S: Final = 0.05


def default_state_dir() -> Path:
    """The default directory of state, by the XDG Base Directory Specification 0.8.

    A relative XDG_STATE_HOME is ignored, as the specification demands.
    """
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "state") / "x0tta6bl4"


def ensure_directory(path: Path) -> Path:
    """Make `path` and its missing parents, each readable by the owner alone, and return it.

    A directory that exists keeps its mode.

    Raises:
        ConfigurationError: `path` is no directory, or cannot be made or written.
    """
    try:
        if not path.is_dir():
            ensure_directory(path.parent)
            with contextlib.suppress(FileExistsError):  # another process was first
                path.mkdir(mode=DIRECTORY_MODE)
                sync_directory(path.parent)
        if not stat.S_ISDIR(path.stat().st_mode):
            raise NotADirectoryError(20, "it is not a directory")
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "it cannot be written")
    except OSError as error:
        raise ConfigurationError(
            f"directory {path} cannot be used",
            error.strerror or str(error),
            "Set X0TTA6BL4_STATE_DIR to a directory that you may write.",
            variable="X0TTA6BL4_STATE_DIR",
        ) from error
    return path


def write_atomic(path: Path, content: bytes, *, private: bool = False) -> None:
    """Replace `path` by `content` in one step; `private` gives it mode 0600, else 0644.

    Raises:
        OSError: the write failed; `path` is unchanged and no other file is left.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    mode = PRIVATE_MODE if private else _SHARED_MODE
    # O_EXCL with the final mode: at no instant is a private file readable by others.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_lock(path: Path, *, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold the lock at `path`, waiting up to `timeout_s` seconds for it.

    The file stays afterwards: removing it would let two processes lock two files of one name.
    Two locks in one process exclude each other too.

    Raises:
        Conflict: the lock is held by another process, or elsewhere in this one.
    """
    deadline = time.monotonic() + timeout_s
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Conflict(
                        f"{path} is locked",
                        "another process of this project works on the same state",
                        "Wait until it is done, or use another X0TTA6BL4_STATE_DIR.",
                    ) from None
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)  # releases the lock
