"""The client to Telegram: sends replies, and tells its refusals apart.

Rules: at most `RATE` messages a second over all chats and one in a chat; a chat that is refused
with a 429 is left alone for as long as it says, and no other chat waits for it; a broken connection
is tried again; a message that Telegram cannot read (400) is sent again as plain text, so that
nobody is left without it for the sake of its looks. An update that cannot be read is one that says
nothing. The token is in no error and no representation: what the library raises is replaced, not
wrapped.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import stamina
from aiolimiter import AsyncLimiter
from telegram import (
    BotCommand,
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    Message,
    Update,
)
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from actors.payments.bot import phrases, qr
from actors.payments.bot.chat_throttle import ChatThrottle
from actors.payments.errors import BotRefused, TransportBusy, TransportRefused
from actors.runtime import errors as runtime_errors
from actors.runtime import log, redaction
from actors.runtime.rich_text import MAX_CAPTION, MAX_MESSAGE
from actors.runtime.telegram_bot import NO_PREVIEW, TOKEN, UnshownBot, is_gone, seconds_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import SecretStr
    from telegram import CallbackQuery

    from actors.payments.bot.keyboards import Keyboard
    from actors.payments.bot.phrases import Phrases
    from actors.payments.bot.seller import BotReply

T = TypeVar("T")

RATE: Final = 25.0  # messages per second over all chats; Telegram takes 30
ATTEMPTS: Final = 3  # attempts at a request whose connection broke
POLL_S: Final = 25  # how long Telegram delays its answer while there are no updates
BATCH: Final = 100  # most updates in one answer
_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 20.0
_PAUSE_S: Final = 0.5  # before the second attempt
_WANTED: Final = ("message", "callback_query")
_SAME: Final = "message is not modified"

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class TelegramUpdate:
    """An update: its number, and what it says, or None if that cannot be read."""

    number: int
    content: Update | None


class _Bot(UnshownBot):
    """A bot that takes updates as they come."""

    async def documents(self, offset: int) -> Any:  # noqa: ANN401 - whatever Telegram answers
        """Updates as they come: the library's own method fails over all for the sake of one."""
        asked = {
            "offset": offset,
            "limit": BATCH,
            "timeout": POLL_S,
            "allowed_updates": list(_WANTED),
        }
        return await self._post("getUpdates", asked, read_timeout=_ANSWER_S + POLL_S)


