"""Documents that many ask for again and again: validated by ETag and compressed, once a version."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response

from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WORTH_IT: Final = 1024  # bytes of a document that is compressed
_LEVEL: Final = (
    5  # compression level of gzip: a map of 10,000 links takes 20 ms and becomes a tenth
)


class Representation(NamedTuple):
    """A document as it is sent."""

    body: bytes
    compressed: bytes | None  # the body compressed by gzip; None: it is too short for that
    etag: str  # weak: the same for both

    @classmethod
    def of(cls, body: bytes) -> Representation:
        """Hash and compress a document."""
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        compressed = gzip.compress(body, _LEVEL, mtime=0) if len(body) >= _WORTH_IT else None
        return cls(body, compressed, f'W/"{digest}"')


class Representations:
    """The latest version of each document, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, asyncio.Task[Representation]]] = {}

    async def get(
        self, name: str, version: object, make: Callable[[], bytes], *, large: bool
    ) -> Representation:
        """A document; those who ask at once share the work.

        Args:
            name: name of the document.
            version: what it was made of; another version is made anew.
            make: makes its body.
            large: whether a thread does that.
        """
        kept = self._made.get(name)
        if kept is None or kept[0] != version:

            async def made() -> Representation:
                if large:
                    return await asyncio.to_thread(lambda: Representation.of(make()))
                return Representation.of(make())

            kept = self._made[name] = version, asyncio.create_task(made())
        return await asyncio.shield(kept[1])


def answer(
    headers: Mapping[str, str], document: Representation, media_type: str = JSON
) -> Response:
    """The answer to a request with these headers: the document, or that it has not changed."""
    told = {"etag": document.etag, "vary": "Accept-Encoding", "cache-control": "no-cache"}
    if _names(headers.get("if-none-match", ""), document.etag):
        return Response(status_code=304, headers=told)
    if document.compressed is not None and _accepts_gzip(headers.get("accept-encoding", "")):
        told["content-encoding"] = "gzip"
        return Response(document.compressed, headers=told, media_type=media_type)
    return Response(document.body, headers=told, media_type=media_type)


def _names(condition: str, etag: str) -> bool:
    """Whether an If-None-Match names an ETag, by weak comparison (RFC 9110, 13.1.2)."""
    given = (tag.strip().removeprefix("W/") for tag in condition.split(","))
    return condition.strip() == "*" or etag.removeprefix("W/") in given


def _accepts_gzip(accepted: str) -> bool:
    for coding in accepted.split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() in {"gzip", "x-gzip", "*"}:
            return weight.replace(" ", "").lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
