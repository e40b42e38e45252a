"""PagerDuty, Events API v2 (developer.pagerduty.com/docs/events-api-v2).

An incident of ours is an alert of theirs: the thread is the `dedup_key`, so what is sent again
pages nobody again. The library blocks, so it has a thread; and it would wait and retry on its own,
for 429 without end, so its first failure is ours to handle.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from pagerduty import EventsApiV2Client
from pagerduty.errors import HttpError

from actors.alerts.channels.posting import ANSWER_S, encoded, retry_after_s, rfc3339
from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown
from actors.alerts.notice import Change
from actors.alerts.wording import MAX_TITLE, Reader, message, title, visible
from actors.runtime.redaction import scrub
from actors.runtime.settings import variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from pydantic import SecretStr

    from actors.alerts.notice import Notice
    from actors.runtime.errors import X0Error

NAME: Final = "pagerduty"
MAX_KEY: Final = 255  # characters of a dedup_key
MAX_DETAILS: Final = 60_000  # UTF-16 units of the text; an event has at most 512 KB
_SHOWN: Final = 200  # characters of an answer that an error shows
_ACTIONS: Final = {
    Change.FIRED: "trigger",
    Change.CHANGED: "trigger",
    Change.ACKNOWLEDGED: "acknowledge",
    Change.RESOLVED: "resolve",
}
_KEY: Final = variable("alerts_pagerduty_routing_key")
_REMEDY: Final = f"Check {_KEY}: the key of an integration of the kind Events API v2."


class _Client(EventsApiV2Client):
    """The library's client, which tries once, and shows its key nowhere."""

    max_network_attempts = 0
    timeout: Any = ANSWER_S

    def __repr__(self) -> str:
        return "EventsApiV2Client([redacted])"

    def postprocess(self, response: Any) -> None:  # noqa: ANN401 - of the library's HTTP client
        """Called with each answer, before the library decides whether to wait and ask again."""
        if response.status_code == 429 or response.status_code >= 500:
            raise ChannelUnavailable(
                NAME, _says(response), retry_after_s=retry_after_s(response.headers)
            )


class PagerDutyChannel:
    """Tells a service of PagerDuty.

    Args:
        routing_key: of its integration.
        url: https URL of the API.
        reader: who reads it.
        tls: whom to trust.
    """

    name = NAME
    most = 1
    pause_s = 0.5  # 120 events a minute are taken
    deadline_s = 20.0

    def __init__(
        self, routing_key: SecretStr, url: str, reader: Reader, tls: ssl.SSLContext
    ) -> None:
        self._routing_key = routing_key
        self._url = url.rstrip("/")
        self._reader = reader
        self._tls = tls
        self._open()

    def __repr__(self) -> str:
        return f"PagerDutyChannel({self._url!r})"

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices; raises as `Channel.deliver`."""
        for notice in notices:
            await self._tell(notice)
        return [""] * len(notices)

    async def check(self) -> None:
        """Return: the API cannot be asked without being told something."""

    async def close(self) -> None:
        """Close connections; does not wait for an answer."""
        self._shut()

    async def _tell(self, notice: Notice) -> None:
        action = _ACTIONS[notice.change]
        properties = event(notice, self._reader) if action == "trigger" else {}
        await self._send(action, key_of(notice.thread), properties)

    async def _send(self, action: str, key: str, properties: dict[str, Any]) -> None:
        client = self._client

        def ask() -> None:
            try:
                client.send_event(action, key, **properties)
            except ChannelUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - those of its HTTP client come through
                raise _translated(error) from None

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.deadline_s):
                await loop.run_in_executor(self._thread, ask)
        except (TimeoutError, asyncio.CancelledError) as error:
            # The thread still waits: it is left behind with its connection, which is broken.
            self._shut()
            self._open()
            if isinstance(error, TimeoutError):
                raise FateUnknown(NAME, f"no answer within {self.deadline_s:g} s") from None
            raise

    def _open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self._client = _Client(
            self._routing_key.get_secret_value(), base_url=self._url, verify=self._tls
        )

    def _shut(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client.close()


def key_of(thread: str) -> str:
    """The `dedup_key` of a thread; one that is too long ends with a digest."""
    shown = visible(thread)
    if len(shown.encode()) <= MAX_KEY:  # whether characters or bytes are meant is not documented
        return shown
    digest = hashlib.sha256(shown.encode()).hexdigest()
    return f"{shown.encode()[: MAX_KEY - 65].decode(errors='ignore')}-{digest}"


def event(notice: Notice, reader: Reader) -> dict[str, Any]:
    """What an event that triggers says beside its action and its key."""
    worst = notice.alerts[0]
    found: dict[str, Any] = {
        "client": "x0tta6bl4",
        "payload": {
            "summary": title(notice, MAX_TITLE),
            "source": visible(worst.subjects[0])[:200].strip() if worst.subjects else "",
            "severity": str(notice.severity),
            "timestamp": rfc3339(worst.started),
            "class": str(worst.name),
            "custom_details": {"text": message(notice, reader, MAX_DETAILS).plain()},
        },
    }
    found["payload"]["source"] = found["payload"]["source"] or "x0tta6bl4"
    network = visible(worst.labels.get("network", ""))
    if network:
        found["payload"]["group"] = network
    link = encoded(reader.link(worst.link))
    if link:
        found["client_url"] = link
        found["links"] = [{"href": link, "text": "Evidence"}]
    return found


def _translated(error: Exception) -> X0Error:
    """What to raise instead of an error of the library."""
    if isinstance(error, HttpError):
        return ChannelRefused(NAME, _says(error.response), _REMEDY)
    cause = error.__cause__ or error
    # It may have arrived or not: that does not matter, because of the `dedup_key`.
    return FateUnknown(NAME, f"{type(cause).__name__}: {scrub(str(cause))[:_SHOWN]}")


def _says(response: Any) -> str:  # noqa: ANN401 - of the library's HTTP client
    return f"it answers {response.status_code}: {scrub(response.text)[:_SHOWN]}"
