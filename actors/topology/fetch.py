"""The body of a map and where it came from; how to get it from a file.

Bounds: a regular file of at most 64 MiB. A source is shown in errors and logs without the
credentials that a URL may carry (`https://user:password@host/...?token=...`).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from actors.topology.errors import TopologyError

MAX_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Validators:
    """Identifiers of the version that we have, for the source to compare; empty for none."""

    etag: str = ""
    last_modified: str = ""
    file: tuple[int, int, int] = (0, 0, 0)  # inode, size in bytes, modification time in ns


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body and the validators to ask for the next version with."""

    body: bytes
    validators: Validators


def is_url(source: str) -> bool:
    """Tell a URL from a path."""
    return "://" in source


def shown(source: str) -> str:
    """Return the source as errors and logs may show it: a URL without user, password and query."""
    if not is_url(source):
        return source
    try:
        parts = urlsplit(source)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # such as a password with a slash: the rest of it becomes the port
        return f"{source.split('://', 1)[0]}://..."
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host or ''}{port}{parts.path}{'?...' if parts.query else ''}"


def fetch_file(
    source: str, known: Validators | None = None, *, max_bytes: int = MAX_BYTES
) -> Fetched | None:
    """Return the content of a file, or None when it is still the one that `known` describes.

    Raises:
        TopologyError: the file cannot be read within the bounds.
    """
    try:
        path = Path(source).expanduser()
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for a writer
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            refuse(source, f"it is {kind}", "Give the path of a map file.")
        validators = Validators(file=(status.st_ino, status.st_size, status.st_mtime_ns))
        if validators == known:
            return None
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        refuse(source, why, "Give the path of a map file that this user may read.")
    except (ValueError, RuntimeError) as error:  # a NUL in the path; an unknown ~user
        refuse(source, str(error), "Give the path of a map file.")
    if len(body) > max_bytes:
        refuse_size(source, max_bytes)
    return Fetched(body, validators)


def refuse(source: str, why: str, remedy: str) -> NoReturn:
    """Raise the TopologyError that names this source."""
    safe = shown(source)
    raise TopologyError(f"cannot read the map {safe}", why, remedy, source=safe) from None


def refuse_size(source: str, max_bytes: int) -> NoReturn:
    """Raise the TopologyError for a body of more than `max_bytes` bytes."""
    refuse(
        source,
        f"it is larger than {max_bytes / 2**20:g} MiB",
        "Give the map alone, without statistics or history.",
    )
