"""A crowd of requests begins a few at a time, and nobody is forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from ray._common.utils import import_attr

from cluster import ray_start
from serve_apps.web.turnstile import Turnstile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp


class CountingLoop(asyncio.SelectorEventLoop):
    """Knows how many turns it has made."""

    turn = 0

    def _run_once(self) -> None:
        self.turn += 1
        super()._run_once()  # type: ignore[misc]  # not in the stub


def told(
    free: int, crowded: int, crowd: list[tuple[int, int]]
) -> tuple[list[int], list[int], list[int]]:
    """Who began, in which turn of the loop, and who was done, in their order.

    Each of the crowd takes so many turns, and so many pass until the next one comes.
    """
    loop = CountingLoop()
    begun: list[int] = []
    turns: list[int] = []
    done: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        turns.append(loop.turn)
        for _ in range(crowd[number][0]):
            await asyncio.sleep(0)
        done.append(number)

    async def run() -> None:
        turnstile = Turnstile(app(work), free, crowded)
        tasks = []
        for number, (_, pause) in enumerate(crowd):
            tasks.append(asking(turnstile, number))
            for _ in range(pause):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    return begun, turns, done


async def nothing() -> dict[str, str]:
    return {}


async def ignore(_message: object) -> None:
    pass


def asking(app: ASGIApp, number: int) -> asyncio.Task[None]:
    async def ask() -> None:
        await app({"type": "http", "number": number}, nothing, ignore)

    return asyncio.create_task(ask())


def app(work: Callable[[int], Awaitable[None]]) -> ASGIApp:
    async def application(scope: dict[str, int], _receive: object, _send: object) -> None:
        await work(scope["number"])

    return application  # type: ignore[return-value]  # looks at the number alone


@example(free=1, crowded=2, crowd=[(0, 0)] * 3 + [(0, 1)])  # the next comes as one is called
@given(
    free=st.integers(1, 8),
    crowded=st.integers(1, 8),
    crowd=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=60),
)
def test_a_few_begin_in_a_turn_in_the_order_they_came(
    free: int, crowded: int, crowd: list[tuple[int, int]]
) -> None:
    """However a crowd comes, and however long each takes, few begin in a turn of the loop.

    A turn may see the end of one share and the whole of the next.
    """
    begun, turns, done = told(free, crowded, crowd)
    everybody = list(range(len(crowd)))
    assert begun == everybody
    assert sorted(done) == everybody
    assert all(turns.count(turn) <= 2 * max(free, crowded) for turn in set(turns))


@given(free=st.integers(1, 8), crowded=st.integers(1, 8), count=st.integers(0, 60))
def test_of_a_crowd_fewer_begin_while_others_wait(free: int, crowded: int, count: int) -> None:
    """Of those who come at once few begin in a turn, until no more wait than may come freely."""
    _, turns, _ = told(free, crowded, [(0, 0)] * count)
    shares = [turns.count(turn) for turn in sorted(set(turns))]
    expected, left = [min(free, count)], count - min(free, count)
    while left:
        expected.append(min(crowded if left > free else free, left))
        left -= expected[-1]
    assert shares == expected[: len(shares)]
    assert sum(shares) == count


async def test_who_leaves_the_queue_holds_nobody_up() -> None:
    """A request that is cancelled while it waits never begins, and the next take its place."""
    begun: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)

    turnstile = Turnstile(app(work), 1, 1)
    tasks = [asking(turnstile, number) for number in range(6)]
    await asyncio.sleep(0)
    for number in (2, 3):
        tasks[number].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert begun == [0, 1, 4, 5]


async def test_one_that_waits_long_keeps_nobody_out() -> None:
    """What is under way, a long poll for instance, takes no place at the turnstile."""
    over = asyncio.Event()
    done: list[int] = []

    async def work(number: int) -> None:
        if number < 4:
            await over.wait()
        done.append(number)

    turnstile = Turnstile(app(work), 2, 2)
    tasks = [asking(turnstile, number) for number in range(8)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert done == [4, 5, 6, 7]
    over.set()
    await asyncio.gather(*tasks)


async def test_serve_is_told_of_it() -> None:
    """What a cluster's environment names is this middleware."""
    (found,) = import_attr(ray_start._AROUND_REQUESTS)()
    assert found.cls is Turnstile
    assert isinstance(found.cls(app(lambda _: asyncio.sleep(0)), *found.args), Turnstile)
