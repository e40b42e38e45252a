"""The key of reports: whoever has it may send what a network looks like, and nothing else.

Some senders, OpenWISP among them, can put a key into the query of a URL and send no header. URLs
end up in logs, so the token itself does not belong there. The key is derived from the token: there
is nothing to keep, and a new token makes a new key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

_BYTES: Final = 16


class ReportKey:
    """The key that belongs to a token.

    Attributes:
        text: the key.
    """

    def __init__(self, token: bytes) -> None:
        self.text = hashlib.blake2b(token, digest_size=_BYTES, person=b"x0-reports").hexdigest()

    def matches(self, given: str | None) -> bool:
        """Whether this is the key; compared in constant time."""
        return given is not None and hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self.text.encode()
        )
