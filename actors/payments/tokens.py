"""Download tokens and licence codes: what a paid order is worth, and nobody can make up.

A download token is

    1 byte version | 10 bytes order id | 6 bytes expiry (ms) | 16 bytes of HMAC-SHA256

in base64url, so a function of the order, its entitlement and the shop's key: a repeated delivery
carries the same one, no table of tokens exists that could leak, and one order's token opens nothing
of another. A licence code is the order id and 10 bytes of an HMAC in base32, in groups of four;
whoever has the key can check it. The key is made once and kept in the state directory, mode 0600;
its fingerprint, by which the ledger knows it, tells nothing about it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final

from pydantic import SecretBytes

from actors.payments.errors import TokenRefused
from actors.payments.ledger import orders
from actors.runtime.errors import ConfigurationError
from actors.runtime.state_files import ensure_directory, exclusive_lock, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = "payments.key"  # name of the file
_LOCK: Final = "payments.key.lock"
_LOCK_S: Final = 5.0
_KEY_BYTES: Final = 32
_VERSION: Final = 1
_EXPIRY_BYTES: Final = 6
_MAC_BYTES: Final = 16
_HEAD: Final = 1 + orders.ID_BYTES + _EXPIRY_BYTES
_LENGTH: Final = 44  # characters of a token
_LICENCE_MAC: Final = 10
_GROUP: Final = 4


def ensure_key(state_dir: Path) -> SecretBytes:
    """The shop's key; the first call makes it.

    Raises:
        ConfigurationError: the file does not hold a key.
    """
    ensure_directory(state_dir)
    path = state_dir / KEY
    with exclusive_lock(state_dir / _LOCK, timeout_s=_LOCK_S):
        if not path.exists():
            write_atomic(path, secrets.token_hex(_KEY_BYTES).encode(), private=True)
        return _read(path)


def read_key(state_dir: Path) -> SecretBytes | None:
    """The shop's key; None if there is none.

    Raises:
        ConfigurationError: the file does not hold a key.
    """
    path = state_dir / KEY
    return _read(path) if path.exists() else None


def replace_key(state_dir: Path) -> SecretBytes:
    """Make a new key; the one before, if there is one, is kept beside it.

    Raises:
        ConfigurationError: the new file cannot be read.
    """
    ensure_directory(state_dir)
    path = state_dir / KEY
    with exclusive_lock(state_dir / _LOCK, timeout_s=_LOCK_S):
        if path.exists():
            path.rename(path.with_name(f"{KEY}.{secrets.token_hex(4)}.old"))
        write_atomic(path, secrets.token_hex(_KEY_BYTES).encode(), private=True)
        return _read(path)


def _read(path: Path) -> SecretBytes:
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    text = path.read_text(encoding="ascii", errors="replace")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) < _KEY_BYTES:
        raise ConfigurationError(
            f"the key of download links in {path} cannot be used",
            f"it is not {_KEY_BYTES} bytes as hex",
            "Restore it from a copy; a new one would void all links and licences.",
            variable="X0TTA6BL4_STATE_DIR",
        )
    return SecretBytes(key)


def fingerprint(key: SecretBytes) -> str:
    """What tells a key from others, and nothing else of it: 32 hex digits."""
    return _mac(key, b"fingerprint", b"")[:_MAC_BYTES].hex()


def sign(key: SecretBytes, order_id: str, expires_ms: int) -> str:
    """The download token of an order whose entitlement ends at `expires_ms`."""
    head = bytes([_VERSION]) + _packed(order_id) + expires_ms.to_bytes(_EXPIRY_BYTES, "big")
    token = head + _mac(key, b"download", head)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(token).decode()  # 33 bytes: no padding


def verify(key: SecretBytes, token: str, now_ms: int) -> tuple[str, int]:
    """Order and end of the entitlement that a token speaks of.

    Raises:
        TokenRefused: it is not of this shop, or it has ended.
    """
    try:
        if len(token) != _LENGTH:
            raise TokenRefused
        content = base64.urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        raise TokenRefused from None
    if base64.urlsafe_b64encode(content).decode() != token:
        raise TokenRefused  # base64 has several spellings of the same bytes; one is accepted
    head, mac = content[:_HEAD], content[_HEAD:]
    if not hmac.compare_digest(mac, _mac(key, b"download", head)[:_MAC_BYTES]):
        raise TokenRefused
    expires_ms = int.from_bytes(head[1 + orders.ID_BYTES :], "big")
    if head[0] != _VERSION or expires_ms < now_ms:
        raise TokenRefused
    return base64.b32encode(head[1 : 1 + orders.ID_BYTES]).decode().lower(), expires_ms


def licence(key: SecretBytes, order_id: str) -> str:
    """The licence code of an order."""
    head = _packed(order_id)
    code = base64.b32encode(head + _mac(key, b"licence", head)[:_LICENCE_MAC]).decode()
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def licensed(key: SecretBytes, code: str) -> str | None:
    """The order that a licence code belongs to; None if the code is not of this shop."""
    try:
        content = base64.b32decode(code.replace("-", "").strip().upper())
    except (binascii.Error, ValueError):
        return None
    head, mac = content[: orders.ID_BYTES], content[orders.ID_BYTES :]
    if not hmac.compare_digest(mac, _mac(key, b"licence", head)[:_LICENCE_MAC]):
        return None
    return base64.b32encode(head).decode().lower()


def _packed(order_id: str) -> bytes:
    return base64.b32decode(order_id.upper())


def _mac(key: SecretBytes, purpose: bytes, content: bytes) -> bytes:
    return hmac.digest(key.get_secret_value(), purpose + b"\0" + content, hashlib.sha256)
