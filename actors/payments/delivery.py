"""What a paid order brings, and the opening of what was brought.

Invariants: an order's goods are the same at every call, so that a message about them can be
repeated; nothing is opened without an entitlement that has not ended; only files below the
catalogue's directory are; nothing is delivered that could not be opened. An order brings the file
that its plan named when it was sold; once that is gone, the one that the plan names now: so a
mistake in the catalogue is mended for what was sold, too, by correcting it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from actors.payments import catalogue, tokens
from actors.payments.errors import (
    GoodsMissing,
    TokenRefused,
    UnknownLicence,
    UnknownOrder,
    UnknownPlan,
)
from actors.payments.ledger.orders import SETTLED
from actors.runtime.database import now_ms
from actors.runtime.errors import ConfigurationError, Unavailable

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
        is_missing: the file that the link opens is not there now.
    """

    kind: str
    value: str
    until_ms: int | None
    is_missing: bool = False

    def has_ended(self, now_ms: int) -> bool:
        """Whether the link's time is over."""
        return self.until_ms is not None and self.until_ms < now_ms

    def __repr__(self) -> str:
        return f"Goods({self.kind!r}, [redacted])"


class Delivery:
    """Makes goods and opens them.

    Args:
        shop: the shop that delivers.
        ledger: knows who is entitled.
        key: see `open_key`.
    """

    def __init__(self, shop: Shop, ledger: Ledger, key: SecretBytes) -> None:
        self._shop = shop
        self._ledger = ledger
        self._key = key

    @classmethod
    def opened(cls, shop: Shop, ledger: Ledger) -> Self:
        """The delivery of a shop with its own key.

        Raises:
            ConfigurationError: as `open_key`.
        """
        return cls(shop, ledger, open_key(shop.state_dir, ledger))

    def licensee(self, code: str) -> Order:
        """The paid order that a licence code belongs to.

        Raises:
            UnknownLicence: it is not of this shop, or of no order that was paid.
        """
        order_id = tokens.licensed(self._key, code)
        if order_id is None:
            raise UnknownLicence
        try:
            order = self._ledger.orders.get(order_id)
        except UnknownOrder:
            raise UnknownLicence from None
        if order.delivers.kind != "licence" or order.state not in SETTLED:
            raise UnknownLicence
        return order

    def goods(self, order: Order, entitled_until_ms: int) -> Goods:
        """What a paid order brings, to be delivered.

        Raises:
            GoodsMissing: it is a file that is not there.
            ConfigurationError: a link has no start, because X0TTA6BL4_PUBLIC_URL is not set.
        """
        goods = self._goods(order, entitled_until_ms)
        if goods.is_missing:
            raise GoodsMissing(order.plan, order.delivers.file, str(self._shop.catalogue.parent))
        return goods

    def of(self, order: Order) -> Goods | None:
        """What an order brings, to be looked at; None while it is not paid.

        Raises:
            ConfigurationError: as `goods`.
        """
        until = self._ledger.orders.entitled_until_ms(order.id)
        return None if until is None else self._goods(order, until)

    def again(self, order_id: str, at_ms: int) -> Order:
        """Have a paid order delivered once more, with a link that works; the order afterwards.

        Raises:
            UnknownOrder: there is no such order.
            Conflict: it is not paid.
            GoodsMissing: it brings a file that is not there; nothing has changed then.
            ConfigurationError: as `goods`.
        """
        self.goods(self._ledger.orders.get(order_id), at_ms)
        return self._ledger.outbox.deliver_again(order_id, at_ms)

    def _goods(self, order: Order, until_ms: int) -> Goods:
        if order.delivers.kind == "licence":
            return Goods("licence", tokens.licence(self._key, order.id), None)
        link = f"{self._shop.base_url()}/downloads/{tokens.sign(self._key, order.id, until_ms)}"
        return Goods("download", link, until_ms, is_missing=self._file(order) is None)

    def _file(self, order: Order) -> Path | None:
        """The file that an order brings; None if it is not there."""
        directory = self._shop.catalogue.parent
        found = catalogue.shelved(directory, order.delivers.file)
        if found is None:
            try:
                plan = catalogue.load(self._shop.catalogue).plan(order.plan)
            except (ConfigurationError, UnknownPlan):  # it has nothing to say about this order
                return None
            if plan.delivers.kind == "download":
                found = catalogue.shelved(directory, plan.delivers.file)
        return found

    def open(self, token: str, at_ms: int) -> Path:
        """The file that a download token opens.

        Raises:
            TokenRefused: the token opens nothing.
            Unavailable: the file is not there.
        """
        order_id, expires_ms = tokens.verify(self._key, token, at_ms)
        try:
            order = self._ledger.orders.get(order_id)
        except UnknownOrder:
            raise TokenRefused from None
        if self._ledger.orders.entitled_until_ms(order_id) != expires_ms:
            raise TokenRefused
        if order.delivers.kind != "download":
            raise TokenRefused
        path = self._file(order)
        if path is None:
            raise Unavailable(
                f"the download of plan {order.plan} is not there",
                "the catalogue's directory has no such file",
                "Retry later with the same link.",
                retry_after_s=600.0,
            )
        return path


def open_key(state_dir: Path, ledger: Ledger) -> SecretBytes:
    """The key that this shop signs with: the first opening makes it, and the ledger notes which.

    Raises:
        ConfigurationError: the file holds no key, or is gone, or is not the one that was noted.
    """
    path, noted = state_dir / tokens.KEY, ledger.signing_keys.fingerprint()
    key = tokens.read_key(state_dir)
    if key is None:
        if noted is not None or ledger.signing_keys.has_delivered():
            raise _wrong_key(path, "it is not there", noted)
        key = tokens.ensure_key(state_dir)
    found = tokens.fingerprint(key)
    noted = ledger.signing_keys.note(found, now_ms())
    if noted != found:
        raise _wrong_key(path, f"its fingerprint is {found}", noted)
    return key


def _wrong_key(path: Path, why: str, noted: str | None) -> ConfigurationError:
    known = f", and this ledger has sold with the key {noted}" if noted else ""
    return ConfigurationError(
        f"{path} is not the key that links and licences of this shop are signed with",
        why + known,
        f"Restore {path} from a copy, or from the host that this ledger was begun on. If it is "
        "lost for good, `x0 pay key --replace` makes a new one and voids what was sold.",
        variable="X0TTA6BL4_STATE_DIR",
    )
