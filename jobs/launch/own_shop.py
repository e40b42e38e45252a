"""The shop and the ledger of this environment, for the commands of `x0 pay`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.payments.delivery import Delivery
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.shop import Shop


def of_environment(*, on: bool = False) -> Shop:
    """The shop of the environment; `on`: which must offer something.

    Raises:
        ConfigurationError: a setting is wrong.
        PaymentsOff: it must offer something, and offers nothing.
    """
    from actors.payments.errors import PaymentsOff
    from actors.payments.shop import Shop
    from actors.runtime import log
    from serve_apps.settings import Settings

    settings = Settings.load()
    log.configure("WARNING" if settings.log_level == "INFO" else settings.log_level)
    shop = Shop.of(settings)
    if on and not shop.on:
        raise PaymentsOff
    return shop


@contextlib.contextmanager
def ledger(shop: Shop) -> Iterator[Ledger]:
    """The shop's ledger, open for the block.

    Raises:
        ConfigurationError: its database cannot be opened.
        Unavailable: it does not answer.
    """
    from actors.payments.ledger.ledger import Ledger

    with Ledger(shop.database_url) as opened:
        yield opened


def delivery(shop: Shop, ledger: Ledger) -> Delivery:
    """What delivers for the shop.

    Raises:
        ConfigurationError: the shop's key cannot be used.
    """
    from actors.payments.delivery import Delivery

    return Delivery.opened(shop, ledger)
