"""The checkout: what a person, a bot or the gateway asks for becomes an order.

It knows the catalogue and which chains the shop is on, and refuses what could not be delivered or
recognised before anybody pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.payments.catalogue import LANGUAGES
from actors.payments.chains import addresses, money
from actors.payments.chains.money import Method, Network
from actors.payments.errors import UnknownPlan, UnknownReview
from actors.payments.ledger.order_book import NewOrder
from actors.runtime.database import now_ms
from actors.runtime.errors import ConfigurationError, InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.catalogue import Catalogue, ShopPlan
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.shop import Shop, ShopChain

_MAX_REQUEST: Final = 128
_MAX_RECIPIENT: Final = 64


class Checkout:
    """Takes orders.

    Args:
        shop: the shop that takes the orders.
        catalogue: the plans that can be ordered.
        clock: ms since the Unix epoch.
    """

    def __init__(self, shop: Shop, catalogue: Catalogue, clock: Callable[[], int] = now_ms) -> None:
        self._shop = shop
        self._catalogue = catalogue
        self._clock = clock

    def refusal(self, plan: ShopPlan) -> ConfigurationError | None:
        """Why a plan is not sold, because it could not be delivered; None if it is."""
        try:
            self._catalogue.check(plan)
            if plan.delivers.kind == "download":
                self._shop.base_url()
        except ConfigurationError as error:
            return error
        return None

    def offered(self, plan: ShopPlan) -> tuple[Method, ...]:
        """The ways to pay a plan here, in the order of the catalogue."""
        here = {method for chain in self._shop.chains.values() for method in chain.methods}
        return tuple(method for method in plan.prices if method in here)

    def method(self, plan: str, text: str | None) -> Method:
        """The way to pay that `text` names; None is the first that is offered.

        Raises:
            UnknownPlan: there is no such plan, or it is not offered in that way.
        """
        found = self._catalogue.plan(plan)
        offered = self.offered(found)
        if text is None and offered:
            return offered[0]
        if text not in offered:
            ways = ", ".join(offered) or "nothing"
            raise UnknownPlan(plan, f"here it can be paid with {ways}")
        return Method(text)

    def order(
        self,
        ledger: Ledger,
        plan: str,
        method: Method,
        *,
        request: str,
        channel: str,
        recipient: str,
        language: str = "en",
    ) -> Order:
        """The order that `request` has made, or makes now (see `NewOrder`).

        Raises:
            UnknownPlan: there is no such plan, or it is not offered in that way.
            Conflict: the request has made another order.
            OrdersFull: too many are open.
            InvalidInput: an argument is too long or empty.
            ConfigurationError: what it brings could not be delivered.
            Unavailable: the shop cannot tell its own USDT wallet on TON yet.
        """
        found = self._catalogue.plan(plan)
        if method not in self.offered(found):
            self.method(plan, str(method))
        refusal = self.refusal(found)
        if refusal is not None:
            raise refusal
        _check(request, "request", _MAX_REQUEST)
        _check(recipient or "-", "recipient", _MAX_RECIPIENT)
        if language not in LANGUAGES:
            raise InvalidInput(
                f"language {language[:20]!r} is refused",
                "messages are not written in it",
                f"Choose from {', '.join(LANGUAGES)}.",
            )
        chain = self._shop.chain(method.network)
        if method is Method.TON_USDT:
            _check_jetton_wallet(ledger, chain)
        new = NewOrder(request, found, method, channel, recipient, language)
        # Those of a former wallet, or of a network that was switched off, lock nobody out.
        ledger.intake.end_unpayable(self._shop.chains.values(), self._clock())
        return ledger.orders.create(new, chain, self._clock())


def shown_wallet(shop: Shop, order: Order) -> str:
    """The address that an order is to be paid to, as its buyer is shown it."""
    if order.method.network is Network.TRON:
        return order.wallet
    chain = shop.chains.get(Network.TON)
    return addresses.ton_friendly(order.wallet, test=chain.test if chain else False)


def below(text: str) -> dict[Method, int]:
    """An amount in whole coins, as the least that is not below it, for each way to pay.

    Raises:
        InvalidInput: it is no amount.
    """
    try:
        finest = money.parse(text, Method.TON)
    except ValueError as error:
        raise InvalidInput(
            "entries cannot be chosen by that amount", str(error), "Give an amount such as 0.01."
        ) from None
    decimals = {method: Method.TON.decimals - method.decimals for method in Method}
    return {method: -(-finest // 10**more) for method, more in decimals.items()}


def money_of(ledger: Ledger, subject: str, amount: str | None) -> int | None:
    """An amount of the coin of an entry, in its smallest unit; None for none.

    Raises:
        UnknownReview: there is no entry of money under that name.
        InvalidInput: it is no amount.
    """
    if amount is None:
        return None
    try:
        return money.parse(amount, transfer_method(ledger, subject))
    except ValueError as error:
        raise InvalidInput(
            "the refund cannot be proposed",
            str(error),
            "Give an amount such as 9.90.",
            source="body",
            entry="amount",
        ) from None


def transfer_method(ledger: Ledger, subject: str) -> Method:
    """How what a review is about was paid.

    Raises:
        UnknownReview: there is no entry of money under that name.
    """
    found = ledger.reviews.find(subject)
    if found is None or found.method is None:
        raise UnknownReview(subject)
    return found.method


def _check(text: str, name: str, longest: int) -> None:
    if not 0 < len(text) <= longest or not text.isprintable():
        raise InvalidInput(
            f"the {name} is refused",
            f"it has {len(text)} characters, or some that cannot be printed",
            f"Use 1 to {longest} printable ones.",
            entry=name,
        )


def _check_jetton_wallet(ledger: Ledger, chain: ShopChain) -> None:
    mine = (chain.network, chain.wallet)
    for cursor in ledger.intake.cursors():
        if (cursor.network, cursor.account) == mine and cursor.jetton_wallet_of(chain.contract):
            return
    raise Unavailable(
        "USDT on TON cannot be taken yet",
        "the shop's own jetton wallet is not known, so a payment could not be told from a forgery",
        "Start the watcher, or run `x0 pay scan --network ton --once`.",
        retry_after_s=60.0,
    )
