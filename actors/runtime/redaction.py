"""Removal of secrets from log lines and alerts.

Two nets, because each alone has holes: by name (whatever is stored under a key such as `token` or
`private_key`), and by form (whatever looks like a bearer token, a bot token, credentials in a URL
or a private key, wherever it stands, exception text included). Redacting twice changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import SecretBytes, SecretStr

REDACTED: Final = "[redacted]"
MAX_DEPTH: Final = 6  # deeper nesting is cut, so that a cycle ends
MAX_ITEMS: Final = 200  # entries of one container that are shown
MAX_TEXT: Final = 16_384  # characters of one string that are shown

_SECRET_WORDS: Final = frozenset(
    {
        "token",
        "tokens",
        "secret",
        "secrets",
        "password",
        "passwd",
        "passphrase",
        "authorization",
        "credential",
        "credentials",
        "cookie",
        "mnemonic",
        "key",
        "keys",
        "apikey",
    }
)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_QUOTED: Final = r"b?\"(?:[^\"\\]|\\.)*+\"?|b?'(?:[^'\\]|\\.)*+'?"
_NAMED: Final = (
    r"(?:tokens?|secrets?|password|passwd|passphrase|(?:api|private|access)[_-]?keys?|credentials?)"
)
# Each takes time linear in the text (possessive quantifiers, no unbounded prefix): what is logged
# may come from outside.
_FORMS: Final = (
    # A PEM private key, or the beginning of one that was cut off.
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z)",
            re.DOTALL,
        ),
        REDACTED,
    ),
    # "Authorization: scheme parameters" (RFC 9110, section 11.6.2) and mnemonics are many words:
    # to the end of the quotes or of the line.
    (
        re.compile(
            rf"(?i)((?:authorization|mnemonic)[\"']?\s*+[:=]\s*+)(?!\[redacted\])(?:{_QUOTED}|[^\r\n]+)"
        ),
        rf"\1{REDACTED}",
    ),
    (
        re.compile(r"(?i)\b(bearer|basic)\s++(?!\[redacted\])[A-Za-z0-9._~+/=-]{6,}"),
        rf"\1 {REDACTED}",
    ),
    # Credentials in a URL, RFC 3986 section 3.2.1; the last @ before the path ends them.
    (re.compile(r"(://)[^/\s?#\"']+@"), rf"\1{REDACTED}@"),
    # A Telegram bot token: digits, colon, 35 characters.
    (re.compile(r"(?<![0-9])[0-9]{6,16}:[A-Za-z0-9_-]{30,}"), REDACTED),
    # name=value, name: value, "name": "value", as in a query, a dict or a dataclass in text.
    (
        re.compile(
            rf"(?i)({_NAMED}[\"']?\s*+[:=]\s*+)(?!\[redacted\])(?:{_QUOTED}|[^\s,;&)}}\]\"']+)"
        ),
        rf"\1{REDACTED}",
    ),
)
_READ: Final = 16 * MAX_TEXT  # characters of one string that are searched
_EDGE: Final = 4096  # a secret that was cut in two at the edge of what is searched is shorter


def is_secret_name(name: str) -> bool:
    """Tell whether a value of that name is secret: one of its words is (`botToken`, `api_key`)."""
    return any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(name))


def scrub(text: str) -> str:
    """`text` without what looks like a secret, cut to `MAX_TEXT` characters."""
    whole = len(text) <= _READ
    text = text[:_READ]
    for form, replacement in _FORMS:
        text = form.sub(replacement, text)
    # Cut after the search: half a secret would not be recognised.
    if not whole:
        text = text[:-_EDGE]
    return text if whole and len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def redacted(value: object, *, depth: int = 0) -> object:
    """`value` as JSON can hold it (str, int, float, bool, None, list, dict), without secrets."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr | SecretBytes):
        return REDACTED
    if depth >= MAX_DEPTH:
        return "[nested too deep]"
    if isinstance(value, Mapping):
        return _redacted_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        shown = [redacted(item, depth=depth + 1) for item, _ in zip(value, range(MAX_ITEMS))]  # noqa: B905 - the shorter one is the bound
        return shown if len(value) <= MAX_ITEMS else [*shown, f"[{len(value) - MAX_ITEMS} more]"]
    return scrub(value if isinstance(value, str) else safe_text(value))


def safe_text(value: object) -> str:
    """`str(value)` for an error, else `repr(value)`, whatever they do."""
    try:
        return str(value) if isinstance(value, BaseException) else repr(value)
    except Exception:  # noqa: BLE001 - a log line must not fail over a broken __str__
        return f"[unprintable {type(value).__name__}]"


def _redacted_mapping(value: Mapping[object, object], depth: int) -> dict[str, object]:
    shown: dict[str, object] = {}
    for name, item in value.items():
        if len(shown) == MAX_ITEMS:
            shown["..."] = f"[{len(value) - MAX_ITEMS} more]"
            break
        text = scrub(name if isinstance(name, str) else safe_text(name))
        shown[text] = REDACTED if is_secret_name(text) else redacted(item, depth=depth + 1)
    return shown
