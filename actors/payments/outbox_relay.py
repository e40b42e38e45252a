"""Carries messages from the outbox to buyers, through a transport of one channel.

At least once: a message is done only after the transport has said so; a relay that dies in
between leaves it claimed for a minute, and then another one carries it again, with the same goods.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from actors.payments.errors import BotRefused, TransportBusy, TransportRefused
from actors.payments.ledger.outbox import DELIVERY
from actors.runtime.database import now_ms
from actors.runtime.errors import Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.delivery import Delivery, Goods
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.outbox import OwedMessage

PULL: Final = "pull"


class Transport(Protocol):
    """A way to reach buyers."""

    @property
    def channel(self) -> str:
        """Name of the channel, as in `Order.channel`."""
        ...

    async def send(self, message: OwedMessage, goods: Goods | None) -> None:
        """Tell the recipient of the order; `goods` belong to a delivery.

        Raises:
            TransportBusy: not now.
            TransportRefused: never.
        """
        ...


class Pull:
    """The channel of those who ask by themselves: what they ask for is there already."""

    channel = PULL

    async def send(self, message: OwedMessage, goods: Goods | None) -> None:
        """Nothing is left to do."""


class OutboxRelay:
    """Empties the outbox of one channel.

    Args:
        ledger: the ledger with the outbox.
        delivery: makes what an order brings.
        transport: reaches the buyers of one channel.
        clock: ms since the Unix epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        delivery: Delivery,
        transport: Transport,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._ledger = ledger
        self._delivery = delivery
        self._transport = transport
        self._clock = clock

    async def round(self) -> int:
        """Carry what is due, until nothing is; how many messages arrived.

        Raises:
            BotRefused: the transport carries nothing at all.
            Unavailable: the ledger's database does not answer.
            Exception: what kept a message, such as goods that cannot be made for want of a setting.
                All others were carried, and that one is tried again later.
        """
        arrived = 0
        troubles: list[Exception] = []
        while messages := await asyncio.to_thread(
            self._ledger.outbox.claim, self._transport.channel, self._clock()
        ):
            # At the same time, so that nobody waits for a slow one; they are of different orders.
            tried = await asyncio.gather(
                *(self._attempt(message, troubles) for message in messages), return_exceptions=True
            )
            for one in tried:
                if isinstance(one, BaseException):
                    raise one
                arrived += one
        if troubles:
            raise troubles[0]
        return arrived

    async def _attempt(self, message: OwedMessage, troubles: list[Exception]) -> bool:
        try:
            return await self._carry(message)
        except (BotRefused, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - it may hold up nobody else
            troubles.append(error)
            why = error.why if isinstance(error, X0Error) else type(error).__name__
            await asyncio.to_thread(
                self._ledger.outbox.retry, message, why, self._clock(), for_person=True
            )
            return False

    def _goods(self, message: OwedMessage) -> Goods | None:
        if message.kind != DELIVERY or message.entitled_until_ms is None:
            return None
        return self._delivery.goods(message.order, message.entitled_until_ms)

    async def _carry(self, message: OwedMessage) -> bool:
        outbox, goods = self._ledger.outbox, self._goods(message)
        try:
            await self._transport.send(message, goods)
        except TransportBusy as error:
            after = int(error.retry_after_s * 1000) or None
            await asyncio.to_thread(outbox.retry, message, error.why, self._clock(), after_ms=after)
            return False
        except TransportRefused as error:
            await asyncio.to_thread(outbox.refuse, message, error.why, self._clock())
            return False
        return await asyncio.to_thread(outbox.done, message)
