"""News of orders and what they bring, as messages of the Telegram channel of the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.payments.bot import keyboards, phrases, texts
from actors.payments.bot.seller import CHANNEL, BotReply
from actors.payments.errors import TransportRefused
from actors.payments.ledger.outbox import DELIVERY

if TYPE_CHECKING:
    from actors.payments.bot.telegram import TelegramClient
    from actors.payments.delivery import Goods
    from actors.payments.ledger.outbox import OwedMessage


class TelegramTransport:
    """Reaches buyers over a client.

    Args:
        client: a connection to Telegram.
    """

    channel = CHANNEL

    def __init__(self, client: TelegramClient) -> None:
        self._client = client

    async def send(self, message: OwedMessage, goods: Goods | None) -> None:
        """Tell the buyer of an order what has become of it.

        Raises:
            TransportBusy: not now.
            TransportRefused: never.
            BotRefused: the token is refused.
        """
        order = message.order
        if not order.recipient.removeprefix("-").isdecimal():
            raise TransportRefused("the order's recipient is no chat of Telegram")
        await self._client.say(int(order.recipient), news(message, goods))


def news(message: OwedMessage, goods: Goods | None) -> BotReply:
    """What a message of the outbox says."""
    order = message.order
    words = phrases.of(order.language)
    if message.kind == DELIVERY and goods is not None:
        return BotReply(texts.goods(order, goods, words), keyboards.of_order(order, words))
    return BotReply(texts.told(message, words), keyboards.of_order(order, words))
