"""Hands one channel its notices, one delivery after the other.

Each channel has a sender of its own, so that one that hangs holds no other up. What fails is tried
again after growing pauses, or after the one that the service asks for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.alerts.contract import ChannelState
from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.alerts.channels.channel import Channel
    from actors.alerts.deliveries import Deliveries, Due
    from actors.alerts.notice import Notice
    from actors.runtime.error_handler import ErrorHandler

PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # after so many failures
LONGEST_S: Final = 3_600.0  # of the pauses that a service asks for
CHECK_S: Final = 2.0  # longest wait for an answer to `Channel.check`


class Sender:
    """Hands one channel its notices.

    Args:
        channel: the channel.
        deliveries: what it is to be handed.
        now: tells Unix time, s.
        errors: for what a channel raises that it must not.
        told: called when something was delivered, refused or has failed.
    """

    def __init__(
        self,
        channel: Channel,
        deliveries: Deliveries,
        now: Callable[[], float],
        errors: ErrorHandler,
        told: Callable[[Sender], None],
    ) -> None:
        self.channel = channel
        self.state = ChannelState.UNTRIED
        self.why = "it has not been used yet"
        self.delivered = 0
        self.failed = 0
        self._deliveries = deliveries
        self._now = now
        self._errors = errors
        self._told = told
        self._woken = asyncio.Event()
        self._failures = 0
        self._singly = 0  # so many are to be delivered one by one: together they were refused
        self._turn = asyncio.Lock()

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.channel.name

    def wake(self) -> None:
        """There may be something to deliver."""
        self._woken.set()

    def retry(self) -> None:
        """It can be reached again: no pause is needed any more."""
        self._failures = 0
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._woken.clear()
            pause_s = await self.step()
            if pause_s is None:
                await self._woken.wait()
            elif self._failures:
                await self._rest(pause_s)
            else:
                await asyncio.sleep(pause_s)

    async def _rest(self, pause_s: float) -> None:
        """Pause after a failure, until it can be reached again."""
        try:
            async with asyncio.timeout(pause_s):
                while self._failures:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return

    async def step(self) -> float | None:
        """Deliver what is next; how long to pause then, s. None: there was nothing."""
        most = 1 if self._singly else self.channel.most
        async with self._turn:
            due = await asyncio.to_thread(self._deliveries.claim, self.name, most)
            if not due:
                self._singly = 0
                return None
            self._singly = max(0, self._singly - len(due))
            return await self._deliver(due)

    async def _deliver(self, due: Sequence[Due]) -> float:
        ids = [each.delivery for each in due]
        try:
            receipts = await self.tell([each.notice for each in due])
        except ChannelRefused as error:
            await self._refuse(ids, error)
            return self.channel.pause_s
        except ChannelUnavailable as error:
            doubtful = isinstance(error, FateUnknown)
            await asyncio.to_thread(self._deliveries.failed, ids, error.why, doubtful=doubtful)
            asked = min(error.retry_after_s, LONGEST_S)
            pause_s = max(asked, PAUSES_S[min(self._failures, len(PAUSES_S) - 1)])
            self._failures += 1
            self._told(self)
            return pause_s
        await asyncio.to_thread(self._deliveries.delivered, ids, receipts, self._now())
        self._failures = 0
        self.delivered += len(ids)
        self._told(self)
        return self.channel.pause_s

    async def _refuse(self, ids: Sequence[int], error: ChannelRefused) -> None:
        if len(ids) > 1:  # one of them; which, only another try tells
            self._singly = len(ids)
            await asyncio.to_thread(self._deliveries.failed, ids, error.why, doubtful=False)
            return
        await asyncio.to_thread(self._deliveries.refused, ids, str(error))
        self._told(self)

    async def tell(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices within the channel's deadline, and note how the channel is.

        Returns:
            A receipt for each.

        Raises:
            ChannelUnavailable: it does not answer, or whatever else it raised.
            ChannelRefused: it does not take them.
        """
        try:
            async with asyncio.timeout(self.channel.deadline_s):
                receipts = await self.channel.deliver(notices)
        except ChannelRefused as error:
            self._is(ChannelState.REFUSING, str(error))
            raise
        except ChannelUnavailable as error:
            self._is(ChannelState.DOWN, str(error))
            raise
        except TimeoutError:
            why = f"no answer after {self.channel.deadline_s:g} s"
            self._is(ChannelState.DOWN, why)
            raise FateUnknown(self.name, why) from None
        except Exception as error:
            self._errors.handle(error, channel=self.name)
            self._is(ChannelState.DOWN, f"{type(error).__name__}: this is a defect, see the log")
            raise FateUnknown(self.name, "the channel has failed") from error
        self._is(ChannelState.UP, "")
        return receipts

    async def tell_in_turn(self, notices: Sequence[Notice]) -> None:
        """Tell notices that are not in the outbox, between two deliveries; see `tell`."""
        async with self._turn:
            for start in range(0, len(notices), self.channel.most):
                await self.tell(notices[start : start + self.channel.most])

    async def check(self) -> bool:
        """Ask whether the channel could take a notice; whether nothing speaks against it."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self.channel.check()
        except ChannelRefused as error:
            self._is(ChannelState.REFUSING, str(error))
        except ChannelUnavailable as error:
            self._is(ChannelState.DOWN, str(error))
        except TimeoutError:
            self._is(ChannelState.DOWN, f"no answer after {CHECK_S:g} s")
        except Exception as error:  # noqa: BLE001 - handled
            self._errors.handle(error, channel=self.name)
            self._is(ChannelState.DOWN, f"{type(error).__name__}: this is a defect, see the log")
        else:
            return True
        return False

    def reached(self) -> None:
        """Note that a channel that can be asked has answered well."""
        self._is(ChannelState.UP, "")

    def _is(self, state: ChannelState, why: str) -> None:
        if state in {ChannelState.DOWN, ChannelState.REFUSING}:
            self.failed += 1
        self.state, self.why = state, why
