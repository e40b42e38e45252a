"""Who may change things: a bearer token (RFC 6750), made once and kept in the state directory.

Invariants: the file has mode 0600 from its first instant; the token is compared in constant time
and appears in no log, answer or argument; a page of another site cannot use the gateway through a
visitor's browser (its `Origin`, RFC 6454, is not ours).
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from actors.runtime.errors import ConfigurationError
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

TOKEN: Final = "gateway.token"  # noqa: S105 - the name of the file
_LOCK: Final = "gateway.lock"
_LOCK_S: Final = 5.0
_BYTES: Final = 32
_SHORTEST: Final = 16  # characters of a token that was put there by hand


def token_path(state_dir: Path) -> Path:
    """Where the token of a state directory is."""
    return state_dir / TOKEN


def ensure_token(state_dir: Path) -> str:
    """The token of a state directory, made if there is none.

    Raises:
        ConfigurationError: the file is too short to protect anything.
    """
    ensure_directory(state_dir)
    path = token_path(state_dir)
    with exclusive_lock(state_dir / _LOCK, timeout_s=_LOCK_S):
        if not path.exists():
            write_atomic(path, secrets.token_urlsafe(_BYTES).encode(), private=True)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        token = path.read_text(encoding="ascii", errors="replace").strip()
    if len(token) < _SHORTEST:
        raise ConfigurationError(
            f"the gateway's token in {path} cannot be used",
            f"it has fewer than {_SHORTEST} characters",
            "Remove the file to get a new one.",
            variable="X0TTA6BL4_STATE_DIR",
        )
    return token


def is_bearer(header: str | None, token: bytes) -> bool:
    """Whether an `Authorization` header carries the token."""
    scheme, _, given = (header or "").partition(" ")
    matches = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token)
    return matches and scheme.lower() == "bearer"


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Whether a request comes from no page at all, or from a page of this very host."""
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == (host or "")
    except ValueError:
        return False
