"""The token that a Ray cluster and its clients share (Ray's token authentication).

Ray looks in RAY_AUTH_TOKEN, then in the file RAY_AUTH_TOKEN_PATH, then in `~/.ray/auth_token`.
`ray get-auth-token --generate` would make that file, readable by everyone on the host and, when two
start at once, twice; here it is made once and with mode 0600.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from actors.runtime import log
from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_log = log.get(__name__)


def ensure_token(environ: Mapping[str, str] | None = None) -> Path | None:
    """Make sure that a token exists and that only this user can read it.

    Returns:
        The file of the token; None where the environment itself carries it.

    Raises:
        ConfigurationError: a named file does not exist, or the file is empty or unusable.
    """
    environ = os.environ if environ is None else environ
    if environ.get("RAY_AUTH_TOKEN"):
        return None
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named).expanduser() if named else Path.home() / ".ray" / "auth_token"
    try:
        if not named and not path.exists():
            _create(path)
        _check(path)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    return path


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            path.hardlink_to(beside)  # unlike a rename, this never replaces another's token
        except FileExistsError:
            return
        _log.info("made the token of this user's Ray clusters", path=str(path))
    finally:
        beside.unlink()


def _check(path: Path) -> None:
    status = path.stat()
    if status.st_size == 0:
        raise _refused(path, "it is empty")
    if status.st_uid == os.getuid() and status.st_mode & 0o077:
        path.chmod(0o600)
        _log.warning("closed the file of Ray's token to other users", path=str(path))


def _refused(path: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"token file {path} cannot be used",
        why,
        "Remove it to get a new one, or let RAY_AUTH_TOKEN_PATH name a file that holds a token.",
        variable="RAY_AUTH_TOKEN_PATH",
    )
