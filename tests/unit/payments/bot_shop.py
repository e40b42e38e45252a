"""A shop that sells on the Bot API of the tests, and the things that happen to its orders."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from actors.payments import tokens
from actors.payments.bot import bot_loop
from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Sighting, Transfer
from actors.payments.delivery import Delivery
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.shop import Shop, ShopChain
from actors.runtime.database import now_ms
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.metrics import MemoryMetrics
from tests.telegram_api import TOKEN
from tests.unit.payments import ledgers
from tests.unit.payments.shop import (
    BUYER,
    JETTON_WALLET,
    MASTER,
    TON_BUYER,
    ton_chain,
    tron_chain,
    tx_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.bot.bot_loop import Webhook
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.orders import Order
    from actors.runtime.alerting import Alert
    from tests.telegram_api import BotApi

CATALOGUE = """
plans:
  - id: month
    title: {en: "One <month> & more_", ru: "Один <месяц> и *больше*"}
    price: {tron: "9.90", ton: "3.2", ton-usdt: "9.90"}
    delivers: {download: month.zip}
  - id: licence
    title: Licence
    price: {tron: "25"}
    delivers: licence
"""


class _Told(ErrorHandler):
    """Also keeps what it is told."""

    def __init__(self, kept: list[str], alerts: list[Alert]) -> None:
        super().__init__("bot", MemoryMetrics(), alerts.append)
        self._kept = kept

    def handle(self, error: BaseException, **values: Any) -> None:
        self._kept.append(str(error))
        super().handle(error, **values)


@dataclass
class BotShop:
    """A shop on TRON and TON with an empty ledger in a directory of its own.

    Attributes:
        failures: what the bot's loops ended with.
        handled: the errors that were told to the shop.
        alerts: those that the bot raised.
    """

    directory: Path
    chains: tuple[ShopChain, ...] = (tron_chain(), ton_chain())
    ledger: Ledger = field(init=False)
    shop: Shop = field(init=False)
    failures: list[BaseException] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.directory / "catalogue.yaml").write_text(CATALOGUE)
        (self.directory / "month.zip").write_bytes(b"what was bought")
        url = ledgers.sqlite(self.directory / "payments.db")
        self.ledger = Ledger(url)
        self.shop = Shop(
            chains={chain.network: chain for chain in self.chains},
            database_url=url,
            catalogue=self.directory / "catalogue.yaml",
            public_url="https://shop.example",
            state_dir=self.directory,
        )
        cursor = self.ledger.intake.open(Network.TON, ton_chain().wallet)
        self.ledger.intake.pin_jetton_wallet(cursor, MASTER, JETTON_WALLET)

    @contextlib.contextmanager
    def selling(self, api: BotApi, hook: Webhook | None = None) -> Iterator[None]:
        """Run the bot in a thread for the block."""
        errors = _Told(self.handled, self.alerts)
        began, loops = threading.Event(), []

        async def sell() -> None:
            loops.append((asyncio.get_running_loop(), asyncio.current_task()))
            await bot_loop.run(
                self.shop,
                self.ledger,
                SecretStr(TOKEN),
                api.url,
                errors=errors,
                hook=hook,
                began=lambda _: began.set(),
            )

        def run() -> None:
            try:
                asyncio.run(sell())
            except asyncio.CancelledError:
                pass
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            assert began.wait(120), self.failures
            yield
        finally:
            loop, task = loops[0]
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
            thread.join(120)
            assert not thread.is_alive()

    # -- what happens on the chains ---------------------------------------------------------------

    def orders(self, chat: int) -> list[Order]:
        """The orders of a chat, the newest first."""
        return self.ledger.orders.listing(channel="telegram", recipient=str(chat))

    def order(self, chat: int) -> Order:
        """The only order of a chat."""
        (found,) = self.orders(chat)
        return found

    def sight(self, order: Order) -> None:
        """The index of TRON lists the payment."""
        sighting = Sighting(tx_id(order.id), order.amount, order.created_ms + 1000, confirmed=False)
        now = order.created_ms + 2000
        self.ledger.intake.note(self._cursor(order), order.contract, [sighting], now)

    def pay(self, order: Order, *, amount: int | None = None, late_ms: int = 0) -> None:
        """The chain has confirmed a payment, of the amount asked for unless told so."""
        block_ms = order.expires_ms + late_ms if late_ms else order.created_ms + 1000
        one = Transfer(
            order.method,
            tx_id(order.id),
            0,
            order.wallet,
            order.contract,
            BUYER if order.method is Method.TRON else TON_BUYER,
            amount or order.amount,
            block_ms,
            order.comment,
            settles=True,
        )
        now, cursor = order.created_ms + 3000, self._cursor(order)
        if order.method is Method.TRON:
            self.ledger.intake.settle(cursor, one.tx_id, [one], now)
        else:
            self.ledger.intake.apply(cursor, [one], now, position=1, mark="")

    def expire(self, order: Order) -> None:
        """The chain was read up to a time after the order's."""
        chain_ms = order.expires_ms + 10 * 60_000
        self.ledger.intake.complete([self._cursor(order)], chain_ms, order.created_ms + 2000)

    def told(self, words: str) -> int:
        """How many errors with these words the shop was told."""
        return sum(words in one for one in self.handled)

    def end_links(self) -> None:
        """As if the time of all links had passed."""
        with self.ledger.database.writing() as connection:
            times = {"granted_ms": 1_600_000_000_000, "expires_ms": 1_700_000_000_000}
            connection.execute(schema.entitlements.update().values(times))

    def opens(self, token: str) -> bytes:
        """What a link opens."""
        key = tokens.ensure_key(self.directory)
        return Delivery(self.shop, self.ledger, key).open(token, now_ms()).read_bytes()

    def forget_claims(self) -> None:
        """As if the time for which dead relays hold their messages had passed."""
        with self.ledger.database.writing() as connection:
            table = schema.outbox
            connection.execute(table.update().where(table.c.status == "claimed").values(due_ms=0))

    def _cursor(self, order: Order) -> Cursor:
        return self.ledger.intake.open(order.method.network, order.wallet)
