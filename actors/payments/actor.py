"""The Ray actor that watches one chain: `payments-tron` and `payments-ton`.

It opens the ledger and the API of the chain and runs the loop of a `Watcher`. A ledger whose
server does not answer is tried again; so is one that cannot be used, or a key that is missing,
which are told as the actor's failure until a person has mended them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from actors.payments import scan
from actors.payments.contract import PaymentsWatcherContract, actor_name
from actors.payments.delivery import Delivery
from actors.payments.ledger.ledger import Ledger
from actors.payments.seller_alerts import SellerAlerts
from actors.payments.watcher import Watcher
from actors.runtime.errors import ConfigurationError, Unavailable
from actors.runtime.shell import ActorShell

if TYPE_CHECKING:
    from actors.payments.contract import WatcherOptions, WatcherStatus
    from actors.payments.lookup import LookedUp
    from actors.payments.shop import Shop


MENDED_S: Final = 15.0  # between two looks at what a person has to mend


class PaymentsWatcher(ActorShell):
    """Watches one chain for as long as it lives."""

    def __init__(self, options: WatcherOptions) -> None:
        super().__init__(actor_name(options.network), log_level=options.log_level)
        self._options = options
        self._waits_for = "the ledger is being opened"
        self._watcher: Watcher | None = None
        self._alerts = SellerAlerts(
            options.network, self._errors.alert
        )  # until the watcher has its own
        self._begin(self._open(), PaymentsWatcherContract)

    async def _open(self) -> None:
        shop = self._options.shop
        chain = shop.chain(self._options.network)
        ledger, delivery = await self._shop()
        self._watcher = Watcher(
            chain, ledger, delivery, scan.connect(chain), errors=self._errors, metrics=self._metrics
        )
        self._vital(self._watcher.run())

    async def _shop(self) -> tuple[Ledger, Delivery]:
        """The ledger and what delivers, as soon as both can be used."""
        while True:
            try:
                return await asyncio.to_thread(_open, self._options.shop)
            except Unavailable as error:
                self._waits_for = str(error)
                self._errors.handle(error, network=str(self._options.network))
                await asyncio.sleep(error.retry_after_s)
            except ConfigurationError as error:
                self._alerts.refused(error, time.time())
                self._fails(error, alerted=True)
                await asyncio.sleep(MENDED_S)

    async def status(self) -> WatcherStatus:
        """See `PaymentsWatcherContract.status`."""
        return await (await self._watching()).status()

    async def look_up(self, text: str) -> LookedUp:
        """See `PaymentsWatcherContract.look_up`."""
        return await (await self._watching()).look_up(text)

    async def rescan(self, from_ms: int) -> None:
        """See `PaymentsWatcherContract.rescan`."""
        (await self._watching()).rescan(from_ms)

    async def _watching(self) -> Watcher:
        if not self._started.is_set():
            raise Unavailable(
                f"{self._name} does not watch yet",
                self._waits_for,
                "It goes on trying.",
                retry_after_s=5.0,
            )
        await self._ready()
        if self._watcher is None:
            raise AssertionError("a watcher that is ready has been opened")
        return self._watcher


def _open(shop: Shop) -> tuple[Ledger, Delivery]:
    ledger = Ledger(shop.database_url)
    try:
        return ledger, Delivery.opened(shop, ledger)
    except BaseException:
        ledger.close()
        raise


_KEEPS: type[PaymentsWatcherContract] = PaymentsWatcher
