"""A webhook, signed as Standard Webhooks 1.0 says (github.com/standard-webhooks/standard-webhooks).

The id is that of the notice, and stays the same when it is sent again, so that the receiver can
tell; the time is that of the request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

from actors.alerts.catalogue import CATALOGUE, severity_of
from actors.alerts.channels.posting import Poster, encoded, rfc3339, unless_success
from actors.alerts.wording import MAX_EMAIL, Reader, message, title, visible
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from pydantic import SecretStr

    from actors.alerts.notice import Notice
    from actors.runtime.alerting import Alert

NAME: Final = "webhook"
_SECRET: Final = variable("alerts_webhook_secret")
_URL: Final = variable("alerts_webhook_url")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KEY_BYTES: Final = range(24, 65)
_MOST_ALERTS: Final = 1_000


class WebhookChannel:
    """Tells a URL.

    Args:
        url: where to POST.
        secret: `whsec_` and the base64 of 24 to 64 bytes.
        reader: who reads the text.
        tls: whom to trust.

    Raises:
        ConfigurationError: the secret has another form.
    """

    name = NAME
    most = 1
    pause_s = 0.0
    deadline_s = 15.0

    def __init__(self, url: str, secret: SecretStr, reader: Reader, tls: ssl.SSLContext) -> None:
        self._url = url
        self._key = key_of(secret)
        self._reader = reader
        self._poster = Poster(NAME, tls)

    def __repr__(self) -> str:
        return "WebhookChannel([redacted])"

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices; raises as `Channel.deliver`."""
        for notice in notices:
            await self._tell(notice)
        return [""] * len(notices)

    async def check(self) -> None:
        """Return: a webhook cannot be asked without being told something."""

    async def close(self) -> None:
        """Close connections."""
        await self._poster.close()

    async def _tell(self, notice: Notice) -> None:
        body = json.dumps(document(notice, self._reader), ensure_ascii=False).encode()
        headers = signed(body, notice.id, int(time.time()), self._key)
        answered = await self._poster.ask("POST", self._url, body, headers)
        unless_success(NAME, answered, f"Check {_URL}, and {_SECRET} at both ends.")


def document(notice: Notice, reader: Reader) -> dict[str, Any]:
    """What a notice is as JSON; times as RFC 3339."""
    return {
        "type": f"alert.{notice.change}",
        "timestamp": rfc3339(notice.at),
        "data": {
            "thread": visible(notice.thread),
            "severity": str(notice.severity),
            "title": title(notice),
            "text": message(notice, reader, MAX_EMAIL).plain(),
            "alerts": [_alert(one, reader) for one in notice.alerts[:_MOST_ALERTS]],
            "alerts_left_out": max(0, len(notice.alerts) - _MOST_ALERTS),
        },
    }


def signed(body: bytes, notice_id: str, at: int, key: bytes) -> dict[str, str]:
    """The headers of a request with that body, made at the Unix time `at`, s."""
    if not _ID.fullmatch(notice_id):  # an id has no dots, and stands in a header
        notice_id = hashlib.sha256(notice_id.encode(errors="surrogatepass")).hexdigest()
    content = b".".join((notice_id.encode(), str(at).encode(), body))
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": notice_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


def key_of(secret: SecretStr) -> bytes:
    """The key that a secret holds.

    Raises:
        ConfigurationError: it has another form.
    """
    try:
        key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ConfigurationError(
            f"{_SECRET} cannot be used",
            "it is not `whsec_` and the base64 of 24 to 64 bytes",
            "Make one: echo whsec_$(openssl rand -base64 32)",
            variable=_SECRET,
        )
    return key


def _alert(alert: Alert, reader: Reader) -> dict[str, Any]:
    entry = CATALOGUE[alert.name]
    return {
        "name": str(alert.name),
        "key": visible(alert.key),
        "severity": str(severity_of(alert.name, alert.severity)),
        "summary": visible(alert.summary),
        "started": rfc3339(alert.started),
        "ended": None if alert.ended is None else rfc3339(alert.ended),
        "momentary": alert.momentary,
        "labels": {visible(name): visible(text) for name, text in alert.labels.items()},
        "probable_cause": visible(alert.probable_cause),
        "details": [visible(one) for one in alert.details],
        "subjects": [visible(one) for one in alert.subjects],
        "meaning": entry.meaning,
        "remedy": entry.remedy,
        "link": encoded(reader.link(alert.link)),
    }
