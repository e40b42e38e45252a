"""A chat of Telegram: escaped HTML, and plain text where Telegram does not take that.

Later notices of a thread answer its first: the receipt of a notice is the number of its message.
Telegram knows no idempotency key, so a notice whose fate is unknown is told with "Sent again". The
token is in no error and no representation: what the library raises is replaced, not wrapped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from telegram import ReplyParameters
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from actors.alerts.channels.posting import ANSWER_S, CONNECT_S, LONGEST_WAIT_S, NOT_SENT
from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown
from actors.alerts.wording import MAX_TELEGRAM, Reader, message
from actors.runtime import log
from actors.runtime.errors import ConfigurationError, X0Error
from actors.runtime.redaction import scrub
from actors.runtime.settings import variable
from actors.runtime.telegram_bot import NO_PREVIEW, TOKEN, UnshownBot, is_gone, seconds_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from pydantic import SecretStr

    from actors.alerts.notice import Notice

T = TypeVar("T")

NAME: Final = "telegram"
PAUSE_S: Final = 3.1  # Telegram takes 20 messages a minute in a group, and one a second elsewhere
_CHAT: Final = variable("alerts_telegram_chat")
_TOKEN: Final = variable("alerts_telegram_token")
_WRONG_CHAT: Final = f"Add the bot to the chat, and check {_CHAT}."
_WRONG_TOKEN: Final = f"Set {_TOKEN} to the token that @BotFather shows."

_log = log.get(__name__)


class TelegramChannel:
    """Tells a chat.

    Args:
        token: of the bot.
        chat: number of the chat, or its @name.
        api_url: URL of the Bot API, without a slash at its end.
        reader: who reads it.
        tls: whom to trust.

    Raises:
        ConfigurationError: the token has no form of one.
    """

    name = NAME
    most = 1
    pause_s = PAUSE_S
    deadline_s = 30.0  # for the second try, as plain text, too

    def __init__(
        self, token: SecretStr, chat: str, api_url: str, reader: Reader, tls: ssl.SSLContext
    ) -> None:
        secret = token.get_secret_value()
        if not TOKEN.fullmatch(secret):
            raise ConfigurationError(
                f"{_TOKEN} is no token of a bot",
                "it is not digits, a colon, and 30 or more characters",
                _WRONG_TOKEN,
                variable=_TOKEN,
            )
        self._chat: int | str = chat if chat.startswith("@") else int(chat)
        self._reader = reader
        self._rests_until = 0.0  # s, monotonic

        def request() -> HTTPXRequest:
            return HTTPXRequest(
                connection_pool_size=2,
                read_timeout=ANSWER_S,
                write_timeout=ANSWER_S,
                connect_timeout=CONNECT_S,
                pool_timeout=ANSWER_S,
                httpx_kwargs={"verify": tls},
            )

        self._requests = (request(), request())
        base = api_url.rstrip("/")
        self._bot = UnshownBot(
            secret,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )

    def __repr__(self) -> str:
        return f"TelegramChannel({self._chat!r})"

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices; the receipts are numbers of messages; raises as `Channel.deliver`."""
        return [await self._tell(notice) for notice in notices]

    async def check(self) -> None:
        """Ask whether the token is right; raises as `Channel.check`."""
        await self._asked(self._bot.get_me)

    async def close(self) -> None:
        """Close connections."""
        for request in self._requests:  # the bot's own `shutdown` closes only what it has opened
            await request.shutdown()

    async def _tell(self, notice: Notice) -> str:
        text = message(notice, self._reader, MAX_TELEGRAM, again=notice.repeated)
        try:
            return await self._send(notice, text.html(), ParseMode.HTML)
        except BadRequest as error:
            if is_gone(error):
                raise ChannelRefused(NAME, error.message, _WRONG_CHAT) from None
            _log.warning("a message was refused, and is sent as plain text", error=error.message)
        try:
            return await self._send(notice, text.plain(), None)
        except BadRequest as error:
            raise ChannelRefused(
                NAME, error.message, "Read it with `x0 alert list`, and report this."
            ) from None

    async def _send(self, notice: Notice, text: str, mode: ParseMode | None) -> str:
        async def ask() -> str:
            answers = (
                ReplyParameters(int(notice.receipt), allow_sending_without_reply=True)
                if notice.receipt.isdecimal()
                else None
            )
            sent = await self._bot.send_message(
                self._chat,
                text,
                parse_mode=mode,
                reply_parameters=answers,
                link_preview_options=NO_PREVIEW,
            )
            return str(sent.message_id)

        try:
            return await self._asked(ask)
        except ChatMigrated as error:
            _log.warning("the chat has another number now; change the setting", variable=_CHAT)
            self._chat = error.new_chat_id
            return await self._asked(ask)

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What Telegram answers.

        Raises:
            BadRequest: it cannot read a message.
            ChatMigrated: the chat has another number.
            ChannelUnavailable, FateUnknown, ChannelRefused: as `Channel.deliver`.
        """
        rests_s = self._rests_until - time.monotonic()
        if rests_s > 0:
            raise ChannelUnavailable(NAME, "it takes no more for now", retry_after_s=rests_s)
        try:
            return await ask()
        except (BadRequest, ChatMigrated):
            raise
        except RetryAfter as error:
            asked_s = min(seconds_of(error), LONGEST_WAIT_S)
            self._rests_until = time.monotonic() + asked_s
            raise ChannelUnavailable(
                NAME, "it takes no more for now", retry_after_s=asked_s
            ) from None
        except TelegramError as error:
            raise _translated(error) from None


def _translated(error: TelegramError) -> X0Error:
    """What to raise instead of an error of the library, whose text or cause may hold the token."""
    if isinstance(error, InvalidToken):
        return ChannelRefused(NAME, "it does not know the token", _WRONG_TOKEN)
    why = scrub(error.message)
    if isinstance(error, Forbidden):
        return ChannelRefused(NAME, why, _WRONG_CHAT)
    if isinstance(error, NetworkError) and isinstance(error.__cause__, NOT_SENT):
        return ChannelUnavailable(NAME, why)
    return FateUnknown(NAME, why)
