"""The bot as a whole: updates in, answers and news out, for as long as it lives."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from actors.payments.bot import polling, webhook
from actors.payments.bot.claim_desk import ClaimDesk
from actors.payments.bot.reception import Reception
from actors.payments.bot.seller import Seller
from actors.payments.bot.telegram import TelegramClient
from actors.payments.bot.transport import TelegramTransport
from actors.payments.catalogue_file import CatalogueFile
from actors.payments.delivery import Delivery
from actors.payments.errors import BotRefused, PaymentsOff, TransportBusy
from actors.payments.outbox_relay import OutboxRelay
from actors.payments.seller_alerts import follow
from actors.payments.shop import is_private
from actors.runtime.alerting import AlertName
from actors.runtime.errors import ConfigurationError, Unavailable, X0Error
from actors.runtime.settings import variable
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.shop import Shop
    from actors.runtime.error_handler import ErrorHandler

NEWS_S: Final = 1.0  # between two reads of the outbox
RETRY_S: Final = 5.0  # before Telegram is asked again at the start


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where Telegram sends updates, and where they come in.

    Attributes:
        url: https URL that Telegram is given.
        host: address to listen on.
        port: port to listen on.
    """

    url: str
    host: str
    port: int


async def run(
    shop: Shop,
    ledger: Ledger,
    token: SecretStr,
    api_url: str,
    *,
    errors: ErrorHandler,
    hook: Webhook | None = None,
    began: Callable[[str], None] = lambda _: None,
) -> None:
    """Sell until cancelled.

    Args:
        shop: the shop that sells.
        ledger: the ledger that keeps the orders.
        token: token of the bot.
        api_url: URL of the Bot API.
        errors: handles failures.
        hook: where Telegram sends updates; None to fetch them instead.
        began: called with the bot's name once the bot works.

    Raises:
        PaymentsOff: no wallet is set.
        BotRefused: Telegram refuses the token.
        ConfigurationError: a setting or the catalogue is wrong.
    """
    if not shop.on:
        raise PaymentsOff
    _check_secret(api_url)
    plans = CatalogueFile(shop.catalogue, errors.handle)
    shop.check_catalogue()
    delivery = await asyncio.to_thread(Delivery.opened, shop, ledger)
    async with TelegramClient(token, api_url.rstrip("/")) as client:
        seller = Seller(shop, plans, ledger, delivery, errors.handle)
        reception = Reception(seller, ClaimDesk(shop, ledger), client, errors)
        began(await _begun(client, hook, token, errors))
        relay = OutboxRelay(ledger, delivery, TelegramTransport(client))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_carry(relay, errors))
                if hook is None:
                    tasks.create_task(polling.poll(client, reception, errors))
                else:
                    path = urlsplit(hook.url).path or "/"
                    app = webhook.application(path, webhook.secret(token), client, reception)
                    tasks.create_task(webhook.serve(app, hook.host, hook.port))
        except* X0Error as group:
            raise _first(group) from None


def _check_secret(api_url: str) -> None:
    """Refuse an API that the token would travel to in clear text."""
    parts = urlsplit(api_url)
    if parts.scheme == "http" and not is_private(parts.hostname or ""):
        name = variable("telegram_api_url")
        raise ConfigurationError(
            f"{name} cannot be used",
            "it is not https, and the token would travel in clear text",
            f"Set {name} to an https URL, or to one of a private network.",
            variable=name,
        )


async def _begun(
    client: TelegramClient, hook: Webhook | None, token: SecretStr, errors: ErrorHandler
) -> str:
    """Introduce the bot, however long Telegram cannot be reached; its name."""
    while True:
        try:
            name = await client.begin()
            if hook is None:
                await client.listen_by_polling()
            else:
                await client.listen_by_webhook(hook.url, webhook.secret(token))
        except TransportBusy as error:
            errors.handle(error, severity="warning")
            await asyncio.sleep(max(RETRY_S, error.retry_after_s))
        else:
            return name


async def _carry(relay: OutboxRelay, errors: ErrorHandler) -> None:
    """Carry what is due, again and again."""
    undelivered = StandingAlert(
        AlertName.PAYMENT_CONFIGURATION,
        "delivery-telegram",
        "What orders bring is delivered on Telegram",
        sink=errors.alert,
    )
    while True:
        try:
            if await relay.round():  # what could not be delivered may just not be due again
                follow(undelivered, None, time.time())
        except BotRefused:
            raise
        except Exception as error:  # noqa: BLE001 - what was claimed is claimed again
            errors.handle(error)
            if isinstance(error, X0Error) and not isinstance(error, Unavailable):
                follow(undelivered, error, time.time())
        await asyncio.sleep(NEWS_S)


def _first(group: BaseExceptionGroup[X0Error]) -> X0Error:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
