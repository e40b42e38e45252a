"""A bot of Telegram that shows its token nowhere, for all that speak to the Bot API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from telegram import Bot, LinkPreviewOptions

if TYPE_CHECKING:
    from telegram.error import BadRequest, RetryAfter

# The form of a token that `redaction` recognises.
TOKEN: Final = re.compile(r"[0-9]{6,16}:[A-Za-z0-9_-]{30,}")
NO_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)  # a preview would fetch the link
_GONE: Final = ("chat not found", "user is deactivated", "peer_id_invalid", "user not found")


class UnshownBot(Bot):
    """The library's bot, which shows its token in its representation."""

    def __repr__(self) -> str:
        return "Bot([redacted])"


def seconds_of(error: RetryAfter) -> float:
    """How long Telegram wants to be left alone, s."""
    after: Any = error.retry_after  # a number or a timedelta, by version
    return float(after if isinstance(after, int | float) else after.total_seconds())


def is_gone(error: BadRequest) -> bool:
    """Whether a message was refused because its chat is not there any more."""
    return any(word in error.message.lower() for word in _GONE)
