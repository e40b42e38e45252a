"""Asking a chain's API: paced, bounded, repeated where that may help, and told apart when not.

Rules: requests leave evenly, never more in any second than the rate (plus one); 429, 5xx,
time-outs, broken connections and broken JSON are asked again with growing pauses; a 403 that names
a suspension stops *all* requests for its length, at least 30 s; any other 401 or 403 is a matter of
settings and never repeated, and neither is an answer that is too large. Answers are bounded in size
and time; redirects are not followed, so a key goes to no other host; keys travel in a header and
stand in no URL and no error. HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY hold as for other
programs; what is on this machine is asked without.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import random
import re
import ssl
import urllib.request
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import stamina
from aiolimiter import AsyncLimiter

from actors.payments.errors import AnswerTooLarge, ChainRefused, ChainUnavailable
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from actors.payments.chains.money import Network

T = TypeVar("T")

MAX_BYTES: Final = 16 * 2**20
SILENCE_S: Final = 10.0  # longest wait for the next byte
TOTAL_S: Final = 30.0  # longest duration of one request
ATTEMPTS: Final = 6
RETRY_S: Final = 150.0  # for all attempts; long enough for two suspensions
SUSPENSION_S: Final = 30.0
LONGEST_WAIT_S: Final = 60.0
_SUSPENDED: Final = re.compile(
    r"suspended for (\d{1,4}) ?s|exceeds? the (?:frequency|user daily)", re.IGNORECASE
)
_SHOWN: Final = 120  # characters of an answer that an error repeats


class Broken(Exception):  # noqa: N818 - not an error yet: it is what makes an attempt repeat
    """An answer that another attempt may better; the text is safe to show."""


class _TooLarge(Exception):  # noqa: N818 - becomes an error of the project where it is known whose
    """An answer that is longer than `MAX_BYTES`; the same question has the same answer."""


class Api:
    """One API of one chain, for one event loop; close it, or use it as a context manager.

    Args:
        network: the chain that it serves.
        base_url: without a slash at its end.
        headers: sent with each request; the key is one of them.
        rate: requests per second, at most.
        sleep: waits a number of seconds.
        pause_s: the first pause between attempts, s; later ones are longer.
    """

    def __init__(
        self,
        network: Network,
        base_url: str,
        headers: Mapping[str, str],
        rate: float,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pause_s: float = 0.5,
    ) -> None:
        self.network = network
        self.base_url = base_url
        self._sleep = sleep
        self._pause_s = pause_s
        self._proxy = proxy_of(base_url)
        self._paced = _Paced(rate, sleep, _transport(self._proxy))
        self.client = httpx.AsyncClient(
            transport=self._paced,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
            timeout=SILENCE_S,
            follow_redirects=False,
        )

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self._paced.sent

    async def get(self, path: str, params: Mapping[str, str | int]) -> Any:  # noqa: ANN401 - JSON
        """The JSON that a GET answers with.

        Raises:
            AnswerTooLarge: the answer is longer than `MAX_BYTES`.
            ChainUnavailable: no useful answer after all attempts.
            ChainRefused: a setting is wrong.
        """

        async def ask() -> Any:  # noqa: ANN401 - JSON
            return read(await self.client.get(self.base_url + path, params=dict(params)))

        return await self.attempting(ask)

    async def find(self, path: str) -> Any | None:  # noqa: ANN401 - JSON
        """The JSON that a GET answers with; None if the API knows no such thing.

        Raises:
            ChainUnavailable, ChainRefused: as `get`.
        """

        async def ask() -> Any | None:  # noqa: ANN401 - JSON
            response = await self.client.get(self.base_url + path)
            return None if response.status_code == httpx.codes.NOT_FOUND else read(response)

        return await self.attempting(ask)

    async def post(self, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        """The JSON that a POST answers with; it must be one that changes nothing.

        Raises:
            ChainUnavailable: no useful answer after all attempts.
            ChainRefused: a setting is wrong.
        """

        async def ask() -> Any:  # noqa: ANN401 - JSON
            return read(await self.client.post(self.base_url + path, json=dict(body)))

        return await self.attempting(ask)

    async def attempting(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns, asked again by the rules of this module.

        Raises:
            AnswerTooLarge: the answer is longer than `MAX_BYTES`.
            ChainUnavailable: no useful answer after all attempts.
            ChainRefused: a setting is wrong.
        """
        try:
            async for attempt in stamina.retry_context(
                on=self._again,
                attempts=ATTEMPTS,
                timeout=RETRY_S,
                wait_initial=self._pause_s,
                wait_max=max(self._pause_s, 20.0),
                wait_jitter=self._pause_s,
            ):
                with attempt:
                    return await ask()
        except httpx.HTTPStatusError as error:
            raise self._explained(error.response) from None
        except _TooLarge:
            raise AnswerTooLarge(self.network, MAX_BYTES) from None
        except Broken as error:
            raise ChainUnavailable(self.network, str(error)) from None
        except (httpx.TransportError, TimeoutError, ssl.SSLError) as error:
            by = "" if self._proxy is None else " through the proxy that the environment names"
            why = f"{type(error).__name__}{by}, after {ATTEMPTS} attempts"
            raise ChainUnavailable(self.network, why) from None
        raise AssertionError("an attempt returns or raises")

    def _again(self, error: Exception) -> bool | float:
        """Whether to ask again after `error`, or after how many seconds."""
        if isinstance(error, Broken | httpx.TransportError | TimeoutError):
            return True
        if not isinstance(error, httpx.HTTPStatusError):
            return False
        response = error.response
        if (pause := suspension_s(response)) is not None:
            self._paced.suspend(pause + random.uniform(0, self._pause_s))
            return 0.001  # `_Paced` waits instead, and lets all requests wait
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.status_code >= 500:
            told = response.headers.get("Retry-After", "")
            if told.isascii() and told.isdigit():
                return min(float(told[:6]), LONGEST_WAIT_S) + random.uniform(0, self._pause_s)
            return True
        return False

    def _explained(self, response: httpx.Response) -> ChainRefused | ChainUnavailable:
        status = response.status_code
        if suspension_s(response) is not None or status == 429 or status >= 500:
            return ChainUnavailable(self.network, f"it answered {status}, after all attempts")
        if status in {401, 403}:
            name = variable(f"{self.network}_api_key")
            return ChainRefused(
                f"the {self.network} API refuses this key",
                f"it answered {status}",
                f"Set {name} to a key of that API.",
                variable=name,
            )
        name = variable(f"{self.network}_api_url")
        return ChainRefused(
            f"the {self.network} API cannot be asked",
            f"it answered {status} to {response.request.url.path[:_SHOWN]}",
            f"Correct {name}.",
            variable=name,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    async def __aenter__(self) -> Api:  # noqa: PYI034 - never subclassed
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def suspension_s(response: httpx.Response) -> float | None:
    """For how long a 403 says that requests are suspended, at least 30 s; None if it does not."""
    if response.status_code != httpx.codes.FORBIDDEN:
        return None
    found = _SUSPENDED.search(response.text[:2000])
    if found is None:
        return None
    return min(max(float(found[1] or 0), SUSPENSION_S), LONGEST_WAIT_S)


def read(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """The JSON in an answer.

    Raises:
        HTTPStatusError: its status is an error's.
        Broken: it is no JSON.
    """
    response.raise_for_status()
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        raise Broken(f"{len(response.content)} bytes that are no JSON") from None


@functools.cache
def _tls() -> ssl.SSLContext:
    """What certificates are checked with; shared, because making it takes longer than a request."""
    return httpx.create_ssl_context()


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_of(base_url: str) -> str | None:
    """The proxy that the environment names for a URL; None for none."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if is_here(host) or urllib.request.proxy_bypass(host):
        return None
    named = urllib.request.getproxies()
    return named.get(parts.scheme) or named.get("all")


def _transport(proxy: str | None) -> httpx.AsyncHTTPTransport:
    try:
        return httpx.AsyncHTTPTransport(verify=_tls(), proxy=proxy)
    except (ValueError, ImportError, httpx.InvalidURL):
        raise ConfigurationError(
            "the APIs of the chains cannot be asked through the proxy",
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY is no http(s) URL",  # its password is not shown
            "Correct it, or name the API's host in NO_PROXY.",
            variable="HTTPS_PROXY",
        ) from None


class _Paced(httpx.AsyncBaseTransport):
    """Sends evenly, waits out suspensions, and reads answers whole within the bounds."""

    def __init__(
        self,
        rate: float,
        sleep: Callable[[float], Awaitable[None]],
        inner: httpx.AsyncBaseTransport,
    ) -> None:
        self._inner = inner
        self._limiter = AsyncLimiter(1, 1 / rate)  # a bucket of one: no bursts
        self._sleep = sleep
        self._resumes_at = 0.0
        self.sent = 0

    def suspend(self, pause_s: float) -> None:
        now = asyncio.get_running_loop().time()
        self._resumes_at = max(self._resumes_at, now + pause_s)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        wait_s = self._resumes_at - asyncio.get_running_loop().time()
        if wait_s > 0:
            await self._sleep(wait_s)
        await self._limiter.acquire()
        self.sent += 1
        try:
            async with asyncio.timeout(TOTAL_S):
                return await self._whole(request)
        except TimeoutError:
            raise httpx.ReadTimeout("it takes too long", request=request) from None

    async def _whole(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        body = bytearray()
        try:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.lower() != "identity":  # which could be a bomb
                raise Broken(
                    f"its answer is encoded as {encoding[:20]!r}, which was not asked for:"
                    " something between it and here compresses it"
                )
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_BYTES:
                    raise _TooLarge
        finally:
            await response.aclose()
        return httpx.Response(response.status_code, headers=response.headers, content=bytes(body))

    async def aclose(self) -> None:
        await self._inner.aclose()
