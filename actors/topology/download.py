"""Get the body of a map from an http(s) URL, within stated bounds.

Bounds: 64 MiB of body, counted while it streams and after decompression (a compressed answer
is inflated piece by piece, so that a small bomb cannot grow past the bound); 10 s without a
byte, 60 s in all; 5 redirects; 3 attempts, the later ones only after a failure that may pass
(no connection, no answer, status 429 or 5xx).

Credentials in the URL are used and never shown: the user part travels as a header, errors
carry `shown(source)`, and the HTTP client's own log, which prints whole URLs, is silenced.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import httpx
import stamina

from actors.topology.fetch import MAX_BYTES, Fetched, Validators, refuse, refuse_size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SILENCE_S: Final = 10.0
TOTAL_S: Final = 60.0
MAX_REDIRECTS: Final = 5
ATTEMPTS: Final = 3

_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 2**20  # most bytes inflated at a time

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Transient(Exception):  # noqa: N818 - not an error yet: it is what makes an attempt repeat
    """A failure that another attempt may not have; the text is safe to show."""


async def fetch_url(
    source: str, known: Validators | None = None, *, max_bytes: int = MAX_BYTES
) -> Fetched | None:
    """Return the body at `source`, or None when it is still the version that `known` describes.

    Raises:
        TopologyError: the body cannot be downloaded within the bounds.
    """
    url, auth = _address(source)
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    try:
        async with (
            asyncio.timeout(TOTAL_S),
            httpx.AsyncClient(
                auth=auth,
                headers=headers,
                timeout=SILENCE_S,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
            ) as client,
        ):
            async for attempt in stamina.retry_context(
                on=_Transient, attempts=ATTEMPTS, timeout=TOTAL_S, wait_initial=0.2, wait_max=2.0
            ):
                with attempt:
                    return await _ask(client, source, url, max_bytes)
    except _Transient as error:
        refuse(source, f"{error}, after {ATTEMPTS} attempts", "Check the URL and the server.")
    except TimeoutError:
        refuse(source, f"it takes longer than {TOTAL_S:g} s", "Serve it from a faster host.")
    raise AssertionError("an attempt returns or raises")


def _address(source: str) -> tuple[str, httpx.BasicAuth | None]:
    """Split a URL into a part that libraries may log, and the credentials."""
    try:
        parts = urlsplit(source)
        known_port = parts.port is None or parts.port > 0
    except ValueError:
        known_port = False
    if not known_port or not parts.hostname:
        refuse(source, "it is not a URL", "Give http(s)://host/path; in passwords write / as %2F.")
    if parts.scheme not in {"http", "https"}:
        refuse(source, f"{parts.scheme}:// is not supported", "Give a path or an http(s) URL.")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    if "@" not in parts.netloc:
        return bare, None
    return bare, httpx.BasicAuth(unquote(parts.username or ""), unquote(parts.password or ""))


async def _ask(client: httpx.AsyncClient, source: str, url: str, max_bytes: int) -> Fetched | None:
    """Send one request. The client's errors are replaced, as their texts may repeat the URL."""
    conditional = "If-None-Match" in client.headers or "If-Modified-Since" in client.headers
    try:
        async with client.stream("GET", url) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and conditional:
                return None
            _check_status(source, response)
            body = await _read_bounded(source, response, max_bytes)
    except httpx.TimeoutException:
        raise _Transient(f"it did not answer within {SILENCE_S:g} s") from None
    except httpx.ConnectError as error:
        raise _Transient(f"there is no connection ({error})") from None
    except httpx.TooManyRedirects:
        refuse(source, f"it redirects more than {MAX_REDIRECTS} times", "Give the final URL.")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL):
        refuse(source, "it leads to something that is not http(s)", "Give the final URL.")
    except httpx.TransportError as error:
        raise _Transient(f"the connection broke ({type(error).__name__})") from None
    etag, modified = (response.headers.get(name, "") for name in ("ETag", "Last-Modified"))
    return Fetched(body, Validators(etag, modified))


def _check_status(source: str, response: httpx.Response) -> None:
    status = response.status_code
    said = f"the server answered {status} {response.reason_phrase[:40]}".rstrip()
    if status == httpx.codes.OK:
        return
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        raise _Transient(said)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        refuse(source, said, "Give credentials in the URL, as https://user:password@host/path.")
    refuse(source, said, "Open the URL in a browser and give the one that shows the map.")


async def _read_bounded(source: str, response: httpx.Response, max_bytes: int) -> bytes:
    declared = response.headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > max_bytes:
        refuse_size(source, max_bytes)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        refuse(source, f"it is encoded as {encoding[:40]!a}", "Serve it plain or as gzip.")
    pieces = response.aiter_raw()
    body = bytearray()
    async for piece in _inflate(source, pieces) if "gzip" in encoding else pieces:
        body += piece
        if len(body) > max_bytes:
            refuse_size(source, max_bytes)
    return bytes(body)


async def _inflate(source: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Decompress gzip (RFC 1952), at most `_PIECE` bytes at a time."""
    inflater = zlib.decompressobj(_GZIP)
    try:
        async for piece in pieces:
            waiting = piece
            while waiting:
                yield inflater.decompress(waiting, _PIECE)
                waiting = inflater.unconsumed_tail
                if inflater.eof:
                    waiting = inflater.unused_data  # another gzip member may follow
                    if waiting:
                        inflater = zlib.decompressobj(_GZIP)
        # All input may be consumed while output is still buffered.
        while not inflater.eof and (rest := inflater.decompress(b"", _PIECE)):
            yield rest
    except zlib.error:
        refuse(source, "it says it is gzip and is not", "Correct the server's Content-Encoding.")
    if not inflater.eof:
        refuse(source, "its gzip body is cut short", "Retry, and check the server.")
