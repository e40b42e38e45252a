"""Scans and look-ups that go on one answer at a time, so that a test chooses what comes between.

They are the real ones, on a real ledger. What is made up is when an API answers: a request is held
until the test lets it go, and is then answered as the chain is at that moment. Between two answers
a process does its work at once, as if nobody else did anything in so short a time; what two do to
a database in the same moment is tested with processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import httpx

from actors.payments.chains.api import Api
from tests.unit.payments.http_chain import Asked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.payments.chains.money import Network
    from actors.payments.ledger.ledger import Ledger
    from tests.unit.payments.http_chain import Chains

_TURNS = 25  # of the event loop, in which whatever was answered comes to its next request


class _AtOnce(ThreadPoolExecutor):
    """Runs everything in the thread that asks for it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - whoever waits for it gets it
            done.set_exception(error)
        return done


class _Held(httpx.AsyncBaseTransport):
    """Holds requests; answers what `Chains` does."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self.waiting: list[asyncio.Future[bool]] = []
        self.asks = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self.asks.set()
        try:
            is_lost = await turn
        finally:
            self.waiting.remove(turn)
        if is_lost:
            raise httpx.ConnectError("lost", request=request)
        content = await request.aread()
        asked = Asked(
            len(self._chains.asked),
            request.method,
            request.url.path,
            dict(request.url.params),
            dict(request.headers),
            json.loads(content) if content else None,
            0.0,
        )
        answer = self._chains.answer(asked)
        return httpx.Response(answer.status, json=answer.body)


class Work:
    """One scan or look-up that is under way.

    Attributes:
        begun: what the test gives it at its start.
    """

    def __init__(self, task: asyncio.Task[Any], held: _Held, begun: Any) -> None:
        self._task = task
        self._held = held
        self.begun = begun

    @property
    def is_over(self) -> bool:
        """Whether it came to its end."""
        return self._task.done()

    def result(self) -> Any:
        """What it returned; raises what it raised."""
        return self._task.result()


class Steps:
    """The processes of a shop, one step at a time; a context manager."""

    def __init__(self, chains: Chains, ledger: Ledger) -> None:
        self._chains = chains
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_AtOnce())
        # Two that scan at the same time do no harm, only needless requests (see `scan`): the lock
        # that spares those is left out here.
        self._locked = ledger.database.alone
        self._ledger = ledger
        ledger.database.alone = lambda *_, **__: contextlib.nullcontext()  # type: ignore[method-assign, assignment]
        self.works: list[Work] = []

    def begin(self, network: Network, work: Callable[[Api], Awaitable[Any]], begun: Any) -> Work:
        """Start something that asks the API of a chain, and let it come to its first request."""
        held = _Held(self._chains)

        async def live() -> Any:
            async with Api(network, "http://127.0.0.1:1", {}, 1000, pause_s=0.0001) as api:
                await api.client.aclose()
                api.client = httpx.AsyncClient(transport=held)
                return await work(api)

        self.works.append(Work(self._loop.create_task(live()), held, begun))
        self._loop.run_until_complete(self._come_to_rest(self.works[-1]))
        return self.works[-1]

    def go_on(self, work: Work, *, is_lost: bool = False) -> None:
        """Answer what it has asked, or lose that on the way, until it asks again or is over."""
        self._loop.run_until_complete(self._answer(work, is_lost=is_lost))

    def finish(self, work: Work) -> None:
        """Go on until it is over."""
        while not work.is_over:
            self.go_on(work)

    def stop(self, work: Work) -> None:
        """End its process."""
        work._task.cancel()
        self._loop.run_until_complete(asyncio.wait([work._task]))

    async def _answer(self, work: Work, *, is_lost: bool) -> None:
        for turn in list(work._held.waiting):
            turn.set_result(is_lost)
            await asyncio.sleep(0)
        await self._come_to_rest(work)

    async def _come_to_rest(self, work: Work) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if not work._held.waiting:  # it is over, or pauses before it asks again
            work._held.asks.clear()
            asks = asyncio.ensure_future(work._held.asks.wait())
            await asyncio.wait([work._task, asks], return_when=asyncio.FIRST_COMPLETED)
            asks.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for work in self.works:
            self.stop(work)
        self._ledger.database.alone = self._locked  # type: ignore[method-assign]
        self._loop.close()