class TelegramClient:
    """An open client of one bot; close it, or use it as a context manager.

    Args:
        token: token of the bot.
        api_url: URL of the Bot API, without a slash at its end.
        throttle: limits the rate of messages in each chat.

    Raises:
        BotRefused: the token has no form of one.
    """

    def __init__(
        self, token: SecretStr, api_url: str, throttle: ChatThrottle | None = None
    ) -> None:
        secret = token.get_secret_value()
        if not TOKEN.fullmatch(secret):
            raise BotRefused("the token is not digits, a colon, and 30 or more characters")
        self._throttle = throttle or ChatThrottle()
        self._rate = AsyncLimiter(1, 1 / RATE)

        def request() -> HTTPXRequest:
            return HTTPXRequest(
                read_timeout=_ANSWER_S, connect_timeout=_CONNECT_S, pool_timeout=_ANSWER_S
            )

        self._bot = _Bot(
            secret,
            base_url=f"{api_url}/bot",
            base_file_url=f"{api_url}/file/bot",
            request=request(),
            get_updates_request=request(),
        )

    def __repr__(self) -> str:
        return "TelegramClient([redacted])"

    async def __aenter__(self) -> TelegramClient:  # noqa: PYI034 - never subclassed
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bot.shutdown()

    # -- at the start ----------------------------------------------------------------------------

    async def begin(self) -> str:
        """Introduce the bot; its name.

        Raises:
            TransportBusy: Telegram cannot be reached now.
            BotRefused: it refuses the token.
        """
        await self._asking(self._bot.initialize)
        for words in (phrases.EN, phrases.RU):
            try:
                await self._asking(functools.partial(self._list_commands, words))
            except BadRequest as error:  # the bot also works without the list
                _log.warning("the list of commands was refused", error=error.message)
        return self._bot.username

    async def _list_commands(self, words: Phrases) -> bool:
        commands = [BotCommand(name, text) for name, text in words.commands.items()]
        code = "" if words is phrases.EN else words.language  # "" is for any other language
        return await self._bot.set_my_commands(commands, language_code=code)

    async def listen_by_polling(self) -> None:
        """Have updates kept until they are asked for; raises as `begin`."""
        await self._asking(self._bot.delete_webhook)

    async def listen_by_webhook(self, url: str, secret: str) -> None:
        """Have updates sent to a URL, with a secret that proves them Telegram's.

        Raises:
            ConfigurationError: Telegram does not take the URL; and as `begin`.
        """
        try:
            await self._asking(
                lambda: self._bot.set_webhook(
                    url, secret_token=secret, allowed_updates=list(_WANTED)
                )
            )
        except BadRequest as error:
            raise runtime_errors.InvalidInput(
                f"the webhook {url[:100]} is refused",
                error.message,
                "Give the https URL under which Telegram reaches --listen.",
            ) from None

    # -- updates ---------------------------------------------------------------------------------

    async def updates(self, offset: int) -> list[TelegramUpdate]:
        """Updates from `offset` on, in order, which acknowledges those before it.

        Raises:
            Conflict: another process asks for them too.
            TransportBusy: Telegram cannot be reached now.
            BotRefused: it refuses the token.
        """
        try:
            documents = await self._once(lambda: self._bot.documents(offset))
        except Conflict:
            raise runtime_errors.Conflict(
                "updates cannot be fetched",
                "another process fetches those of this bot",
                "Stop the other one: a bot has one `x0 pay bot` that polls.",
            ) from None
        except BadRequest as error:
            raise TransportBusy(f"Telegram gives no updates: {error.message}") from None
        if not isinstance(documents, list):
            raise TransportBusy("Telegram gives no updates: its answer is no list")
        found = {number: one for one in documents if (number := _number(one)) is not None}
        return [TelegramUpdate(number, self._read(found[number])) for number in sorted(found)]

    def read(self, document: object) -> Update | None:
        """What an update that a webhook was sent says; None if it cannot be read."""
        if _number(document) is None:
            _log.warning("an update cannot be read", error="it has no number")
            return None
        return self._read(document)

    def _read(self, document: Any) -> Update | None:  # noqa: ANN401 - JSON is anything
        try:
            return Update.de_json(document, self._bot)
        except Exception as error:  # noqa: BLE001 - the library checks nothing: any error may come
            _log.warning(
                "an update cannot be read", number=document["update_id"], error=type(error).__name__
            )
            return None

    async def release(self, query: CallbackQuery) -> None:
        """Tell a button that its press has arrived; one that is too old does not care."""
        try:
            await self._once(query.answer)
        except (BadRequest, TransportBusy) as error:
            # The answer is sent all the same; the button only shows a waiting sign for longer.
            _log.debug("a press was not acknowledged", error=str(error))

    # -- messages --------------------------------------------------------------------------------

    async def say(self, chat: int, reply: BotReply) -> None:
        """Send a new message.

        Raises:
            TransportBusy: not now.
            TransportRefused: never.
            BotRefused: the token is refused.
        """
        if not reply.picture:
            await self._text(chat, reply)
            return
        try:
            await self._turn(
                chat,
                lambda: self._bot.send_photo(
                    chat,
                    qr.png(reply.picture),
                    caption=reply.text.cut(MAX_CAPTION).html(),
                    parse_mode=ParseMode.HTML,
                    reply_markup=_markup(reply.keyboard),
                ),
            )
        except BadRequest as error:
            _refuse_gone(error)
            _log.warning("a picture was refused, and its text is sent alone", error=error.message)
            await self._text(chat, reply)

    async def show(self, message: Message, reply: BotReply) -> None:
        """Say something in place of what a message says, or below it where that cannot be.

        Raises:
            As `say`.
        """
        markup = _markup(reply.keyboard)

        async def edit() -> object:
            if not reply.picture:
                return await message.edit_text(
                    reply.text.cut(MAX_MESSAGE).html(),
                    parse_mode=ParseMode.HTML,
                    reply_markup=markup,
                    link_preview_options=NO_PREVIEW,
                )
            caption = reply.text.cut(MAX_CAPTION).html()
            media = InputMediaPhoto(qr.png(reply.picture), caption, parse_mode=ParseMode.HTML)
            return await message.edit_media(media, reply_markup=markup)

        if message.photo:  # an invoice is kept; the answer becomes a new message
            await self.say(message.chat_id, reply)
            return
        try:
            await self._turn(message.chat_id, edit)
        except BadRequest as error:
            if _SAME in error.message.lower():
                return
            _refuse_gone(error)
            await self.say(message.chat_id, reply)

    async def _text(self, chat: int, reply: BotReply) -> None:
        text, markup = reply.text.cut(MAX_MESSAGE), _markup(reply.keyboard)

        def send(shown: str, mode: str | None) -> Callable[[], Awaitable[object]]:
            return lambda: self._bot.send_message(
                chat,
                shown,
                parse_mode=mode,
                reply_markup=markup,
                link_preview_options=NO_PREVIEW,
            )

        try:
            await self._turn(chat, send(text.html(), ParseMode.HTML))
        except BadRequest as error:
            _refuse_gone(error)
            _log.warning("a message was refused, and is sent as plain text", error=error.message)
            try:
                await self._turn(chat, send(text.plain(), None))
            except BadRequest as again:
                raise TransportRefused(f"Telegram cannot read it: {again.message}") from None

    async def _turn(self, chat: int, ask: Callable[[], Awaitable[object]]) -> None:
        async def at_its_turn() -> object:
            async with self._throttle.turn(chat), self._rate:
                try:
                    return await ask()
                except RetryAfter as error:
                    self._throttle.rest(chat, seconds_of(error))
                    raise

        await self._asking(at_its_turn)

    # -- requests --------------------------------------------------------------------------------

    async def _asking(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a request answers, asked again where its connection broke.

        Raises:
            BadRequest: it cannot be read.
            TransportBusy: not now.
            TransportRefused: never.
            BotRefused: the token is refused.
        """
        async for attempt in stamina.retry_context(
            on=_is_broken, attempts=ATTEMPTS, wait_initial=_PAUSE_S, timeout=None
        ):
            with attempt:
                return await self._once(ask)
        raise AssertionError("an attempt returns or raises")

    async def _once(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await ask()
        except (BadRequest, Conflict):
            raise
        except RetryAfter as error:
            raise TransportBusy(
                "Telegram takes no more for now", retry_after_s=seconds_of(error)
            ) from None
        except Forbidden as error:
            raise TransportRefused(redaction.scrub(error.message)) from None
        except InvalidToken:
            raise BotRefused("Telegram refuses its token") from None
        except NetworkError as error:
            raise TransportBusy(redaction.scrub(error.message)) from None
        except TelegramError as error:
            raise TransportBusy(redaction.scrub(error.message)) from None


def _is_broken(error: Exception) -> bool:
    """Whether a request may fare better at once: its connection broke."""
    return isinstance(error, TransportBusy) and not error.retry_after_s


def _number(document: object) -> int | None:
    """The number of an update; None if it is none."""
    number = document.get("update_id") if isinstance(document, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _refuse_gone(error: BadRequest) -> None:
    """Give up a chat that is not there any more.

    Raises:
        TransportRefused: it is not.
    """
    if is_gone(error):
        raise TransportRefused(error.message) from None


def _markup(keyboard: Keyboard) -> InlineKeyboardMarkup | None:
    if not keyboard:
        return None
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(one.text, copy_text=CopyTextButton(one.copies))
                if one.copies
                else InlineKeyboardButton(one.text, callback_data=one.data)
                for one in row
            ]
            for row in keyboard
        ]
    )
