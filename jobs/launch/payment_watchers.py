"""The watchers of payments that live beside a mesh: started with it, named by it, ended with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.payments.actor import PREFIX, PaymentsWatcher, actor_name
from actors.payments.settings import Shop
from actors.runtime import spawn

if TYPE_CHECKING:
    from actors.runtime.settings import Settings


def shop_of(settings: Settings) -> Shop:
    """The shop of the settings, with whatever its catalogue needs.

    Raises:
        ConfigurationError: a setting of payments is missing, wrong, or contradicts another.
    """
    shop = Shop.of(settings)
    shop.check_catalogue()
    return shop


def start(shop: Shop, log_level: str) -> None:
    """Start a watcher for each chain that the shop has a wallet on, in this process's namespace."""
    for network in shop.chains:
        spawn.detached(PaymentsWatcher, actor_name(network), network, shop, log_level)


def names() -> tuple[str, ...]:
    """The watchers that live in this process's namespace."""
    return tuple(name for name in spawn.listing() if name.startswith(PREFIX))
