"""`x0 pay bot`: the Telegram bot that sells."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.launch import interruption
from jobs.terminal import reporting

if TYPE_CHECKING:
    from actors.payments.bot.bot_loop import Webhook


@reporting.reported
def command(
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Have Telegram send updates to this https URL, instead of fetching them.",
        ),
    ] = None,
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="With --webhook: where they come in, behind what serves the URL.",
        ),
    ] = "127.0.0.1:8443",
    as_json: reporting.AsJson = False,
) -> int:
    """Sell on Telegram: take orders, show what to pay, and bring what was bought. Until Ctrl-C.

    The token of the bot is in X0TTA6BL4_TELEGRAM_TOKEN. All it knows is in the ledger, so it may be
    ended at any time. Payments are read by `x0 up` or `x0 pay scan`.
    """
    from actors.payments.bot import bot_loop
    from actors.payments.errors import BotRefused
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.shop import Shop
    from actors.runtime import alert_spool, log
    from actors.runtime.error_handler import ErrorHandler
    from actors.runtime.errors import X0Error
    from actors.runtime.metrics import MemoryMetrics
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load()
    log.configure(settings.log_level)
    alert_spool.leave_alerts(settings.namespace)
    shop = Shop.of(settings)
    if settings.telegram_token is None:
        raise BotRefused("no token is set")
    hook = None if webhook is None else _hook(webhook, listen)

    selling = threading.Event()
    errors = ErrorHandler("payments-bot", MemoryMetrics())

    def began(name: str) -> None:
        selling.set()
        report.result({"bot": name, "webhook": webhook}, f"selling as @{name}")
        report.note("Ctrl-C ends it")

    with Ledger(shop.database_url) as ledger:
        running = bot_loop.run(
            shop,
            ledger,
            settings.telegram_token,
            settings.telegram_api_url,
            errors=errors,
            hook=hook,
            began=began,
        )
        try:
            interruption.run(running)
        except interruption.Interrupted as interrupted:
            if not selling.is_set():
                raise
            report.note(f"{interrupted.signal.name}: ending")  # as it is meant to
        except X0Error as error:
            if selling.is_set():  # else who starts it sees it
                errors.handle(error, severity="critical")
            raise
    return 0


def _hook(url: str, listen: str) -> Webhook:
    from urllib.parse import urlsplit

    from actors.payments.bot.bot_loop import Webhook
    from actors.runtime.errors import InvalidInput

    try:
        parts = urlsplit(url)
        host, _, port = listen.rpartition(":")
        if parts.scheme == "https" and parts.netloc and host and 0 < int(port) < 2**16:
            return Webhook(url, host, int(port))
    except ValueError:
        pass
    raise InvalidInput(
        "the webhook cannot be used",
        f"{url[:100]!r} is no https URL, or {listen[:60]!r} no HOST:PORT",
        "For example: --webhook https://shop.example/telegram --listen 127.0.0.1:8443",
    )


if __name__ == "__main__":
    reporting.run(command)
