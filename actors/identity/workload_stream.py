"""Keeps a holder supplied: the streams of the Workload API, and when they are opened again.

Two streams bring everything: SVIDs with X.509 bundles, and the keys of JWT-SVIDs. A stream that
ends is opened again after a pause (`reconnecting`), except where its status forbids that. One that
is open but silent is opened anew when an SVID is due or the clock was set, since the first message
of each stream is the present state: so a connection that died unseen costs no SVID.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import grpc.aio
from spiffe._proto import workload_pb2

from actors.identity.contract import LONGEST_WAIT_S, IdentityFault, Rotation
from actors.identity.holder import Source
from actors.identity.lifecycle import Moment
from actors.identity.reconnecting import MOST_S, Ended, ended, pause, unreachable
from actors.identity.workload_api import HEADER, connected
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from actors.identity.holder import Holder

FIRST_S: Final = 10.0  # in which a stream must bring its first message
LEAST_FIRST_S: Final = 0.5
ROTATION_S: Final = 5.0  # that a request for a new SVID waits for it

_log = log.get(__name__)


def system_moment() -> Moment:
    """The time, by the clocks of this machine."""
    return Moment(time.time(), time.monotonic())


class WorkloadStream:
    """Supplies a holder from the Workload API at an endpoint.

    Args:
        holder: takes in what comes.
        endpoint: socket of the Workload API, a URI.
        random: draws the jitter of pauses.
        clock: tells the time.
    """

    def __init__(
        self,
        holder: Holder,
        endpoint: str,
        random: Random,
        clock: Callable[[], Moment] = system_moment,
    ) -> None:
        self._holder = holder
        self._clock = clock
        self._svids = _Feed(
            Source.SVIDS,
            endpoint,
            lambda stub: stub.FetchX509SVID(workload_pb2.X509SVIDRequest(), metadata=HEADER),
            holder.take_svids,
            holder,
            random,
            clock,
        )
        self._jwt_bundles = _Feed(
            Source.JWT_BUNDLES,
            endpoint,
            lambda stub: stub.FetchJWTBundles(workload_pb2.JWTBundlesRequest(), metadata=HEADER),
            holder.take_jwt_bundles,
            holder,
            random,
            clock,
        )

    @property
    def connected(self) -> bool:
        """Whether the stream of SVIDs is open and has brought something."""
        return self._svids.connected

    @property
    def retries(self) -> bool:
        """Whether a lost stream of SVIDs is opened again by itself."""
        return self._svids.retries

    async def run(self) -> None:
        """Supply the holder until this is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._svids.run())
            tasks.create_task(self._jwt_bundles.run())
            tasks.create_task(self._look())

    async def rotate(self) -> Rotation:
        """Ask for a new SVID; see `IdentityContract.rotate`."""
        holder, feed = self._holder, self._svids
        before, arrived = (holder.renewals, holder.held.default is None), feed.arrived
        feed.reopen()
        self._jwt_bundles.reopen()
        why = f"no new SVID came in {ROTATION_S:g} s"
        try:
            async with asyncio.timeout(ROTATION_S):
                while feed.arrived == arrived:
                    await feed.news()
                why = "the Workload API gave the SVID that was held already"
        except TimeoutError:
            pass
        last = holder.fault(Source.SVIDS)
        why = why if last is None else last.why
        renewed = (holder.renewals, holder.held.default is None) != before
        return Rotation(renewed, holder.held.generation, "" if renewed else why)

    async def _look(self) -> None:
        """Ask for a new SVID when one is due."""
        changed = asyncio.Event()
        end = self._holder.subscribe(lambda _: changed.set())
        try:
            while True:
                changed.clear()
                await _wait(changed, self._holder.wake_in(self._clock()))
                if self._holder.asks(self._clock()) and self._svids.connected:
                    self._svids.reopen()
        finally:
            end()


async def wait_newer(holder: Holder, generation: int, timeout_s: float) -> None:
    """Return when the holder's generation is another one, or after `timeout_s`.

    See `IdentityContract.wait_newer`.
    """
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell(_: int) -> None:
        loop.call_soon_threadsafe(changed.set)

    end = holder.subscribe(tell)
    try:
        if holder.held.generation == generation:
            await _wait(changed, min(timeout_s, LONGEST_WAIT_S))
    finally:
        end()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


