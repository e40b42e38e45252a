"""The Ray actor that watches one chain: `payments-tron` and `payments-ton`.

A thin shell around `Watcher`: it opens the ledger and the API, runs the loop, and says how it is.
Ray restarts it when it dies; all it knows is in the ledger.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.payments import scan, tokens
from actors.payments.delivery import Delivery
from actors.payments.ledger import Ledger
from actors.payments.watcher import Watcher, WatcherStatus
from actors.runtime import log, spawn
from actors.runtime.error_handler import ErrorHandler

if TYPE_CHECKING:
    from actors.payments.money import Network
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
        metrics = spawn.ray_metrics()
        self._errors = ErrorHandler(self._name, metrics)
        chain = shop.chain(network)
        ledger = Ledger(shop.database_url)
        delivery = Delivery(shop, ledger, tokens.ensure_key(shop.state_dir))
        self._watcher = Watcher(
            chain, ledger, delivery, scan.connect(chain), errors=self._errors, metrics=metrics
        )
        self._task = asyncio.get_running_loop().create_task(self._watcher.run())
        self._errors.watch(self._task, severity="critical")

    def __repr__(self) -> str:
        return self._name

    async def status(self) -> WatcherStatus:
        """How it is."""
        return await self._watcher.status()
