"""What a paid order brings, and the opening of what was brought.

Invariants: an order's goods are the same at every call, so that a message about them can be
repeated; nothing is opened without an entitlement that has not ended; only files below the
catalogue's directory are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.payments import tokens
from actors.payments.errors import TokenRefused, UnknownOrder
from actors.runtime.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretBytes

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.shop import Shop


@dataclass(frozen=True, slots=True)
class Goods:
    """What the buyer gets; it is the buyer's secret.

    Attributes:
        kind: "download" or "licence".
        value: the link, or the code.
        until_ms: until when a link opens; None for a code, which does not end.
    """

    kind: str
    value: str
    until_ms: int | None

    def __repr__(self) -> str:
        return f"Goods({self.kind!r}, [redacted])"


class Delivery:
    """Makes goods and opens them.

    Args:
        shop: the shop that delivers.
        ledger: knows who is entitled.
        key: see `tokens.ensure_key`.
    """

    def __init__(self, shop: Shop, ledger: Ledger, key: SecretBytes) -> None:
        self._shop = shop
        self._ledger = ledger
        self._key = key

    def goods(self, order: Order, entitled_until_ms: int) -> Goods:
        """What a paid order brings.

        Raises:
            ConfigurationError: a link has no start, because X0TTA6BL4_PUBLIC_URL is not set.
        """
        if order.delivers.kind == "licence":
            return Goods("licence", tokens.licence(self._key, order.id), None)
        token = tokens.sign(self._key, order.id, entitled_until_ms)
        return Goods("download", f"{self._shop.base_url()}/downloads/{token}", entitled_until_ms)

    def of(self, order: Order) -> Goods | None:
        """What an order brings; None while it is not paid.

        Raises:
            ConfigurationError: as `goods`.
        """
        until = self._ledger.orders.entitled_until_ms(order.id)
        return None if until is None else self.goods(order, until)

    def open(self, token: str, now_ms: int) -> Path:
        """The file that a download token opens.

        Raises:
            TokenRefused: the token opens nothing.
            Unavailable: the file is not there.
        """
        order_id, expires_ms = tokens.verify(self._key, token, now_ms)
        try:
            order = self._ledger.orders.get(order_id)
        except UnknownOrder:
            raise TokenRefused from None
        if self._ledger.orders.entitled_until_ms(order_id) != expires_ms:
            raise TokenRefused
        if order.delivers.kind != "download":
            raise TokenRefused
        directory = self._shop.catalogue.parent.resolve()
        path = (directory / order.delivers.file).resolve()
        if not path.is_relative_to(directory) or not path.is_file():
            raise Unavailable(
                f"the download of plan {order.plan} is not there",
                "the catalogue's directory has no such file",
                "Retry later with the same link.",
                retry_after_s=600.0,
            )
        return path
