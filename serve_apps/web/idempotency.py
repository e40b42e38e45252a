"""Requests that take effect once, however often they come (draft-ietf-httpapi-idempotency-key).

A client that lost an answer repeats its request with the same `Idempotency-Key` and gets the answer
of the first, also while that is still under way; nothing is done twice. Another body under the same
key is refused. What failed for certain before it had an effect is forgotten and may be tried again;
where the effect is uncertain, the key stays taken and says so.

Keys are kept for `kept_s` after their answer and are lost with the process. Their number and the
bytes of their answers are bounded: beyond that, requests with new keys are refused, because a key
that is forgotten early would break the promise.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Conflict, InvalidInput
from serve_apps.web.errors import IdempotencyKeyReused, TooBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HEADER: Final = "idempotency-key"
LONGEST: Final = 255  # characters of a key


@dataclass(slots=True)
class _Entry:
    """One key: the digest of its request, and its outcome once that is there."""

    digest: bytes
    work: asyncio.Task[bytes] | None  # while it is under way
    answer: bytes | None = None  # None afterwards: the outcome is uncertain
    until: float = 0.0  # when it is forgotten, by the clock


class IdempotentRequests:
    """Remembers keys and answers.

    Args:
        most: how many keys are kept.
        most_bytes: bytes of all their answers.
        kept_s: seconds that a key is kept after its answer.
        clock: seconds that never go back.
        without_effect: errors that tell for certain that nothing was done.
    """

    def __init__(
        self,
        most: int,
        most_bytes: int,
        kept_s: float,
        clock: Callable[[], float],
        without_effect: tuple[type[Exception], ...],
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept_s = kept_s
        self._clock = clock
        self._without_effect = without_effect
        self._running: dict[str, _Entry] = {}
        self._done: OrderedDict[str, _Entry] = OrderedDict()  # the oldest first
        self._bytes = 0  # size of all answers that are kept

    async def once(self, key: str, request: bytes, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer to a request: what `work` returns, or what it returned under this key before.

        Once begun, the work goes on even if the caller leaves.

        Args:
            key: the client's name for the request.
            request: all that makes it this request and no other.
            work: does what is asked.

        Raises:
            InvalidInput: the key is none.
            IdempotencyKeyReused: the key is of another request.
            Conflict: the first request may or may not have taken effect.
            TooBusy: no more keys can be kept.
            Exception: what `work` raises.
        """
        _check(key)
        self._forget()
        digest = hashlib.blake2b(request, digest_size=16).digest()
        entry = self._running.get(key) or self._done.get(key)
        if entry is None:
            entry = self._begin(key, digest, work)
        elif entry.digest != digest:
            raise IdempotencyKeyReused(key)
        if entry.work is not None:
            return await asyncio.shield(entry.work)
        if entry.answer is None:
            raise Conflict(
                f"the request with Idempotency-Key {key[:64]} is not repeated",
                "the first one failed in a way that leaves open whether it took effect",
                "See whether it did; then, if need be, send it with another key.",
            )
        return entry.answer

    def _begin(self, key: str, digest: bytes, work: Callable[[], Awaitable[bytes]]) -> _Entry:
        if len(self._running) + len(self._done) >= self._most or self._bytes >= self._most_bytes:
            oldest = next(iter(self._done.values()), None)
            raise TooBusy(
                "too many requests with an Idempotency-Key",
                f"each key is kept for {self._kept_s:g} s, and no more fit in",
                "Retry after the time in Retry-After; send messages in batches.",
                retry_after_s=oldest.until - self._clock() if oldest else 1.0,
            )

        async def done() -> bytes:
            try:
                entry.answer = await work()
            except self._without_effect:
                del self._running[key]
                raise
            except BaseException:
                self._keep(key, entry)
                raise
            self._keep(key, entry)
            return entry.answer

        entry = self._running[key] = _Entry(digest, None)
        entry.work = asyncio.create_task(done())
        # Its error goes to whoever waits; if all have left, to nobody.
        entry.work.add_done_callback(lambda task: task.cancelled() or task.exception())
        return entry

    def _keep(self, key: str, entry: _Entry) -> None:
        del self._running[key]
        entry.work = None
        entry.until = self._clock() + self._kept_s
        self._done[key] = entry
        self._bytes += len(entry.answer or b"")

    def _forget(self) -> None:
        now = self._clock()
        while self._done:
            key, entry = next(iter(self._done.items()))
            if entry.until > now:
                return
            del self._done[key]
            self._bytes -= len(entry.answer or b"")


def _check(key: str) -> None:
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise InvalidInput(
            "header Idempotency-Key is refused",
            f"it is not 1 to {LONGEST} printable characters of ASCII",
            "Give a name that no other request has, such as a UUID.",
            source="header",
            entry="Idempotency-Key",
        )
