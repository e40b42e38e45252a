"""Which keys belong to which name: node keys from a seed, and a registry of the public ones.

The process that hosts a node holds its keys, as the radio itself would: one secret seed for each
partition, in a file of mode 0600 beside the partition's journal, from which each node's seed is
derived. What others check signatures against is enrolled in one file of the mesh, which holds no
secret.

Invariants: the first enrolment of a name holds. Another key for it is refused until an operator
has it forgotten. The registry is replaced whole or not at all, by one process at a time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.identity.encoding import join_fields
from actors.identity.errors import EnrolmentUnreadable
from actors.runtime.state_files import exclusive_lock, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SEED_BYTES: Final = 32
REGISTRY: Final = "keys.json"
MOST_BYTES: Final = 64 * 2**20  # of a registry
_LOCK_S: Final = 30.0
_LABEL: Final = b"x0tta6bl4 node key"


def seed_in(path: Path) -> bytes:
    """The seed, 32 bytes, in the file `path`, which is made (mode 0600) if it is not there.

    Raises:
        EnrolmentUnreadable: the file holds something else; it is left as it is.
        OSError: it can be neither read nor written.
    """
    try:
        seed = path.read_bytes()
    except FileNotFoundError:
        with exclusive_lock(path.with_name(f"{path.name}.lock"), timeout_s=_LOCK_S):
            if not path.exists():
                write_atomic(path, secrets.token_bytes(SEED_BYTES), private=True)
        seed = path.read_bytes()
    if len(seed) != SEED_BYTES:
        raise EnrolmentUnreadable(path, f"it has {len(seed)} bytes where a seed has {SEED_BYTES}")
    return seed


def derived_seed(seed: bytes, mesh: str, name: str, use: str) -> bytes:
    """The seed, 32 bytes, of what `name` in `mesh` needs for `use`, such as "ml-dsa-65"."""
    info = join_fields(_LABEL, mesh.encode(), name.encode(), use.encode())
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=info).derive(seed)


def fingerprint(public_key: bytes) -> bytes:
    """What is enrolled of a key that travels with what it signs: its SHA-256, 32 bytes."""
    return hashlib.sha256(public_key).digest()


class Enrolment:
    """The registry in one directory: for each name and use, a public key or its digest.

    It is read again when the file has changed; a name that is not known costs one look at the file.

    Args:
        directory: where the registry is.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / REGISTRY
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, dict[str, str]] = {}

    def enrolled(self, name: str, use: str) -> bytes | None:
        """What is enrolled of a name; None if nothing is.

        Raises:
            EnrolmentUnreadable: the registry is no registry.
        """
        self._refresh()
        held = self._known.get(name, {}).get(use)
        return None if held is None else bytes.fromhex(held)

    def names(self) -> frozenset[str]:
        """All names that a key is enrolled for.

        Raises:
            EnrolmentUnreadable: the registry is no registry.
        """
        self._refresh()
        return frozenset(self._known)

    def enrol(self, entries: Mapping[str, bytes], use: str) -> list[str]:
        """Enrol public keys or their digests, by name.

        Returns:
            The names that keep another key, which came first.

        Raises:
            EnrolmentUnreadable: the registry is no registry; it is left as it is.
            OSError: it cannot be written.
        """
        with exclusive_lock(self._path.with_name(f"{REGISTRY}.lock"), timeout_s=_LOCK_S):
            self._refresh()
            refused = []
            before = json.dumps(self._known)
            for name, key in entries.items():
                if self._known.setdefault(name, {}).setdefault(use, key.hex()) != key.hex():
                    refused.append(name)
            if json.dumps(self._known) != before:
                self._write()
        return refused

    def forget(self, names: Iterable[str]) -> list[str]:
        """Let the next key of each of `names` be the first; those that had been enrolled."""
        with exclusive_lock(self._path.with_name(f"{REGISTRY}.lock"), timeout_s=_LOCK_S):
            self._refresh()
            gone = [name for name in names if self._known.pop(name, None) is not None]
            if gone:
                self._write()
        return gone

    def _write(self) -> None:
        write_atomic(self._path, json.dumps(self._known, separators=(",", ":")).encode())

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, {}
            return
        seen = found.st_mtime_ns, found.st_ino, found.st_size
        if seen == self._seen:
            return
        if found.st_size > MOST_BYTES:
            raise EnrolmentUnreadable(self._path, f"it has more than {MOST_BYTES} bytes")
        self._known = _checked(self._path)
        self._seen = seen


def _checked(path: Path) -> dict[str, dict[str, str]]:
    try:
        known: dict[str, dict[str, str]] = json.loads(path.read_bytes())
        for entries in known.values():
            for held in entries.values():
                bytes.fromhex(held)
    except (ValueError, TypeError, AttributeError) as error:
        raise EnrolmentUnreadable(path, str(error)) from error
    return known