class _Feed:
    """One stream, opened again and again.

    Args:
        source: which.
        endpoint: socket of the Workload API.
        start: opens the stream.
        take: takes in a message (None: unreadable); whether it was accepted.
        holder: is told of faults.
        random: draws the jitter of pauses.
        clock: tells the time.
    """

    def __init__(
        self,
        source: Source,
        endpoint: str,
        start: Callable[[Any], grpc.aio.UnaryStreamCall[Any, Any]],
        take: Callable[[Any, Moment], bool],
        holder: Holder,
        random: Random,
        clock: Callable[[], Moment],
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._start = start
        self._take = take
        self._holder = holder
        self._random = random
        self._clock = clock
        self._again = asyncio.Event()
        self._news = asyncio.Event()
        self._failures = 0  # in a row
        self._last: Ended | None = None  # why the stream is not open
        self.connected = False
        self.retries = True
        self.arrived = 0  # messages
        self._accepted = 0

    async def news(self) -> None:
        """Return when the next message has been looked at."""
        self._news.clear()
        await self._news.wait()

    def reopen(self) -> None:
        """Open the stream anew, now, even one that is not tried again by itself."""
        self._again.set()

    async def run(self) -> None:
        while True:
            self._again.clear()
            opened = self._clock().monotonic
            accepted = self._accepted
            last = await self._follow()
            self.connected = False
            if last is None:
                continue
            if self._accepted > accepted and self._clock().monotonic - opened > MOST_S:
                self._failures = 0
            self._failures += 1
            self._tell(last)
            await self._rest(last)

    async def _follow(self) -> Ended | None:
        """Open the stream and take in what it brings; answer how it ended, None: by a wish."""
        try:
            async with connected(self._endpoint) as stub:
                return await self._read(self._start(stub))
        except grpc.aio.AioRpcError as error:
            return ended(error.code(), error.details())
        except OSError as error:
            return unreachable(error)

    async def _read(self, call: grpc.aio.UnaryStreamCall[Any, Any]) -> Ended | None:
        again = asyncio.ensure_future(self._again.wait())
        reading: asyncio.Future[Any] | None = None
        first_s = first_message_s(self._holder.left(self._clock()))
        try:
            while True:
                reading = asyncio.ensure_future(call.read())
                await asyncio.wait(
                    {reading, again},
                    timeout=None if self.connected else first_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not reading.done():
                    return None if again.done() else _silent(first_s)
                message = reading.result()
                if message is grpc.aio.EOF:
                    return ended(await call.code(), await call.details())
                self._take_in(message)
        finally:
            for one in (again, reading):
                if one is not None:
                    one.cancel()
            call.cancel()

    def _take_in(self, message: object) -> None:
        self.connected = True
        self.retries = True
        self._last = None
        before = self._holder.held.generation
        if self._take(message, self._clock()):
            self._accepted += 1
            now = self._holder.held.generation
            if now != before:
                _log.info("message taken", source=self._source, generation=now)
        else:
            _log.warning("message refused", source=self._source, **self._words())
        self.arrived += 1
        self._news.set()

    def _words(self) -> dict[str, str]:
        last = self._holder.fault(self._source)
        return {} if last is None else {"fault": str(last.fault), "why": last.why}

    def _tell(self, last: Ended) -> None:
        """Count how the stream ended; log it unless it ended the same way before."""
        if self._source is Source.SVIDS and last.fault is IdentityFault.PERMISSION_DENIED:
            self._holder.deny(last.why, self._clock())
        else:
            self._holder.fail(self._source, last.fault, last.why, self._clock())
        say = _log.debug if self._last == last else _log.warning
        say("stream lost", source=self._source, fault=str(last.fault), why=last.why)
        self._last = last
        self.retries = last.retries

    async def _rest(self, last: Ended) -> None:
        if not last.retries:
            await self._again.wait()
            return
        left = self._holder.left(self._clock())
        await _wait(self._again, pause(self._failures, last.fault, left, self._random))


def first_message_s(left: float | None) -> float:
    """Seconds in which a stream must bring its first message, so that another attempt has time.

    Args:
        left: seconds until the SVID that is held ends; None: there is none.
    """
    return FIRST_S if left is None or left <= 0 else min(FIRST_S, max(LEAST_FIRST_S, left / 2))


def _silent(after_s: float) -> Ended:
    return Ended(IdentityFault.SILENT, f"the stream brought nothing in {after_s:.1f} s")
