"""The Ray actor that watches one chain: `payments-tron` and `payments-ton`.

A thin shell around `Watcher`: it opens the ledger and the API, runs the loop, and says how it is.
Ray restarts it when it dies; all it knows is in the ledger.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.payments import scan, tokens
from actors.payments.delivery import Delivery
from actors.payments.ledger.ledger import Ledger
from actors.payments.watcher import Watcher, WatcherStatus
from actors.runtime import log, spawn
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import Unavailable

if TYPE_CHECKING:
    from actors.payments.chains.money import Network
    from actors.payments.settings import Shop


PREFIX: Final = "payments-"  # of the names of all watchers


def actor_name(network: Network) -> str:
    """Name of the actor that watches a network."""
    return f"{PREFIX}{network}"


class PaymentsWatcher:
    """Watches one chain for as long as it lives.

    Args:
        network: to watch.
        shop: whose wallet.
        log_level: least severe log line to write.
    """

    def __init__(self, network: Network, shop: Shop, log_level: str) -> None:
        log.configure(log_level)
        self._name = actor_name(network)
        self._network = network
        self._shop = shop
        self._metrics = spawn.ray_metrics()
        self._errors = ErrorHandler(self._name, self._metrics)
        self._watcher: Watcher | None = None
        self._task = asyncio.get_running_loop().create_task(self._live())
        self._errors.watch(self._task, severity="critical")

    def __repr__(self) -> str:
        return self._name

    async def _live(self) -> None:
        chain, ledger = self._shop.chain(self._network), await self._ledger()
        delivery = Delivery(self._shop, ledger, tokens.ensure_key(self._shop.state_dir))
        async with scan.connect(chain) as api:
            self._watcher = Watcher(
                chain, ledger, delivery, api, errors=self._errors, metrics=self._metrics
            )
            await self._watcher.run()

    async def _ledger(self) -> Ledger:
        """The ledger, as soon as its database answers."""
        while True:
            try:
                return await asyncio.to_thread(Ledger, self._shop.database_url)
            except Unavailable as error:
                self._errors.handle(error, network=str(self._network))
                await asyncio.sleep(error.retry_after_s)

    async def status(self) -> WatcherStatus:
        """How it is.

        Raises:
            Unavailable: the ledger's database has not answered yet.
        """
        if self._watcher is None:
            raise Unavailable(
                f"{self._name} does not watch yet",
                "the ledger's database has not answered",
                "It goes on trying.",
                retry_after_s=5.0,
            )
        return await self._watcher.status()
