"""Where an embedded authority is kept: one file, replaced in one step, of mode 0600.

A process that is killed at any moment leaves the state before a change or after it. What is changed
is written before it is used.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from actors.identity import authority as authorities
from actors.identity.authority import Authority
from actors.identity.errors import AuthorityUnusable
from actors.runtime.state_files import PRIVATE_MODE, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

LARGEST: Final = 2**20  # bytes
_OTHERS: Final = 0o077


def opened(path: Path, trust_domain: str, now: float) -> Authority:
    """The authority of a file; a new one, if there is no such file.

    Args:
        path: of the file; its directory exists.
        trust_domain: whose authority it is to be.
        now: Unix time, s.

    Raises:
        AuthorityUnusable: the file cannot be read, is damaged, of another trust domain, or others
            may read it. It is left as it is.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except FileNotFoundError:
        _tidy(path)
        made = Authority.new(trust_domain, now)
        keep(path, made)
        return made
    except OSError as error:
        raise AuthorityUnusable(str(path), error.strerror or type(error).__name__) from error
    if mode & _OTHERS:
        raise AuthorityUnusable(
            str(path),
            "other users may read it, so its keys are no secret",
            f"If nobody else has read it: chmod {PRIVATE_MODE:o} {path}. Else remove it.",
        )
    found = authorities.of_document(content)
    if isinstance(found, str):
        raise AuthorityUnusable(str(path), found)
    if found.trust_domain != trust_domain:
        raise AuthorityUnusable(
            str(path),
            f"it is of the trust domain {found.trust_domain}, and {trust_domain} is set",
            f"Set X0TTA6BL4_IDENTITY_TRUST_DOMAIN={found.trust_domain}, or move the file away to"
            " begin with a new authority.",
        )
    _tidy(path)
    return found


def keep(path: Path, authority: Authority) -> None:
    """Replace the file.

    Raises:
        AuthorityUnusable: it cannot be written; it is as it was.
    """
    try:
        write_atomic(path, authorities.document(authority), private=True)
    except OSError as error:
        raise AuthorityUnusable(str(path), error.strerror or type(error).__name__) from error


def _tidy(path: Path) -> None:
    """Remove what a process has left that was killed while it wrote: it holds keys."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


class KeptAuthority:
    """An authority in use, whose every change is kept first.

    Args:
        path: of its file.
        trust_domain: whose it is.
        svid_life_s: longest life of what it signs, s.

    Raises:
        AuthorityUnusable: see `opened`.
    """

    def __init__(self, path: Path, trust_domain: str, svid_life_s: float) -> None:
        self._path = path
        self._life_s = svid_life_s
        self._present = opened(path, trust_domain, time.time())

    def __repr__(self) -> str:
        return f"KeptAuthority({str(self._path)!r})"

    def at(self, now: float) -> Authority:
        """The authority as it is at a Unix time, with new keys where they are due.

        Raises:
            AuthorityUnusable: a change cannot be kept.
        """
        found = self._present.tidied(now)
        if found.is_due(now):
            found = found.rotated(now, self._life_s)
        return self._take(found)

    def rotate(self, now: float) -> Authority:
        """Make new keys, which sign a little later.

        Raises:
            AuthorityBusy: too many former keys are still trusted.
            AuthorityUnusable: they cannot be kept.
        """
        return self._take(self._present.rotated(now, self._life_s))

    def _take(self, found: Authority) -> Authority:
        if found.generations != self._present.generations:
            keep(self._path, found)
        self._present = found
        return found
