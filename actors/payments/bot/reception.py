"""Takes updates in: each becomes a question, is answered, and is said back to its chat.

Invariants: only private chats are answered, for what is bought is for one person; one chat is
answered in order, and one that asks faster than it may be answered is not answered every time; an
answer that Telegram does not take for a while is given after it; taking an update in fails only
where the bot cannot work at all, so that no update stands in the way of those behind it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from telegram import Message
from telegram.constants import ChatType

from actors.payments.bot import asks, phrases
from actors.payments.bot.seller import BotReply, BuyerQuestion
from actors.payments.errors import BotRefused, TransportBusy, TransportRefused
from actors.runtime import log
from actors.runtime.rich_text import Part, RichText

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from telegram import CallbackQuery, Update

    from actors.payments.bot.claim_desk import ClaimDesk
    from actors.payments.bot.seller import Seller
    from actors.payments.bot.telegram import TelegramClient
    from actors.runtime.error_handler import ErrorHandler

WAITING: Final = 5  # most questions of a chat under way at once
TOGETHER: Final = 4  # most questions of all chats that use the ledger at once
TRIES: Final = 3  # attempts at an answer that Telegram does not take for a while
PATIENCE_S: Final = 60.0  # longest while that is waited for

_log = log.get(__name__)


class Reception:
    """Answers updates.

    Args:
        seller: knows the answers.
        claims: knows those about transactions that buyers name.
        client: sends the answers.
        errors: handles failures.
    """

    def __init__(
        self, seller: Seller, claims: ClaimDesk, client: TelegramClient, errors: ErrorHandler
    ) -> None:
        self._seller = seller
        self._claims = claims
        self._client = client
        self._errors = errors
        self._chats: dict[int, _Queue] = {}
        self._asking = asyncio.Semaphore(TOGETHER)

    async def take(self, update: Update) -> None:
        """Answer an update, after those of its chat that came before.

        Raises:
            BotRefused: the token is refused.
        """
        try:
            chat = update.effective_chat
            if chat is not None and chat.type == ChatType.PRIVATE:
                await self._take_in_turn(update, int(chat.id))
        except (TransportBusy, TransportRefused) as error:
            # The person can ask again; a person who has blocked the bot expects no answer.
            _log.info("an answer did not arrive", error=str(error))
        except BotRefused:
            raise
        except Exception as error:  # noqa: BLE001 - the next update may fare better
            self._errors.handle(error)

    async def _take_in_turn(self, update: Update, chat: int) -> None:
        queue = self._chats.setdefault(chat, _Queue())
        if queue.length >= WAITING:
            _log.info("a chat asks too fast, and is not answered every time")
            return
        queue.length += 1
        try:
            async with queue.turn:
                await self._take(update, chat)
        finally:
            queue.length -= 1
            if not queue.length:
                self._chats.pop(chat, None)

    async def _take(self, update: Update, chat: int) -> None:
        user = update.effective_user
        language = user.language_code if user else None
        query = update.callback_query
        if query is not None:
            await self._client.release(query)
            await self._press(query, chat, language)
            return
        message = update.message
        if message is None or not message.text:
            return  # no text: a picture, a member who left, a pinned message
        ask = asks.typed(message.text)
        reply = await self._answer(BuyerQuestion(ask, chat, f"tg:{chat}:{message.id}", language))
        await _arrives(lambda: self._client.say(chat, reply))

    async def _press(self, query: CallbackQuery, chat: int, language: str | None) -> None:
        message, data = query.message, query.data or ""
        number = message.message_id if message is not None else 0
        # Pressing a button twice makes one order; another button of the message makes another.
        request = f"tg:{chat}:{number}:{data[: asks.MAX_DATA]}"
        reply = await self._answer(BuyerQuestion(asks.pressed(data), chat, request, language))
        if isinstance(message, Message):
            await _arrives(lambda: self._client.show(message, reply))
        else:  # Telegram does not let a message this old be changed
            await _arrives(lambda: self._client.say(chat, reply))

    async def _answer(self, asked: BuyerQuestion) -> BotReply:
        try:
            if isinstance(asked.ask, asks.Claim):
                return await self._claims.answer(asked.ask.text, asked.chat, asked.language)
            async with self._asking:
                return await asyncio.to_thread(self._seller.answer, asked)
        except Exception as error:  # noqa: BLE001 - people are told, and so is the shop
            self._errors.handle(error)
            return BotReply(RichText((Part(phrases.of(asked.language).failed),)))


async def _arrives(send: Callable[[], Awaitable[None]]) -> None:
    """Send something, and again where Telegram asks for a while, if it is not a long one."""
    for _ in range(TRIES - 1):
        try:
            return await send()
        except TransportBusy as error:
            if not 0 < error.retry_after_s <= PATIENCE_S:
                raise
            await asyncio.sleep(error.retry_after_s)
    return await send()


class _Queue:
    """The questions of one chat."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0
