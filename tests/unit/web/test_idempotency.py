"""Requests that take effect once, however often they come."""

from __future__ import annotations

import asyncio

import pytest

from actors.runtime.errors import Conflict, InvalidInput, Unavailable
from serve_apps.web.errors import IdempotencyKeyReused, TooBusy, TooLarge
from serve_apps.web.idempotency import IdempotentRequests


class Work:
    """Counts how often it is done; each time it waits for `go` and then answers, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done = 0
        self.error = error
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> bytes:
        await self.go.wait()
        self.done += 1
        if self.error is not None:
            raise self.error
        return b"answer %d" % self.done


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def requests(clock: Clock, most: int = 10, most_bytes: int = 1000) -> IdempotentRequests:
    return IdempotentRequests(most, most_bytes, 600.0, clock, (TooLarge,))


async def test_a_repeated_request_gets_the_first_answer() -> None:
    """One after the other, and all at once while the first is under way; other keys are others."""
    kept, work = requests(Clock()), Work()
    work.go.clear()
    crowd = [asyncio.create_task(kept.once("k", b"body", work)) for _ in range(5)]
    await asyncio.sleep(0)
    work.go.set()
    assert set(await asyncio.gather(*crowd)) == {b"answer 1"}
    assert await kept.once("k", b"body", work) == b"answer 1"
    assert await kept.once("other", b"body", work) == b"answer 2"


async def test_another_body_under_the_same_key_is_refused() -> None:
    """Also while the first is under way."""
    kept, work = requests(Clock()), Work()
    work.go.clear()
    first = asyncio.create_task(kept.once("k", b"body", work))
    await asyncio.sleep(0)
    with pytest.raises(IdempotencyKeyReused):
        await kept.once("k", b"other", work)
    work.go.set()
    await first
    with pytest.raises(IdempotencyKeyReused):
        await kept.once("k", b"other", work)
    assert work.done == 1


async def test_the_work_goes_on_when_its_caller_leaves() -> None:
    """Whoever asks again gets the answer of what was begun."""
    kept, work = requests(Clock()), Work()
    work.go.clear()
    first = asyncio.create_task(kept.once("k", b"body", work))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    again = asyncio.create_task(kept.once("k", b"body", work))
    work.go.set()
    assert await again == b"answer 1"


async def test_what_had_no_effect_may_be_tried_again() -> None:
    """A certain refusal is forgotten; an uncertain failure keeps its key and says so."""
    kept = requests(Clock())
    work = Work(TooLarge("it", "is too large", "Split it."))
    for times in (1, 2):
        with pytest.raises(TooLarge):
            await kept.once("k", b"body", work)
        assert work.done == times
    lost = Work(Unavailable("it", "does not answer", "Retry.", retry_after_s=1.0))
    with pytest.raises(Unavailable):
        await kept.once("k", b"body", lost)
    with pytest.raises(Conflict, match="leaves open whether it took effect"):
        await kept.once("k", b"body", Work())


async def test_keys_are_kept_for_their_time_and_no_longer() -> None:
    """And none is forgotten before, even where no more fit in."""
    clock = Clock()
    kept, work = requests(clock, most=2), Work()
    await kept.once("a", b"body", work)
    clock.now = 300.0
    await kept.once("b", b"body", work)
    with pytest.raises(TooBusy) as full:
        await kept.once("c", b"body", work)
    assert full.value.retry_after_s == 300.0
    clock.now = 600.0
    assert await kept.once("c", b"body", work) == b"answer 3"
    assert await kept.once("b", b"body", work) == b"answer 2"
    tight = requests(clock, most_bytes=8)
    await tight.once("a", b"body", work)
    with pytest.raises(TooBusy):
        await tight.once("b", b"body", work)
    clock.now = 1200.0
    await tight.once("b", b"body", work)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "ключ"])
async def test_what_is_no_key_is_refused(key: str) -> None:
    """Before anything is done."""
    work = Work()
    with pytest.raises(InvalidInput):
        await requests(Clock()).once(key, b"body", work)
    assert work.done == 0
