"""How much the gateway takes at once: sizes, counts, rates, and requests under way."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve_apps.gateway.problems import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one gateway process."""

    body_bytes: int = 16 * 2**20
    telemetry_bytes: int = 64 * 2**10
    batch: int = 50_000  # messages of one msgpack request
    line_bytes: int = 512 * 2**10  # the largest payload with every byte escaped
    chunk_lines: int = 2_000  # that are sent together while a body in lines comes
    chunk_bytes: int = 2**20
    upload_messages: int = 1_000_000  # of one body in lines
    upload_refusals: int = 10_000
    # Serve reads ahead of us without bound, so these two bound its memory, at 2 GiB.
    upload_bytes: int = 256 * 2**20
    uploads: int = 8  # bodies in lines under way
    in_flight: int = 2_000  # requests under way
    long_polls: int = 512
    payment_bytes: int = 16 * 2**10
    payments: int = 64  # requests about payments under way
    downloads: int = 64  # files under way
    downloads_each: int = 8  # of them by one link: programs fetch a file in parts at once
    streams: int = 64  # readers of the event stream
    inbox_streams: int = 64  # readers of inboxes as streams
    stall_s: float = 30.0  # for the reader of a stream to take something
    queued: int = 4_096  # single messages that wait for their batch
    requests_per_s: float = 50_000.0  # of changing requests, on average
    burst: int = 50_000
    events: int = 4_096  # kept for readers that come back
    inbox: int = 1_000  # messages of one answer
    wait_s: float = 30.0  # of a long poll
    keep_alive_s: float = 15.0  # between two signs of life of a stream
    answer_s: float = 15.0  # for the mesh to answer
    twin: int = 8  # questions to the twin under way
    twin_bytes: int = 2**20  # of a scenario
    twin_samples: int = 100_000  # draws of one question
    twin_s: float = 20.0  # for the twin to answer


class Rate:
    """A token bucket: `per_s` on average, `burst` at once."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._clock = clock
        self._at = clock()

    def take(self) -> None:
        """Count a request.

        Raises:
            Refused: 429, with the time until the next one is taken.
        """
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            wait_s = (1.0 - self._left) / self._per_s
            raise refused(
                429,
                "too many requests",
                f"the gateway takes {self._per_s:g} changing requests a second",
                "Retry after the time in Retry-After; send messages in batches.",
                retry_after_s=wait_s,
            )
        self._left -= 1.0


class Places:
    """A number of places that requests hold while they are under way.

    Args:
        number: of places.
        what: holds them, for errors.
        each: how many of them one owner may hold; None is all.
    """

    def __init__(self, number: int, what: str, each: int | None = None) -> None:
        self._number = number
        self._what = what
        self._each = number if each is None else each
        self._owned: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many are held."""
        return self._owned.total()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place for the length of a block.

        Raises:
            Refused: 429, all are taken.
        """
        self.take()
        try:
            yield
        finally:
            self.give()

    def take(self, owner: str = "") -> None:
        """Hold a place until `give`.

        Raises:
            Refused: 429, all are taken, or all that one owner may hold.
        """
        for taken, most in ((self.taken, self._number), (self._owned[owner], self._each)):
            if taken >= most:
                raise refused(
                    429,
                    f"too many {self._what}",
                    f"{most} are under way, and no more are allowed",
                    "Retry after the time in Retry-After.",
                    retry_after_s=1.0,
                )
        self._owned[owner] += 1

    def give(self, owner: str = "") -> None:
        """Give a place back."""
        self._owned[owner] -= 1
        if not self._owned[owner]:
            del self._owned[owner]
