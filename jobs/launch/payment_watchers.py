"""The watchers of payments beside a mesh: one for each chain that the shop has a wallet on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.payments.contract import PREFIX, WatcherOptions, actor_name
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from jobs.launch.companion import Plan


class PaymentWatchers(Companion):
    """Actors that read the chains into the ledger."""

    name = "payments"
    off = "no wallet was set at the start (X0TTA6BL4_TRON_WALLET, X0TTA6BL4_TON_WALLET)"

    def wanted(self, _plan: Plan) -> bool:
        """Always: without a wallet there are no chains, and `start` starts nothing."""
        return True

    def prepare(self, plan: Plan) -> Plan:
        """Check the shop of the settings, with whatever its catalogue needs.

        Raises:
            ConfigurationError: a setting of payments is missing, wrong, or contradicts another.
        """
        from actors.payments.shop import Shop

        Shop.of(plan.settings).check_catalogue()
        return plan

    def start(self, plan: Plan) -> None:
        """Start a watcher for each chain."""
        from actors.payments.shop import Shop

        shop = Shop.of(plan.settings)
        if not shop.on:
            return
        from actors.payments.actor import PaymentsWatcher
        from actors.runtime import spawn

        for network in shop.chains:
            options = WatcherOptions(network, shop.only(network), plan.settings.log_level)
            spawn.detached(PaymentsWatcher, actor_name(network), options)

    def owns(self, actor: str) -> bool:
        """All watchers have a common prefix."""
        return actor.startswith(PREFIX)
