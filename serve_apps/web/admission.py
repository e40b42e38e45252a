"""How much an application takes at once: rates, and requests under way."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from serve_apps.web.errors import TooBusy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Rate:
    """A token bucket.

    Args:
        per_s: requests a second, on average.
        burst: requests at once.
        clock: seconds that never go back.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left = float(burst)
        self._clock = clock
        self._at = clock()

    def take(self) -> None:
        """Count a request.

        Raises:
            TooBusy: with the time until the next one is taken.
        """
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1.0:
            raise TooBusy(
                "too many requests",
                f"the gateway takes {self._per_s:g} changing requests a second",
                "Retry after the time in Retry-After; send messages in batches.",
                retry_after_s=(1.0 - self._left) / self._per_s,
            )
        self._left -= 1.0


class Slots:
    """A number of slots; a request holds one while it is under way.

    Args:
        number: how many slots there are.
        what: what holds them, for errors.
        each: how many of them one owner may hold; None: all.
    """

    def __init__(self, number: int, what: str, each: int | None = None) -> None:
        self._number = number
        self._what = what
        self._each = number if each is None else each
        self._owned: Counter[str] = Counter()
        self.taken = 0  # how many are held

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Hold a slot for the length of a block.

        Raises:
            TooBusy: all are taken.
        """
        self.take()
        try:
            yield
        finally:
            self.give()

    def take(self, owner: str = "") -> None:
        """Hold a slot until `give`.

        Raises:
            TooBusy: all are taken, or all that one owner may hold.
        """
        for taken, most in ((self.taken, self._number), (self._owned[owner], self._each)):
            if taken >= most:
                raise TooBusy(
                    f"too many {self._what}",
                    f"{most} are under way, and no more are allowed",
                    "Retry after the time in Retry-After.",
                    retry_after_s=1.0,
                )
        self.taken += 1
        self._owned[owner] += 1

    def give(self, owner: str = "") -> None:
        """Give a slot back."""
        self.taken -= 1
        self._owned[owner] -= 1
        if not self._owned[owner]:
            del self._owned[owner]
