"""Requests to services, with their failures told apart: not arrived, fate unknown, refused."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpx

from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown
from actors.runtime.errors import ConfigurationError
from actors.runtime.redaction import scrub
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_S: Final = 5.0
ANSWER_S: Final = 8.0  # longest wait for the next byte of an answer
LONGEST_WAIT_S: Final = 3_600.0  # that a service may ask for
_LAST_S: Final = 253_402_300_799.0  # the end of the year 9999
_READ: Final = 65_536  # bytes of an answer that are read
_SHOWN: Final = 200  # characters of an answer that an error shows
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer.

    Attributes:
        status: HTTP status.
        text: the beginning of its body.
        retry_after_s: how long the service wants to be left alone, s; 0 where it does not say.
    """

    status: int
    text: str
    retry_after_s: float

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    @property
    def says(self) -> str:
        """What it says, for an error."""
        return f"it answers {self.status}: {scrub(self.text)[:_SHOWN]}".rstrip(": ")


class Poster:
    """Asks one service over HTTP; for one event loop.

    Args:
        channel: name of the channel, for errors.
        tls: whom to trust.
        connect_s, answer_s: longest waits for a connection, and for the next byte of an answer.
    """

    def __init__(
        self,
        channel: str,
        tls: ssl.SSLContext,
        *,
        connect_s: float = CONNECT_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._channel = channel
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=httpx.Timeout(answer_s, connect=connect_s),
            follow_redirects=False,
        )

    async def ask(
        self,
        method: str,
        url: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """What a service answers, whatever its status.

        Raises:
            ChannelUnavailable: it cannot be reached, and was sent nothing.
            FateUnknown: it was sent something, and does not answer.
            ChannelRefused: the URL is none.
        """
        try:
            async with self._client.stream(
                method, url, content=content, headers=dict(headers or {})
            ) as response:
                body = await _beginning(response)
        except NOT_SENT as error:
            raise ChannelUnavailable(self._channel, _why(error)) from None
        except httpx.HTTPError as error:
            raise FateUnknown(self._channel, _why(error)) from None
        except httpx.InvalidURL as error:
            raise ChannelRefused(self._channel, str(error), "Correct its URL.") from None
        return Answered(response.status_code, body, retry_after_s(response.headers))

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()


def instant(at: float) -> datetime:
    """A Unix time, s, or the nearest between 1970 and 9999."""
    return datetime.fromtimestamp(min(max(at, 0.0), _LAST_S) if math.isfinite(at) else 0.0, UTC)


def rfc3339(at: float) -> str:
    """A Unix time, s, as RFC 3339 writes it."""
    return instant(at).isoformat(timespec="milliseconds")


def encoded(link: str) -> str:
    """An http(s) URL as RFC 3986 writes it; "" if it is none."""
    try:
        url = httpx.URL(link)
    except httpx.InvalidURL:
        return ""
    return str(url) if url.scheme in {"http", "https"} and url.host else ""


def unless_success(channel: str, answered: Answered, remedy: str) -> None:
    """Return where the answer is one of success.

    Raises:
        ChannelUnavailable: the service asks to be left alone for a while, or has failed.
        ChannelRefused: it does not take what it was sent.
    """
    if answered.is_success:
        return
    if answered.status in {408, 425, 429} or answered.status >= 500:
        raise ChannelUnavailable(channel, answered.says, retry_after_s=answered.retry_after_s)
    raise ChannelRefused(channel, answered.says, remedy)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The seconds of `Retry-After` (RFC 9110, section 10.2.3), bounded; 0 for its date form."""
    try:
        asked = float(headers.get("retry-after", "0"))
    except ValueError:
        return 0.0
    return min(max(0.0, asked), LONGEST_WAIT_S) if math.isfinite(asked) else 0.0


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Whom to trust: the authorities of a file, or those of this machine.

    Raises:
        ConfigurationError: the file holds no certificates that can be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigurationError(
            f"{variable('alerts_ca_file')} cannot be used",
            f"{ca_file}: {error.strerror if isinstance(error, OSError) else error}",
            "Name a file with the certificates of authorities, in PEM.",
            variable=variable("alerts_ca_file"),
        ) from None


async def _beginning(response: httpx.Response) -> str:
    body = b""
    async for some in response.aiter_bytes():
        body += some
        if len(body) >= _READ:
            break
    return body[:_READ].decode(errors="replace")


def _why(error: httpx.HTTPError) -> str:
    """What went wrong, without what a URL may hold."""
    return scrub(f"{type(error).__name__}: {error}".rstrip(": "))[:_SHOWN]
